"""The public keys that sign an organisation's tokens: what the operator does with them."""

from packhouse import limits
from packhouse.auth.public_keys import encode_public_key, parse_public_key
from packhouse.db import keys as rows
from packhouse.db.keys import Key
from packhouse.db.text import is_storable
from packhouse.errors import Conflict, Invalid, LimitExceeded, NotFound
from packhouse.ids import new_public_id
from packhouse.node.node import Node
from packhouse.operations.tenants.orgs import read_org

__all__ = ["Key", "KeyExists", "KeyNotFound", "add_key", "list_keys", "revoke_key"]


class KeyExists(Conflict):
    """The organisation has that very key already, and it is active. Field: `key_id`."""

    def __init__(self, key_id: str) -> None:
        super().__init__("key exists", key_id=key_id)


class KeyNotFound(NotFound):
    """The organisation has no key of that id."""

    def __init__(self, key_id: str) -> None:
        super().__init__("key not found", key_id=key_id[:100])


def add_key(node: Node, org_name: str, *, public_pem: str, label: str = "", kid: str = "") -> Key:
    """Register a public key, a PEM SubjectPublicKeyInfo; `kid` and `label` are the organisation's own words.

    Running servers believe it within `limits.keys_version_max_age_s`. Raises KeyRejected, Invalid for the
    words, OrgNotFound, KeyExists, and LimitExceeded for more active keys than
    `node.limits` allows.
    """
    for name, text in (("label", label), ("kid", kid)):
        if len(text) > limits.key_text_max_chars or not is_storable(text):
            reason = f"at most {limits.key_text_max_chars} characters of valid Unicode text"
            raise Invalid(f"invalid {name}", reason=reason)
    pem = encode_public_key(parse_public_key(public_pem))
    key_id = new_public_id("key", node.random_bytes)
    with node.database.write() as session:
        org = read_org(session, org_name)
        active = rows.list_keys(session, org.id, active_only=True)
        for existing in active:
            if existing.public_pem == pem:
                raise KeyExists(existing.key_id)
        if len(active) >= node.limits.active_keys_max:
            raise LimitExceeded("organisation has too many active keys", keys_max=node.limits.active_keys_max)
        return rows.insert_key(
            session, key_id=key_id, org_id=org.id, public_pem=pem, kid=kid, label=label, now=node.clock()
        )


def list_keys(node: Node, org_name: str) -> list[Key]:
    """Return the organisation's keys, revoked ones too, newest first; raise OrgNotFound."""
    with node.database.snapshot() as session:
        return rows.list_keys(session, read_org(session, org_name).id)


def revoke_key(node: Node, org_name: str, key_id: str) -> Key:
    """Revoke a key for good, and return it; one that is revoked already stays as it is.

    Running servers refuse its tokens within `limits.keys_version_max_age_s`. Raises OrgNotFound, KeyNotFound.
    """
    with node.database.write() as session:
        org = read_org(session, org_name)
        rows.revoke_key(session, org.id, key_id, now=node.clock())
        key = rows.find_key(session, org.id, key_id)
        if key is None:
            raise KeyNotFound(key_id)
        return key
