"""History: list commits and get one."""

import re
from typing import Final

import msgspec
from msgspec import UNSET, UnsetType

from packhouse.clock import format_timestamp
from packhouse.cursors import BadCursor
from packhouse.git import parse_oid
from packhouse.operations.reading.list_commits import (
    CommitPage,
    HistoryPlace,
    ListCommits,
    ListedCommit,
    list_commits,
)
from packhouse.operations.reading.read_commit import ReadCommit, read_commit
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
from packhouse.web.reply import Reply, encode_reply, then
from packhouse.web.routing.route import of_repo, reading

_CURSOR: Final = re.compile(r"([0-9]{1,18})(?::([0-9a-f]{40}))?", re.ASCII)


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
    command = ListCommits(
        call.caller.repo,
        ref=query.ref,
        ephemeral=query.ephemeral,
        path=read_folder(query) or None,
        start=None if query.cursor is None else parse_history_cursor(query.cursor),
        count_max=page_limit(query.limit),
    )
    return await call.operate(then(list_commits, _list_reply), command)


def parse_history_cursor(cursor: str) -> HistoryPlace:
    """Return the place at which a page ended, or that of a bare number; raise BadCursor for other text."""
    match = _CURSOR.fullmatch(cursor)
    if match is None:
        raise BadCursor()
    return HistoryPlace(int(match[1]), None if match[2] is None else parse_oid(match[2]))


def history_cursor(place: HistoryPlace) -> str:
    """Return the cursor that leads to a place: `<skip>:<tip>`, or a bare number."""
    return str(place.skip) if place.tip is None else f"{place.skip}:{place.tip}"


def _list_reply(page: CommitPage) -> Reply[CommitList]:
    commits: list[CommitFields] = [_fields(listed) for listed in page.commits]
    next_cursor = UNSET if page.following is None else history_cursor(page.following)
    answer = CommitList(commits, page.following is not None, next_cursor)
    return encode_reply(answer, is_by_id=page.is_by_id)


async def handle_get(call: Call) -> Reply[CommitDetails]:
    """GET …/commit."""
    query = call.read_query(GetCommitQuery)
    found = await call.operate(read_commit, ReadCommit(call.caller.repo, query.ref))
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
