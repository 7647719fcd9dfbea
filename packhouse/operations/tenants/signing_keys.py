"""The public keys that sign an organisation's commits: what the operator does with them."""

from packhouse import limits
from packhouse.db import signing_keys as rows
from packhouse.db.signing_keys import SigningKeyRow
from packhouse.db.text import is_storable
from packhouse.errors import Conflict, Invalid, LimitExceeded, NotFound
from packhouse.git.objects.signing_keys import (
    SigningKey,
    SigningKeyKind,
    SigningKeyRejected,
    parse_signing_key,
)
from packhouse.ids import new_public_id
from packhouse.node.node import Node
from packhouse.operations.tenants.orgs import read_org

__all__ = [
    "SigningKeyExists",
    "SigningKeyNotFound",
    "SigningKeyRow",
    "add_signing_key",
    "list_signing_keys",
    "load_signing_keys",
    "revoke_signing_key",
]


class SigningKeyExists(Conflict):
    """The organisation has that very key already, and it is active. Field: `key_id`."""

    def __init__(self, key_id: str) -> None:
        super().__init__("signing key exists", key_id=key_id)


class SigningKeyNotFound(NotFound):
    """The organisation has no signing key of that id. Field: `key_id`."""

    def __init__(self, key_id: str) -> None:
        super().__init__("signing key not found", key_id=key_id[:100])


def add_signing_key(node: Node, org_name: str, *, text: str, label: str = "") -> SigningKeyRow:
    """Register a public key: an OpenPGP block, an SSH allowed-signers line or a plain SSH public key.

    It counts for the next push. Raises SigningKeyRejected, Invalid for the label, OrgNotFound,
    SigningKeyExists, ProgramMissing, and LimitExceeded for more than `limits.signing_keys_max` active keys.
    """
    if len(label) > limits.key_text_max_chars or not is_storable(label):
        raise Invalid(
            "invalid label", reason=f"at most {limits.key_text_max_chars} characters of valid Unicode text"
        )
    key = _judge(node, text)
    key_id = new_public_id("skey", node.random_bytes)
    with node.database.write() as session:
        org = read_org(session, org_name)
        active = rows.list_signing_keys(session, org.id, active_only=True)
        for existing in active:
            if existing.fingerprint == key.fingerprint:
                raise SigningKeyExists(existing.signing_key_id)
        if len(active) >= limits.signing_keys_max:
            raise LimitExceeded(
                "organisation has too many active signing keys", keys_max=limits.signing_keys_max
            )
        row = SigningKeyRow(
            key_id, org.id, key.kind.value, key.text, key.fingerprint, label, node.clock(), revoked_at=None
        )
        rows.insert_signing_key(session, row)
    return row


def _judge(node: Node, text: str) -> SigningKey:
    if not is_storable(text):
        raise SigningKeyRejected("it is no text")
    return parse_signing_key(text, scratch=node.store.scratch_dir())


def list_signing_keys(node: Node, org_name: str) -> list[SigningKeyRow]:
    """Return the organisation's signing keys, revoked ones too, newest first; raise OrgNotFound."""
    with node.database.snapshot() as session:
        return rows.list_signing_keys(session, read_org(session, org_name).id)


def revoke_signing_key(node: Node, org_name: str, key_id: str) -> SigningKeyRow:
    """Revoke a signing key for good, and return it; one that is revoked already stays as it is.

    Its signatures, old ones too, let no further update through. Raises OrgNotFound, SigningKeyNotFound.
    """
    with node.database.write() as session:
        org = read_org(session, org_name)
        rows.revoke_signing_key(session, org.id, key_id, now=node.clock())
        row = rows.find_signing_key(session, org.id, key_id)
        if row is None:
            raise SigningKeyNotFound(key_id)
        return row


def load_signing_keys(node: Node, org_id: int) -> dict[str, SigningKey]:
    """Return the organisation's active keys by their ids."""
    with node.database.read() as session:
        active = rows.list_signing_keys(session, org_id, active_only=True)
    return {
        row.signing_key_id: SigningKey(SigningKeyKind(row.kind), row.public_key, row.fingerprint)
        for row in active
    }
