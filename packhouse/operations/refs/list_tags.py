"""Listing tags by the bytes of their names, page by page."""

from dataclasses import dataclass

from packhouse import limits
from packhouse.auth import Principal
from packhouse.cursors import BadCursor
from packhouse.db import list_refs_page
from packhouse.git import PERSISTENT, TAGS, RefName, find_refname
from packhouse.node import Node
from packhouse.operations.catalog.lookup import lookup_repo
from packhouse.operations.refs.tags import Tag


@dataclass(frozen=True, slots=True)
class ListTags:
    """The page to read: at most `count_max` tags after the one named `cursor` (None: from the first)."""

    repo: str
    cursor: str | None = None
    count_max: int = limits.page_default


@dataclass(frozen=True, slots=True)
class TagPage:
    """One page, ordered by the bytes of the names."""

    tags: list[Tag]
    has_more: bool


def list_tags(node: Node, caller: Principal, command: ListTags) -> TagPage:
    """Return one page of tags; raise RepoNotFound and BadCursor."""
    after = None if command.cursor is None else _parse_cursor(command.cursor)
    repo = lookup_repo(node, caller, command.repo)
    count_max = command.count_max
    with node.database.read() as session:
        page = list_refs_page(session, repo.id, PERSISTENT, prefix=TAGS, after=after, limit=count_max + 1)
    return TagPage([Tag.of(ref) for ref in page[:count_max]], len(page) > count_max)


def _parse_cursor(cursor: str) -> RefName:
    """Return the tag in a cursor. The tag may be deleted."""
    try:
        refname = find_refname(TAGS + cursor.encode("utf-8"))
    except UnicodeEncodeError:
        raise BadCursor() from None
    if refname is None:
        raise BadCursor()
    return refname
