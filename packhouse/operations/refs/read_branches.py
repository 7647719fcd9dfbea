"""Branches as callers see them."""

from dataclasses import dataclass
from typing import Final

from packhouse.auth.principal import Principal
from packhouse.cursors import BadCursor, decode_cursor, decode_number, encode_cursor
from packhouse.db.refs import Ref, get_ref, list_branches_page
from packhouse.git.oid import Oid
from packhouse.git.refname import EPHEMERAL, PERSISTENT, RefName, is_refname, short_name
from packhouse.node.node import Node
from packhouse.operations.catalog.branches import BranchNotFound
from packhouse.operations.catalog.lookup import lookup_repo

_CURSOR_KIND: Final = b"creation"
"""Releases up to the third migration ordered branches by seconds and names. A cursor of one order says nothing about
the other: where branches share a second, going on from it would leave some out. So neither release reads the
other's."""


@dataclass(frozen=True, slots=True)
class Branch:
    """A branch. `created_at` is when this server first saw it, in seconds since 1970."""

    name: str
    head: Oid
    created_at: int


@dataclass(frozen=True, slots=True)
class BranchPage:
    """One page of branches with their cursors, in the order of creation, which is finer than seconds."""

    branches: list[tuple[Branch, str]]
    has_more: bool


def list_branches(
    node: Node, caller: Principal, name: str, *, ephemeral: bool, cursor: str | None, count_max: int
) -> BranchPage:
    """Return the branches after `cursor` (None: from the first), at most `count_max`; raise BadCursor."""
    after = None if cursor is None else _parse_cursor(cursor)
    repo = lookup_repo(node, caller, name)
    namespace = EPHEMERAL if ephemeral else PERSISTENT
    with node.database.snapshot() as session:
        page = list_branches_page(session, repo.id, namespace, after=after, limit=count_max + 1)
    return BranchPage([(_branch(ref), _cursor(ref)) for ref in page[:count_max]], len(page) > count_max)


def read_branch(node: Node, caller: Principal, name: str, refname: RefName, *, ephemeral: bool) -> Branch:
    """Return one branch by its exact name; raise BranchNotFound."""
    repo = lookup_repo(node, caller, name)
    with node.database.read() as session:
        ref = get_ref(session, repo.id, EPHEMERAL if ephemeral else PERSISTENT, refname)
    if ref is None:
        raise BranchNotFound(refname)
    return _branch(ref)


def _branch(ref: Ref) -> Branch:
    return Branch(short_name(ref.refname), ref.oid, ref.created_at)


def _cursor(ref: Ref) -> str:
    assert ref.creation is not None, "every branch of a page has its number"
    return encode_cursor(_CURSOR_KIND, str(ref.creation).encode("ascii"), ref.refname)


def _parse_cursor(cursor: str) -> tuple[int, RefName]:
    kind, creation, refname = decode_cursor(cursor, parts=3)
    if kind != _CURSOR_KIND or not is_refname(refname):
        raise BadCursor()
    return decode_number(creation), RefName(refname)
