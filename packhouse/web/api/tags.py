"""Tags: list them, get one."""

from typing import Any

import msgspec
from starlette.responses import Response

from packhouse.auth.scopes import Scope
from packhouse.git.refname import tag_refname
from packhouse.operations.list_tags import Tag, list_tags, read_tag
from packhouse.web.fields import page_limit, parse_query
from packhouse.web.request import Request
from packhouse.web.responses import json_response
from packhouse.web.routing import Route


class ListTagsQuery(msgspec.Struct):
    """Which page."""

    cursor: str | None = None
    limit: int = 0


class GetTagQuery(msgspec.Struct):
    """The exact name, without `refs/tags/`."""

    name: str


class TagFields(msgspec.Struct):
    """One tag; `sha` is the commit it leads to, also for an annotated tag."""

    name: str
    sha: str


class ListedTag(TagFields):
    """One tag of a page."""

    cursor: str


class TagList(msgspec.Struct):
    """A page of tags, by the bytes of their names."""

    tags: list[ListedTag]
    has_more: bool
    next_cursor: str | msgspec.UnsetType = msgspec.UNSET


class TagAnswer(msgspec.Struct):
    """One tag."""

    tag: TagFields


def _fields(tag: Tag) -> dict[str, Any]:
    return {"name": tag.name, "sha": tag.target}


async def handle_list(request: Request) -> Response:
    """GET …/tags."""
    query = parse_query(request.scope["query_string"], ListTagsQuery, where="list_tags")
    page = await request.operate(
        list_tags, request.caller.repo, cursor=query.cursor, count_max=page_limit(query.limit)
    )
    answer: dict[str, Any] = {
        "tags": [{"cursor": tag.name, **_fields(tag)} for tag in page.tags],
        "has_more": page.has_more,
    }
    if page.has_more:
        answer["next_cursor"] = page.tags[-1].name
    return json_response(answer)


async def handle_get(request: Request) -> Response:
    """GET …/tag."""
    query = parse_query(request.scope["query_string"], GetTagQuery, where="get_tag")
    tag = await request.operate(read_tag, request.caller.repo, tag_refname(query.name))
    return json_response({"tag": _fields(tag)})


ROUTES = (
    Route(
        "list_tags",
        "GET",
        handle_list,
        released="/api/v1/repos/tags",
        preferred="/api/repos/{repo}/tags",
        scopes=(Scope.GIT_READ,),
        summary="List tags",
        query=ListTagsQuery,
        reply=TagList,
        failures=(400, 404),
    ),
    Route(
        "get_tag",
        "GET",
        handle_get,
        released="/api/v1/repos/tag",
        preferred="/api/repos/{repo}/tag",
        scopes=(Scope.GIT_READ,),
        summary="Get a tag by name",
        query=GetTagQuery,
        reply=TagAnswer,
        failures=(400, 404),
    ),
)
