"""Adding a public key that signs an organisation's commits."""

from dataclasses import dataclass

from packhouse import limits
from packhouse.db import SigningKeyRow, insert_signing_key, is_storable, list_signing_keys
from packhouse.errors import Code, Conflict, LimitExceeded
from packhouse.git.commands.signatures.signing_keys import SigningKey, SigningKeyRejected, parse_signing_key
from packhouse.ids import new_public_id
from packhouse.node import Node
from packhouse.operations.tenants.add_key import check_label
from packhouse.operations.tenants.orgs import read_org


class TooManySigningKeys(LimitExceeded):
    """The organisation may have no more active signing keys. Revoke one first."""

    code = Code.TOO_MANY_SIGNING_KEYS
    keys_max: int


class SigningKeyExists(Conflict):
    """The organisation has this signing key already, and the key is active."""

    code = Code.SIGNING_KEY_EXISTS
    key_id: str


@dataclass(frozen=True, slots=True)
class AddSigningKey:
    """A public key to add: `text` is an OpenPGP block, an SSH allowed-signers line or a plain SSH public key."""

    org: str
    text: str
    label: str = ""


def add_signing_key(node: Node, command: AddSigningKey) -> SigningKeyRow:
    """Add a public key, which counts from the next push on.

    Raises SigningKeyRejected, KeyLabelInvalid, OrgNotFound, SigningKeyExists, ProgramMissing, and TooManySigningKeys
    for more than `limits.signing_keys_max` active keys.
    """
    check_label(command.label)
    key = _judge(node, command.text)
    key_id = new_public_id("skey", node.random_bytes)
    with node.database.write() as session:
        org = read_org(session, command.org)
        active = list_signing_keys(session, org.id, active_only=True)
        for existing in active:
            if existing.fingerprint == key.fingerprint:
                raise SigningKeyExists(existing.signing_key_id)
        if len(active) >= limits.signing_keys_max:
            raise TooManySigningKeys(limits.signing_keys_max)
        row = SigningKeyRow(
            key_id,
            org.id,
            key.kind.value,
            key.text,
            key.fingerprint,
            command.label,
            node.clock(),
            revoked_at=None,
        )
        insert_signing_key(session, row)
    return row


def _judge(node: Node, text: str) -> SigningKey:
    if not is_storable(text):
        raise SigningKeyRejected("it is no text")
    return parse_signing_key(text, scratch=node.store.scratch_dir())
