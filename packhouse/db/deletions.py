"""Deleting many repositories at once. Each one is deleted as mark_repo_deleted() does it."""

from dataclasses import dataclass

from packhouse.db.session import Session
from packhouse.db.text import after_prefix, is_storable
from packhouse.ids import RepoId, RepoKey


@dataclass(frozen=True, slots=True)
class DeletedRow:
    """The row of a repository that was just deleted."""

    id: RepoKey
    public_id: RepoId
    org_name: str
    name: str


def has_expired_repos(session: Session, *, now: int) -> bool:
    """Tell whether a repository is to be deleted because its `expires_at` has come."""
    return session.one("find_expired_repo", now=now) is not None


def mark_expired_deleted(session: Session, *, limit: int, state: int, now: int) -> list[DeletedRow]:
    """Delete up to `limit` repositories whose `expires_at` has come; return them.

    A time that was moved meanwhile counts: it is compared again once the row is locked. All of them get `state` beside
    their new `refs_version`, since the pair tells apart the states of one repository only.
    """
    return [
        DeletedRow(*row) for row in session.all("mark_expired_deleted", limit=limit, state=state, now=now)
    ]


def mark_prefixed_deleted(
    session: Session, org_id: int, prefix: str, *, limit: int, state: int, now: int
) -> list[DeletedRow]:
    """Delete up to `limit` repositories whose names start with `prefix`, byte for byte. Return them by name."""
    if not is_storable(prefix):
        return []
    rows = session.all(
        "mark_prefixed_deleted",
        org_id=org_id,
        prefix=prefix,
        after=after_prefix(prefix),
        limit=limit,
        state=state,
        now=now,
    )
    return sorted((DeletedRow(*row) for row in rows), key=_name_bytes)


def count_prefixed_repos(session: Session, org_id: int, prefix: str) -> int:
    """Return the number of living repositories whose names start with `prefix`, byte for byte."""
    if not is_storable(prefix):
        return 0
    row = session.one("count_prefixed_repos", org_id=org_id, prefix=prefix, after=after_prefix(prefix))
    assert row is not None, "a count is always one row"
    return int(row[0])


def has_prefixed_repos(session: Session, org_id: int, prefix: str) -> bool:
    """Tell whether a living repository has a name that starts with `prefix`, byte for byte."""
    if not is_storable(prefix):
        return False
    row = session.one("find_prefixed_repo", org_id=org_id, prefix=prefix, after=after_prefix(prefix))
    return row is not None


def _name_bytes(row: DeletedRow) -> bytes:
    return row.name.encode("utf-8")
