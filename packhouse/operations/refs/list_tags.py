"""Tags as callers see them: a name and the commit it leads to."""

from dataclasses import dataclass

from packhouse.auth.principal import Principal
from packhouse.cursors import BadCursor
from packhouse.db.refs import Ref, get_ref, list_refs_page
from packhouse.errors import NotFound
from packhouse.git.oid import Oid
from packhouse.git.refname import PERSISTENT, TAGS, RefName, is_refname, short_name
from packhouse.node.node import Node
from packhouse.operations.catalog.lookup import lookup_repo


class TagNotFound(NotFound):
    """The repository has no such tag. Field: tag."""

    def __init__(self, refname: RefName) -> None:
        super().__init__("tag does not exist", tag=short_name(refname))


@dataclass(frozen=True, slots=True)
class Tag:
    """A tag; `target` is what it leads to once annotated tags are followed, a commit as a rule."""

    name: str
    target: Oid


@dataclass(frozen=True, slots=True)
class TagPage:
    """One page, ordered by the bytes of the names."""

    tags: list[Tag]
    has_more: bool


def list_tags(node: Node, caller: Principal, name: str, *, cursor: str | None, count_max: int) -> TagPage:
    """Return the tags after the one named `cursor` (None: from the first); raise RepoNotFound, BadCursor."""
    after = None if cursor is None else _parse_cursor(cursor)
    repo = lookup_repo(node, caller, name)
    with node.database.read() as session:
        page = list_refs_page(session, repo.id, PERSISTENT, prefix=TAGS, after=after, limit=count_max + 1)
    return TagPage([_tag(ref) for ref in page[:count_max]], len(page) > count_max)


def read_tag(node: Node, caller: Principal, name: str, refname: RefName) -> Tag:
    """Return one tag by its exact name; raise RepoNotFound, TagNotFound."""
    repo = lookup_repo(node, caller, name)
    with node.database.read() as session:
        ref = get_ref(session, repo.id, PERSISTENT, refname)
    if ref is None:
        raise TagNotFound(refname)
    return _tag(ref)


def _tag(ref: Ref) -> Tag:
    return Tag(short_name(ref.refname), ref.peeled_oid or ref.oid)


def _parse_cursor(cursor: str) -> RefName:
    """Return the tag in a cursor, which need not exist any more."""
    try:
        refname = TAGS + cursor.encode("utf-8")
    except UnicodeEncodeError:
        raise BadCursor() from None
    if not is_refname(refname):
        raise BadCursor()
    return RefName(refname)
