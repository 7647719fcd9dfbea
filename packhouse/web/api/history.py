"""History: list commits, get one."""

from typing import Any

import msgspec
from starlette.responses import Response

from packhouse.clock import format_timestamp
from packhouse.operations.reading.list_commits import (
    CommitPage,
    ListedCommit,
    list_commits,
    parse_commit_cursor,
)
from packhouse.operations.reading.read_commit import read_commit
from packhouse.web.call import Call
from packhouse.web.edge.responses import cacheable, json_response
from packhouse.web.json.fields import page_limit
from packhouse.web.json.paths import PathMembers, read_folder
from packhouse.web.json.types import AnyRef, CommitCursor, Name, PageLimit, Sha, Timestamp
from packhouse.web.openapi.description import Description
from packhouse.web.routing.route import of_repo, reading


class ListCommitsQuery(PathMembers):
    """Whose history; with `path` only the commits that touched that file or folder."""

    ref: AnyRef | None = None
    ephemeral: bool = False
    cursor: CommitCursor | None = None
    limit: PageLimit = 0


class GetCommitQuery(msgspec.Struct):
    """Which commit: a branch, tag, id or an expression such as `main~2`."""

    ref: AnyRef


class CommitFields(msgspec.Struct):
    """One commit; `date` is the committer's."""

    sha: Sha
    parent_shas: list[Sha]
    message: str
    author_name: str
    author_email: str
    committer_name: str
    committer_email: str
    date: Timestamp


class SignedCommitFields(CommitFields):
    """One commit, with signature and signed bytes when it is signed."""

    signature: Name | msgspec.UnsetType = msgspec.UNSET
    payload: Name | msgspec.UnsetType = msgspec.UNSET


class CommitList(msgspec.Struct):
    """A page of history, newest first."""

    commits: list[CommitFields]
    has_more: bool
    next_cursor: Name | msgspec.UnsetType = msgspec.UNSET


class CommitDetails(msgspec.Struct):
    """One commit."""

    commit: SignedCommitFields


def commit_fields(listed: ListedCommit) -> dict[str, Any]:
    """Return the members that every answer about a commit has."""
    commit = listed.commit
    return {
        "sha": listed.oid,
        "parent_shas": list(commit.parents),
        "message": commit.message,
        "author_name": commit.author.name,
        "author_email": commit.author.email,
        "committer_name": commit.committer.name,
        "committer_email": commit.committer.email,
        "date": format_timestamp(commit.committer.when),
    }


async def handle_list(call: Call) -> Response:
    """GET …/commits."""
    query = call.read_query(ListCommitsQuery)
    page = await call.operate(
        list_commits,
        call.caller.repo,
        ref=query.ref,
        ephemeral=query.ephemeral,
        path=read_folder(query) or None,
        cursor=None if query.cursor is None else parse_commit_cursor(query.cursor),
        count_max=page_limit(query.limit),
    )
    return cacheable(json_response(_page_fields(page)), is_by_id=page.is_by_id)


def _page_fields(page: CommitPage) -> dict[str, Any]:
    answer: dict[str, Any] = {
        "commits": [commit_fields(listed) for listed in page.commits],
        "has_more": page.next_cursor is not None,
    }
    if page.next_cursor is not None:
        answer["next_cursor"] = page.next_cursor
    return answer


async def handle_get(call: Call) -> Response:
    """GET …/commit."""
    query = call.read_query(GetCommitQuery)
    found = await call.operate(read_commit, call.caller.repo, ref=query.ref)
    fields = commit_fields(found.listed)
    if found.signature is not None:
        fields["signature"] = found.signature.armored.decode("utf-8", "replace")
        fields["payload"] = found.signature.payload.decode("utf-8", "replace")
    return cacheable(json_response({"commit": fields}), is_by_id=found.is_by_id)


ROUTES = (
    reading(
        "list_commits",
        of_repo("commits"),
        handle_list,
        Description("List commits", query=ListCommitsQuery, reply=CommitList),
    ),
    reading(
        "get_commit",
        of_repo("commit"),
        handle_get,
        Description("Get a commit", query=GetCommitQuery, reply=CommitDetails),
    ),
)
