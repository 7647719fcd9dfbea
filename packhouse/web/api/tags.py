"""Tags: list, get, create and delete."""

from typing import Any

import msgspec
from starlette.responses import Response

from packhouse.git.refname import short_name, tag_refname
from packhouse.operations.refs.create_tag import CreateTag, create_tag
from packhouse.operations.refs.delete_tag import DeleteTag, delete_tag
from packhouse.operations.refs.list_tags import ListTags, list_tags
from packhouse.operations.refs.read_tag import ReadTag, read_tag
from packhouse.operations.refs.tags import Tag
from packhouse.web.call import Call
from packhouse.web.edge.responses import json_response
from packhouse.web.json.fields import page_limit
from packhouse.web.json.types import AnyRef, Cursor, Name, NewTagName, PageLimit, Sha, TagName
from packhouse.web.openapi.description import Description
from packhouse.web.routing.route import Paths, of_repo, reading, writing


class ListTagsQuery(msgspec.Struct):
    """Which page."""

    cursor: Cursor | None = None
    limit: PageLimit = 0


class GetTagQuery(msgspec.Struct):
    """The exact name, without `refs/tags/`."""

    name: TagName


class TagFields(msgspec.Struct):
    """One tag; `sha` is the commit it leads to, also for an annotated tag."""

    name: Name
    sha: Sha


class ListedTag(TagFields):
    """One tag of a page."""

    cursor: Name


class TagList(msgspec.Struct):
    """A page of tags, by the bytes of their names."""

    tags: list[ListedTag]
    has_more: bool
    next_cursor: Name | msgspec.UnsetType = msgspec.UNSET


class TagAnswer(msgspec.Struct):
    """One tag."""

    tag: TagFields


class CreateTagBody(msgspec.Struct):
    """The tag's name and what it is put on: any ref input, `target` in its old form."""

    name: NewTagName
    ref: AnyRef


class CreatedTag(msgspec.Struct):
    """The new tag and its commit."""

    name: Name
    sha: Sha
    message: Name


class DeleteTagBody(msgspec.Struct):
    """The name, where the path does not hold it."""

    name: TagName


class DeletedTag(msgspec.Struct):
    """The tag that is gone."""

    name: Name
    message: Name


def _fields(tag: Tag) -> dict[str, Any]:
    return {"name": tag.name, "sha": tag.target}


async def handle_list(call: Call) -> Response:
    """GET …/tags."""
    query = call.read_query(ListTagsQuery)
    page = await call.operate(list_tags, ListTags(call.caller.repo, query.cursor, page_limit(query.limit)))
    answer: dict[str, Any] = {
        "tags": [{"cursor": tag.name, **_fields(tag)} for tag in page.tags],
        "has_more": page.has_more,
    }
    if page.has_more:
        answer["next_cursor"] = page.tags[-1].name
    return json_response(answer)


async def handle_get(call: Call) -> Response:
    """GET …/tag."""
    query = call.read_query(GetTagQuery)
    tag = await call.operate(read_tag, ReadTag(call.caller.repo, tag_refname(query.name)))
    return json_response({"tag": _fields(tag)})


async def handle_create(call: Call) -> Response:
    """POST …/tags."""
    body = await call.read_body(CreateTagBody)
    command = CreateTag(call.caller.repo, tag_refname(body.name), body.ref)
    node, principal = call.node, call.caller.principal
    return await call.write(
        lambda receipt: create_tag(node, principal, command, receipt=receipt),
        lambda tag: json_response({"name": tag.name, "sha": tag.target, "message": "tag created"}),
    )


async def handle_delete(call: Call) -> Response:
    """DELETE …/tags with the name in the body."""
    body = await call.read_body(DeleteTagBody)
    return await _delete(call, body.name)


async def handle_delete_named(call: Call) -> Response:
    """DELETE …/tags/{tag}; a body is ignored."""
    return await _delete(call, call.path_values["tag"])


async def _delete(call: Call, name: str) -> Response:
    refname = tag_refname(name)
    command = DeleteTag(call.caller.repo, refname)
    fields = {"name": short_name(refname), "message": "tag deleted"}
    node, principal = call.node, call.caller.principal
    return await call.write(
        lambda receipt: delete_tag(node, principal, command, receipt=receipt),
        lambda _: json_response(fields),
    )


ROUTES = (
    reading(
        "list_tags",
        of_repo("tags"),
        handle_list,
        Description("List tags", query=ListTagsQuery, reply=TagList),
    ),
    reading(
        "get_tag",
        of_repo("tag"),
        handle_get,
        Description("Get a tag by name", query=GetTagQuery, reply=TagAnswer),
    ),
    writing(
        "create_tag",
        of_repo("tags"),
        handle_create,
        Description("Create a tag", body=CreateTagBody, reply=CreatedTag, failures=(409,)),
    ),
    writing(
        "delete_tag",
        of_repo("tags"),
        handle_delete,
        Description("Delete a tag named in the body", body=DeleteTagBody, reply=DeletedTag),
        method="DELETE",
    ),
    writing(
        "delete_tag_by_path",
        Paths(preferred="/api/repos/{repo}/tags/{tag}"),
        handle_delete_named,
        Description("Delete a tag", reply=DeletedTag),
        method="DELETE",
    ),
)
