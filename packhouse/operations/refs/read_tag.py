"""Reading one tag."""

from dataclasses import dataclass

from packhouse.auth import Principal
from packhouse.db import get_ref
from packhouse.git import PERSISTENT, RefName, short_name
from packhouse.node import Node
from packhouse.operations.catalog.lookup import lookup_repo
from packhouse.operations.refs.tags import Tag, TagNotFound


@dataclass(frozen=True, slots=True)
class ReadTag:
    """The tag to read, by its exact name."""

    repo: str
    refname: RefName


def read_tag(node: Node, caller: Principal, command: ReadTag) -> Tag:
    """Return the tag; raise RepoNotFound and TagNotFound."""
    repo = lookup_repo(node, caller, command.repo)
    with node.database.read() as session:
        ref = get_ref(session, repo.id, PERSISTENT, command.refname)
    if ref is None:
        raise TagNotFound(short_name(command.refname))
    return Tag.of(ref)
