"""Adding a public key that signs an organisation's tokens."""

from dataclasses import dataclass
from typing import Final

from packhouse import limits
from packhouse.auth import encode_public_key, parse_public_key
from packhouse.db import Key, insert_key, is_storable, list_keys
from packhouse.errors import Code, Conflict, Invalid, LimitExceeded
from packhouse.ids import new_public_id
from packhouse.node import Node
from packhouse.operations.tenants.orgs import read_org

_TEXT_RULE: Final = f"at most {limits.key_text_max_chars} characters of valid Unicode text"


class TooManyKeys(LimitExceeded):
    """The organisation may have no more active keys. Revoke one first."""

    code = Code.TOO_MANY_KEYS
    keys_max: int


class KeyLabelInvalid(Invalid):
    """The label of a key is too long, or holds text that one of the SQL engines refuses."""

    code = Code.KEY_LABEL_INVALID
    reason: str


class KidInvalid(Invalid):
    """The organisation's own id of a key is too long, or holds text that one of the SQL engines refuses."""

    code = Code.KID_INVALID
    reason: str


class KeyExists(Conflict):
    """The organisation has this key already, and the key is active."""

    code = Code.KEY_EXISTS
    key_id: str


@dataclass(frozen=True, slots=True)
class AddKey:
    """A public key, as a PEM SubjectPublicKeyInfo. `label` and `kid` are the organisation's own words."""

    org: str
    public_pem: str
    label: str = ""
    kid: str = ""


def add_key(node: Node, command: AddKey) -> Key:
    """Register a public key. Running servers accept its tokens within `limits.keys_version_max_age_s`.

    Raises KeyRejected, KeyLabelInvalid, KidInvalid, OrgNotFound, KeyExists, and TooManyKeys for more active keys than
    `node.limits` allows.
    """
    check_label(command.label)
    if not _is_text(command.kid):
        raise KidInvalid(_TEXT_RULE)
    pem = encode_public_key(parse_public_key(command.public_pem))
    key_id = new_public_id("key", node.random_bytes)
    with node.database.write() as session:
        org = read_org(session, command.org)
        active = list_keys(session, org.id, active_only=True)
        for existing in active:
            if existing.public_pem == pem:
                raise KeyExists(existing.key_id)
        if len(active) >= node.limits.active_keys_max:
            raise TooManyKeys(node.limits.active_keys_max)
        return insert_key(
            session,
            key_id=key_id,
            org_id=org.id,
            public_pem=pem,
            kid=command.kid,
            label=command.label,
            now=node.clock(),
        )


def check_label(label: str) -> None:
    """Raise KeyLabelInvalid for a label that no key of an organisation may have."""
    if not _is_text(label):
        raise KeyLabelInvalid(_TEXT_RULE)


def _is_text(words: str) -> bool:
    return len(words) <= limits.key_text_max_chars and is_storable(words)
