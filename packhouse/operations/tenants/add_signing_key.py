"""Adding a public key that signs an organisation's commits."""

from dataclasses import dataclass

from packhouse import limits
from packhouse.db.signing_keys import SigningKeyRow, insert_signing_key, list_signing_keys
from packhouse.db.text import is_storable
from packhouse.errors import Conflict, Invalid, LimitExceeded
from packhouse.git.commands.signatures.signing_keys import SigningKey, SigningKeyRejected, parse_signing_key
from packhouse.ids import new_public_id
from packhouse.node.node import Node
from packhouse.operations.tenants.orgs import read_org


class SigningKeyExists(Conflict):
    """The organisation has that very key already, and it is active. Field: `key_id`."""

    def __init__(self, key_id: str) -> None:
        super().__init__("signing key exists", key_id=key_id)


@dataclass(frozen=True, slots=True)
class AddSigningKey:
    """`text` is an OpenPGP block, an SSH allowed-signers line or a plain SSH public key."""

    org: str
    text: str
    label: str = ""


def add_signing_key(node: Node, command: AddSigningKey) -> SigningKeyRow:
    """Register a public key, which counts for the next push.

    Raises SigningKeyRejected, Invalid for the label, OrgNotFound, SigningKeyExists, ProgramMissing, and LimitExceeded
    for more than `limits.signing_keys_max` active keys.
    """
    label = command.label
    if len(label) > limits.key_text_max_chars or not is_storable(label):
        raise Invalid(
            "invalid label", reason=f"at most {limits.key_text_max_chars} characters of valid Unicode text"
        )
    key = _judge(node, command.text)
    key_id = new_public_id("skey", node.random_bytes)
    with node.database.write() as session:
        org = read_org(session, command.org)
        active = list_signing_keys(session, org.id, active_only=True)
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
        insert_signing_key(session, row)
    return row


def _judge(node: Node, text: str) -> SigningKey:
    if not is_storable(text):
        raise SigningKeyRejected("it is no text")
    return parse_signing_key(text, scratch=node.store.scratch_dir())
