"""Tags: list, get, create and delete."""

import msgspec
from msgspec import UNSET, UnsetType

from packhouse.git import short_name, tag_refname
from packhouse.operations.refs.create_tag import CreateTag, create_tag
from packhouse.operations.refs.delete_tag import DeleteTag, delete_tag
from packhouse.operations.refs.list_tags import ListTags, list_tags
from packhouse.operations.refs.read_tag import ReadTag, read_tag
from packhouse.web.call import Call
from packhouse.web.json import AnyRef, Cursor, Name, NewTagName, PageLimit, Sha, TagName, page_limit
from packhouse.web.openapi.description import Description
from packhouse.web.prepared_write import PreparedWrite
from packhouse.web.routing.route import Paths, of_repo, reading, writing


class ListTagsQuery(msgspec.Struct):
    """The page to return."""

    cursor: Cursor | None = None
    limit: PageLimit = 0


class GetTagQuery(msgspec.Struct):
    """The exact name, without `refs/tags/`."""

    name: TagName


class TagFields(msgspec.Struct):
    """One tag; `sha` is the commit it leads to, also for an annotated tag."""

    name: Name
    sha: Sha


class ListedTag(msgspec.Struct):
    """One tag of a page."""

    cursor: Name
    name: Name
    sha: Sha


class TagList(msgspec.Struct):
    """A page of tags, by the bytes of their names."""

    tags: list[ListedTag]
    has_more: bool
    next_cursor: Name | UnsetType = UNSET


class TagAnswer(msgspec.Struct):
    """One tag."""

    tag: TagFields


class CreateTagBody(msgspec.Struct):
    """The name of the tag, and the ref that it is put on. `target` is the old name of `ref`."""

    name: NewTagName
    ref: AnyRef


class CreatedTag(msgspec.Struct):
    """The new tag and its commit."""

    name: Name
    sha: Sha
    message: Name


class DeleteTagBody(msgspec.Struct):
    """The name of the tag, where the path does not have it."""

    name: TagName


class DeletedTag(msgspec.Struct):
    """The tag that is gone."""

    name: Name
    message: Name


async def handle_list(call: Call) -> TagList:
    """GET …/tags."""
    query = call.read_query(ListTagsQuery)
    page = await call.operate(list_tags, ListTags(call.caller.repo, query.cursor, page_limit(query.limit)))
    tags = [ListedTag(tag.name, tag.name, tag.target) for tag in page.tags]
    return TagList(tags, page.has_more, tags[-1].cursor if page.has_more else UNSET)


async def handle_get(call: Call) -> TagAnswer:
    """GET …/tag."""
    query = call.read_query(GetTagQuery)
    tag = await call.operate(read_tag, ReadTag(call.caller.repo, tag_refname(query.name)))
    return TagAnswer(TagFields(tag.name, tag.target))


async def handle_create(call: Call) -> PreparedWrite[CreatedTag]:
    """POST …/tags."""
    body = await call.read_body(CreateTagBody)
    command = CreateTag(call.caller.repo, tag_refname(body.name), body.ref)
    return call.prepare_write(
        create_tag, command, lambda tag: CreatedTag(tag.name, tag.target, "tag created")
    )


async def handle_delete(call: Call) -> PreparedWrite[DeletedTag]:
    """DELETE …/tags with the name in the body."""
    body = await call.read_body(DeleteTagBody)
    return _prepare_delete(call, body.name)


async def handle_delete_named(call: Call) -> PreparedWrite[DeletedTag]:
    """DELETE …/tags/{tag}; a body is ignored."""
    return _prepare_delete(call, call.path_values["tag"])


def _prepare_delete(call: Call, name: str) -> PreparedWrite[DeletedTag]:
    refname = tag_refname(name)
    reply = DeletedTag(short_name(refname), "tag deleted")
    return call.prepare_write(delete_tag, DeleteTag(call.caller.repo, refname), lambda _: reply)


ROUTES = (
    reading(
        "list_tags",
        of_repo("tags"),
        handle_list,
        Description("List tags", query=ListTagsQuery),
    ),
    reading(
        "get_tag",
        of_repo("tag"),
        handle_get,
        Description("Get a tag by name", query=GetTagQuery),
    ),
    writing(
        "create_tag",
        of_repo("tags"),
        handle_create,
        Description("Create a tag", body=CreateTagBody, failures=(409,)),
    ),
    writing(
        "delete_tag",
        of_repo("tags"),
        handle_delete,
        Description("Delete a tag named in the body", body=DeleteTagBody),
        method="DELETE",
    ),
    writing(
        "delete_tag_by_path",
        Paths(preferred="/api/repos/{repo}/tags/{tag}"),
        handle_delete_named,
        Description("Delete a tag"),
        method="DELETE",
    ),
)
