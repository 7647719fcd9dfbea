"""Public keys that may sign an organisation's commits."""

from dataclasses import dataclass

from packhouse.db.session import Session
from packhouse.db.text import is_storable


@dataclass(frozen=True, slots=True)
class SigningKeyRow:
    """A registered key. `kind` is openpgp or ssh. `public_key` is the part of it that verification needs."""

    signing_key_id: str
    org_id: int
    kind: str
    public_key: str
    fingerprint: str
    label: str
    created_at: int
    revoked_at: int | None


def insert_signing_key(session: Session, row: SigningKeyRow) -> None:
    """Add an active key. The caller has checked that no active key has its fingerprint."""
    session.run(
        "insert_signing_key",
        signing_key_id=row.signing_key_id,
        org_id=row.org_id,
        kind=row.kind,
        public_key=row.public_key,
        fingerprint=row.fingerprint,
        label=row.label,
        created_at=row.created_at,
    )


def find_signing_key(session: Session, org_id: int, signing_key_id: str) -> SigningKeyRow | None:
    """Return the organisation's key with that id, revoked or not."""
    if not is_storable(signing_key_id):
        return None
    row = session.one("find_signing_key", org_id=org_id, signing_key_id=signing_key_id)
    return None if row is None else SigningKeyRow(*row)


def list_signing_keys(session: Session, org_id: int, *, active_only: bool = False) -> list[SigningKeyRow]:
    """Return the organisation's keys, newest first."""
    query = "list_active_signing_keys" if active_only else "list_signing_keys"
    return [SigningKeyRow(*row) for row in session.all(query, org_id=org_id)]


def revoke_signing_key(session: Session, org_id: int, signing_key_id: str, *, now: int) -> None:
    """Revoke a key if it is active."""
    if is_storable(signing_key_id):
        session.run("revoke_signing_key", org_id=org_id, signing_key_id=signing_key_id, now=now)
