"""Changing a stored credential."""

from dataclasses import dataclass

from packhouse.auth import Principal
from packhouse.db import credentials as rows
from packhouse.node import Node
from packhouse.operations.sync.credentials import (
    CredentialInfo,
    check_password,
    check_username,
    read_own_credential,
    sealed_name,
)
from packhouse.secret import Secret


@dataclass(frozen=True, slots=True)
class UpdateCredential:
    """The credential to change. `username` None keeps the old one, "" clears it. With `repo` it must belong to that."""

    credential_id: str
    password: Secret
    username: str | None = None
    repo: str | None = None


def update_credential(node: Node, caller: Principal, command: UpdateCredential) -> CredentialInfo:
    """Replace the password and, unless it is None, the user name. Raises Invalid and CredentialNotFound."""
    username = None if command.username is None else check_username(command.username)
    check_password(command.password)
    sealed = node.secret_keys.seal(command.password, bound_to=sealed_name(command.credential_id))
    with node.database.write() as session:
        stored = read_own_credential(session, caller, command.credential_id, repo=command.repo)
        rows.update_credential(
            session,
            stored.id,
            username=stored.username if username is None else username,
            sealed_password=sealed.content,
            sealed_with=sealed.key_id,
            now=node.clock(),
        )
    return CredentialInfo(stored.credential_id, stored.created_at)
