"""Public keys of organisations, and the keys version, which tells running servers that a key has changed."""

from dataclasses import dataclass

from packhouse.db.session import Session
from packhouse.db.text import is_storable


@dataclass(frozen=True, slots=True)
class Key:
    """A public key that signs tokens. `key_id` is our id; `kid` is the organisation's own name for the key, or ""."""

    id: int
    key_id: str
    org_id: int
    public_pem: str
    kid: str
    label: str
    created_at: int
    revoked_at: int | None


def insert_key(
    session: Session, *, key_id: str, org_id: int, public_pem: str, kid: str, label: str, now: int
) -> Key:
    """Add an active key and raise the keys version."""
    row = session.one(
        "insert_key",
        key_id=key_id,
        org_id=org_id,
        public_pem=public_pem,
        kid=kid,
        label=label,
        created_at=now,
    )
    assert row is not None, "an insert returns its row"
    session.run("bump_keys_version")
    return Key(
        id=row[0],
        key_id=key_id,
        org_id=org_id,
        public_pem=public_pem,
        kid=kid,
        label=label,
        created_at=now,
        revoked_at=None,
    )


def find_key(session: Session, org_id: int, key_id: str) -> Key | None:
    """Return the organisation's key with that id, revoked or not."""
    if not is_storable(key_id):
        return None
    row = session.one("find_key", org_id=org_id, key_id=key_id)
    return None if row is None else Key(*row)


def list_keys(session: Session, org_id: int, *, active_only: bool = False) -> list[Key]:
    """Return the organisation's keys, newest first."""
    query = "list_active_keys" if active_only else "list_keys"
    return [Key(*row) for row in session.all(query, org_id=org_id)]


def revoke_key(session: Session, org_id: int, key_id: str, *, now: int) -> bool:
    """Revoke an active key and raise the keys version. Return False if there is no such active key."""
    if not is_storable(key_id) or session.run("revoke_key", org_id=org_id, key_id=key_id, now=now) == 0:
        return False
    session.run("bump_keys_version")
    return True


def get_keys_version(session: Session) -> int:
    """Return the keys version. It grows whenever a key of any organisation is added or revoked."""
    row = session.one("get_keys_version")
    assert row is not None, "the first migration inserts it"
    return int(row[0])
