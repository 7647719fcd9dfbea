"""Deleting a stored credential."""

from dataclasses import dataclass

from packhouse.auth import Principal
from packhouse.db import credentials as rows
from packhouse.node import Node
from packhouse.operations.sync.credentials import read_own_credential


@dataclass(frozen=True, slots=True)
class DeleteCredential:
    """The credential to delete. With `repo` it must belong to that repository."""

    credential_id: str
    repo: str | None = None


def delete_credential(node: Node, caller: Principal, command: DeleteCredential) -> None:
    """Delete a credential; raise CredentialNotFound."""
    with node.database.write() as session:
        stored = read_own_credential(session, caller, command.credential_id, repo=command.repo)
        rows.delete_credential(session, stored.id)
