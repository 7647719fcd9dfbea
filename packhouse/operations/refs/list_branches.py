"""Listing branches in the order of their creation, page by page."""

from dataclasses import dataclass
from typing import Final

from packhouse import limits
from packhouse.auth import Principal
from packhouse.cursors import BadCursor, decode_cursor, decode_number, encode_cursor
from packhouse.db import Ref, list_branches_page
from packhouse.git import EPHEMERAL, PERSISTENT, RefName, find_refname
from packhouse.node import Node
from packhouse.operations.catalog.lookup import lookup_repo
from packhouse.operations.refs.branches import Branch

_CURSOR_KIND: Final = b"creation"
"""The kind of cursor that this release reads and writes.

Releases up to the third migration ordered branches by seconds and names. A cursor of one order has no place in the
other: a reader that went on from it would miss branches of the same second. So neither release reads the cursors of
the other."""


@dataclass(frozen=True, slots=True)
class ListBranches:
    """The page to read: at most `count_max` branches of one namespace after `cursor` (None: from the first)."""

    repo: str
    ephemeral: bool = False
    cursor: str | None = None
    count_max: int = limits.page_default


@dataclass(frozen=True, slots=True)
class BranchPage:
    """One page of branches, each with its cursor. The order of creation is finer than seconds."""

    branches: list[tuple[Branch, str]]
    has_more: bool


def list_branches(node: Node, caller: Principal, command: ListBranches) -> BranchPage:
    """Return one page of branches; raise RepoNotFound and BadCursor."""
    after = None if command.cursor is None else _parse_cursor(command.cursor)
    repo = lookup_repo(node, caller, command.repo)
    namespace = EPHEMERAL if command.ephemeral else PERSISTENT
    count_max = command.count_max
    with node.database.snapshot() as session:
        page = list_branches_page(session, repo.id, namespace, after=after, limit=count_max + 1)
    return BranchPage([(Branch.of(ref), _cursor(ref)) for ref in page[:count_max]], len(page) > count_max)


def _cursor(ref: Ref) -> str:
    assert ref.creation is not None, "every branch of a page has its number"
    return encode_cursor(_CURSOR_KIND, str(ref.creation).encode("ascii"), ref.refname)


def _parse_cursor(cursor: str) -> tuple[int, RefName]:
    kind, creation, name = decode_cursor(cursor, parts=3)
    refname = find_refname(name)
    if kind != _CURSOR_KIND or refname is None:
        raise BadCursor()
    return decode_number(creation), refname
