"""The public keys that sign an organisation's commits, for the rule `verify-sig`."""

from packhouse.db import list_signing_keys
from packhouse.git.commands.signatures.signing_keys import SigningKey, SigningKeyKind
from packhouse.node import Node


def load_signing_keys(node: Node, org_id: int) -> dict[str, SigningKey]:
    """Return the organisation's active keys by their ids."""
    with node.database.read() as session:
        active = list_signing_keys(session, org_id, active_only=True)
    return {
        row.signing_key_id: SigningKey(SigningKeyKind(row.kind), row.public_key, row.fingerprint)
        for row in active
    }
