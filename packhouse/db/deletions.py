"""Deleting many repositories at once. Each one is deleted as mark_repo_deleted() does it."""

from dataclasses import dataclass

from packhouse.db.session import Session
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
