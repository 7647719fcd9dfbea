"""Revoking a public key that signs an organisation's commits."""

from dataclasses import dataclass

from packhouse.db import SigningKeyRow
from packhouse.db import signing_keys as rows
from packhouse.errors import Code, NotFound
from packhouse.node import Node
from packhouse.operations.tenants.orgs import read_org


class SigningKeyNotFound(NotFound):
    """The organisation has no signing key of that id. `key_id` is its start."""

    code = Code.SIGNING_KEY_NOT_FOUND
    key_id: str


@dataclass(frozen=True, slots=True)
class RevokeSigningKey:
    """An organisation, and the id of the signing key to revoke."""

    org: str
    key_id: str


def revoke_signing_key(node: Node, command: RevokeSigningKey) -> SigningKeyRow:
    """Revoke a signing key for good, and return it. A key that is revoked already stays as it is.

    Its signatures, old ones too, let no further update through. Raises OrgNotFound, SigningKeyNotFound.
    """
    with node.database.write() as session:
        org = read_org(session, command.org)
        rows.revoke_signing_key(session, org.id, command.key_id, now=node.clock())
        row = rows.find_signing_key(session, org.id, command.key_id)
        if row is None:
            raise SigningKeyNotFound(command.key_id[:100])
        return row
