"""History: list commits and get one."""

import msgspec
from msgspec import UNSET, UnsetType

from packhouse.clock import format_timestamp
from packhouse.operations.reading.list_commits import (
    CommitPage,
    ListedCommit,
    list_commits,
    parse_commit_cursor,
)
from packhouse.operations.reading.read_commit import read_commit
from packhouse.web.call import Call
from packhouse.web.json import (
    AnyRef,
    CommitCursor,
    Name,
    PageLimit,
    PathMembers,
    Sha,
    Timestamp,
    page_limit,
    read_folder,
)
from packhouse.web.openapi.description import Description
from packhouse.web.reply import Reply, encode_reply, or_unset, then
from packhouse.web.routing.route import of_repo, reading


class ListCommitsQuery(PathMembers):
    """The history of `ref`. With `path` it has only the commits that touched that file or folder."""

    ref: AnyRef | None = None
    ephemeral: bool = False
    cursor: CommitCursor | None = None
    limit: PageLimit = 0


class GetCommitQuery(msgspec.Struct):
    """The commit, by a branch, a tag, an id or an expression such as `main~2`."""

    ref: AnyRef


class CommitFields(msgspec.Struct):
    """One commit. `date` is that of the committer."""

    sha: Sha
    parent_shas: list[Sha]
    message: str
    author_name: str
    author_email: str
    committer_name: str
    committer_email: str
    date: Timestamp


class SignedCommitFields(CommitFields):
    """One commit. A signed one has its signature, and in `payload` the bytes that were signed."""

    signature: Name | UnsetType = UNSET
    payload: Name | UnsetType = UNSET


class CommitList(msgspec.Struct):
    """A page of history, newest first."""

    commits: list[CommitFields]
    has_more: bool
    next_cursor: Name | UnsetType = UNSET


class CommitDetails(msgspec.Struct):
    """One commit."""

    commit: SignedCommitFields


async def handle_list(call: Call) -> Reply[CommitList]:
    """GET …/commits."""
    query = call.read_query(ListCommitsQuery)
    return await call.operate(
        then(list_commits, _list_reply),
        call.caller.repo,
        ref=query.ref,
        ephemeral=query.ephemeral,
        path=read_folder(query) or None,
        cursor=None if query.cursor is None else parse_commit_cursor(query.cursor),
        count_max=page_limit(query.limit),
    )


def _list_reply(page: CommitPage) -> Reply[CommitList]:
    commits: list[CommitFields] = [_fields(listed) for listed in page.commits]
    answer = CommitList(commits, page.next_cursor is not None, or_unset(page.next_cursor))
    return encode_reply(answer, is_by_id=page.is_by_id)


async def handle_get(call: Call) -> Reply[CommitDetails]:
    """GET …/commit."""
    query = call.read_query(GetCommitQuery)
    found = await call.operate(read_commit, call.caller.repo, ref=query.ref)
    fields = _fields(found.listed)
    if found.signature is not None:
        fields.signature = found.signature.armored.decode("utf-8", "replace")
        fields.payload = found.signature.payload.decode("utf-8", "replace")
    return Reply(CommitDetails(fields), is_by_id=found.is_by_id)


def _fields(listed: ListedCommit) -> SignedCommitFields:
    """Return a commit without its signature."""
    commit = listed.commit
    return SignedCommitFields(
        sha=listed.oid,
        parent_shas=list(commit.parents),
        message=commit.message,
        author_name=commit.author.name,
        author_email=commit.author.email,
        committer_name=commit.committer.name,
        committer_email=commit.committer.email,
        date=format_timestamp(commit.committer.when),
    )


ROUTES = (
    reading(
        "list_commits",
        of_repo("commits"),
        handle_list,
        Description("List commits", query=ListCommitsQuery),
    ),
    reading(
        "get_commit",
        of_repo("commit"),
        handle_get,
        Description("Get a commit", query=GetCommitQuery),
    ),
)
