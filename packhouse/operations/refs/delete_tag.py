"""Deleting a tag, lightweight or annotated."""

from dataclasses import dataclass

from packhouse.auth import Principal
from packhouse.db import RefMissing, RefUpdate
from packhouse.git import PERSISTENT, RefName, short_name
from packhouse.node import Node
from packhouse.operations.catalog.lookup import lookup_repo
from packhouse.operations.refs.tags import TagNotFound
from packhouse.repository import Receipt, RefWriter, bind


@dataclass(frozen=True, slots=True)
class DeleteTag:
    """The tag to delete, by its exact name."""

    repo: str
    refname: RefName


def delete_tag(
    node: Node, caller: Principal, command: DeleteTag, *, receipt: Receipt[None] | None = None
) -> None:
    """Delete a tag on any object; raise RepoNotFound, TagNotFound, PolicyDenied."""
    repo = lookup_repo(node, caller, command.repo)
    update = RefUpdate(PERSISTENT, command.refname, None, None, any_old=True)
    writer = RefWriter(node, caller, repo, action="delete-tag")
    allowed = writer.allow(update, is_fast_forward=lambda: False)
    try:
        writer.move([allowed], receipt=bind(receipt, lambda: None))
    except RefMissing:
        raise TagNotFound(short_name(command.refname)) from None
