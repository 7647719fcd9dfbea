"""Listing the refs that hold notes, by the bytes of their names, page by page."""

from dataclasses import dataclass

from packhouse import limits
from packhouse.auth import Principal
from packhouse.cursors import BadCursor
from packhouse.db import Ref, list_refs_page
from packhouse.git import NOTES, PERSISTENT, RefName, find_refname
from packhouse.node import Node
from packhouse.operations.catalog.lookup import lookup_repo


@dataclass(frozen=True, slots=True)
class ListNotesRefs:
    """The page to read: at most `count_max` refs whose full names begin with `prefix` and come after `cursor`."""

    repo: str
    prefix: bytes = NOTES
    cursor: str | None = None
    count_max: int = limits.page_default


@dataclass(frozen=True, slots=True)
class NotesRefPage:
    """One page, ordered by the bytes of the names."""

    refs: list[Ref]
    has_more: bool


def list_notes_refs(node: Node, caller: Principal, command: ListNotesRefs) -> NotesRefPage:
    """Return one page of notes refs; raise RepoNotFound and BadCursor."""
    after = None if command.cursor is None else _parse_cursor(command.cursor)
    repo = lookup_repo(node, caller, command.repo)
    prefix, count_max = command.prefix, command.count_max
    with node.database.read() as session:
        page = list_refs_page(session, repo.id, PERSISTENT, prefix=prefix, after=after, limit=count_max + 1)
    return NotesRefPage(page[:count_max], len(page) > count_max)


def _parse_cursor(cursor: str) -> RefName:
    try:
        refname = find_refname(cursor.encode("utf-8"))
    except UnicodeEncodeError:
        raise BadCursor() from None
    if refname is None:
        raise BadCursor()
    return refname
