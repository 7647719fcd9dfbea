"""Branches: list them, get one."""

from typing import Any

import msgspec
from starlette.responses import Response

from packhouse.auth.scopes import Scope
from packhouse.clock import format_timestamp
from packhouse.errors import Invalid
from packhouse.git.refname import branch_refname
from packhouse.operations.read_branches import Branch, list_branches, read_branch
from packhouse.web.fields import page_limit, parse_query
from packhouse.web.request import Request
from packhouse.web.responses import json_response
from packhouse.web.routing import Route


class ListBranchesQuery(msgspec.Struct):
    """Which page of which namespace."""

    cursor: str | None = None
    limit: int = 0
    ephemeral: bool = False


class GetBranchQuery(msgspec.Struct):
    """The exact name, without `refs/heads/`."""

    name: str
    ephemeral: bool = False


class BranchFields(msgspec.Struct):
    """One branch; `created_at` is when this server first saw it."""

    name: str
    head_sha: str
    created_at: str


class ListedBranch(BranchFields):
    """One branch of a page."""

    cursor: str


class BranchList(msgspec.Struct):
    """A page of branches, by creation time, then name."""

    branches: list[ListedBranch]
    has_more: bool
    next_cursor: str | msgspec.UnsetType = msgspec.UNSET


class BranchAnswer(msgspec.Struct):
    """One branch."""

    branch: BranchFields


def _fields(branch: Branch) -> dict[str, Any]:
    return {"name": branch.name, "head_sha": branch.head, "created_at": format_timestamp(branch.created_at)}


async def handle_list(request: Request) -> Response:
    """GET …/branches."""
    query = parse_query(request.scope["query_string"], ListBranchesQuery, where="list_branches")
    page = await request.operate(
        list_branches,
        request.caller.repo,
        ephemeral=query.ephemeral,
        cursor=query.cursor,
        count_max=page_limit(query.limit),
    )
    branches = [{"cursor": branch.cursor, **_fields(branch)} for branch in page.branches]
    answer: dict[str, Any] = {"branches": branches, "has_more": page.has_more}
    if page.has_more:
        answer["next_cursor"] = page.branches[-1].cursor
    return json_response(answer)


async def handle_get(request: Request) -> Response:
    """GET …/branch."""
    query = parse_query(request.scope["query_string"], GetBranchQuery, where="get_branch")
    if query.name.startswith("refs/"):
        raise Invalid("invalid branch name", branch=query.name[:200])
    branch = await request.operate(
        read_branch, request.caller.repo, branch_refname(query.name), ephemeral=query.ephemeral
    )
    return json_response({"branch": _fields(branch)})


ROUTES = (
    Route(
        "list_branches",
        "GET",
        handle_list,
        released="/api/v1/repos/branches",
        preferred="/api/repos/{repo}/branches",
        scopes=(Scope.GIT_READ,),
        summary="List branches",
        query=ListBranchesQuery,
        reply=BranchList,
        failures=(400, 404),
    ),
    Route(
        "get_branch",
        "GET",
        handle_get,
        released="/api/v1/repos/branch",
        preferred="/api/repos/{repo}/branch",
        scopes=(Scope.GIT_READ,),
        summary="Get a branch by name",
        query=GetBranchQuery,
        reply=BranchAnswer,
        failures=(400, 404),
    ),
)
