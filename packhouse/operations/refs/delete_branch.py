"""Deleting a branch."""

from dataclasses import dataclass

from packhouse.auth import Principal
from packhouse.db import RefMissing, RefUpdate
from packhouse.git import EPHEMERAL, PERSISTENT, RefName, short_name
from packhouse.node import Node
from packhouse.operations.catalog.lookup import lookup_repo
from packhouse.operations.refs.branches import BranchNotFound
from packhouse.repository import Receipt, RefWriter, bind


@dataclass(frozen=True, slots=True)
class DeleteBranch:
    """The branch to delete, by its exact name. The default branch can be deleted only in the ephemeral namespace."""

    repo: str
    refname: RefName
    ephemeral: bool = False


def delete_branch(
    node: Node, caller: Principal, command: DeleteBranch, *, receipt: Receipt[None] | None = None
) -> None:
    """Delete a branch at any commit. The ref log can bring its commits back.

    Raises RepoNotFound, BranchNotFound, DefaultBranchProtected and PolicyDenied.
    """
    repo = lookup_repo(node, caller, command.repo)
    namespace = EPHEMERAL if command.ephemeral else PERSISTENT
    update = RefUpdate(namespace, command.refname, None, None, any_old=True)
    writer = RefWriter(node, caller, repo, action="delete-branch")
    allowed = writer.allow(update, is_fast_forward=lambda: False)
    try:
        writer.move([allowed], receipt=bind(receipt, lambda: None))
    except RefMissing:
        raise BranchNotFound(short_name(command.refname)) from None
