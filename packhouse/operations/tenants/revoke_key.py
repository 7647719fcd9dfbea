"""Revoking a public key that signs an organisation's tokens."""

from dataclasses import dataclass

from packhouse.db import Key
from packhouse.db import keys as rows
from packhouse.errors import Code, NotFound
from packhouse.node import Node
from packhouse.operations.tenants.orgs import read_org


class KeyNotFound(NotFound):
    """The organisation has no key of that id. `key_id` is its start."""

    code = Code.KEY_NOT_FOUND
    key_id: str


@dataclass(frozen=True, slots=True)
class RevokeKey:
    """An organisation, and the id of the key to revoke."""

    org: str
    key_id: str


def revoke_key(node: Node, command: RevokeKey) -> Key:
    """Revoke a key for good, and return it. A key that is revoked already stays as it is.

    Running servers refuse its tokens within `limits.keys_version_max_age_s`. Raises OrgNotFound, KeyNotFound.
    """
    with node.database.write() as session:
        org = read_org(session, command.org)
        rows.revoke_key(session, org.id, command.key_id, now=node.clock())
        key = rows.find_key(session, org.id, command.key_id)
        if key is None:
            raise KeyNotFound(command.key_id[:100])
        return key
