"""The upstream of a repository, and the results of its syncs."""

from dataclasses import dataclass

from packhouse.db.session import Session
from packhouse.ids import RepoKey


@dataclass(frozen=True, slots=True)
class Upstream:
    """A followed remote. `state` is waiting (no run was ever asked for), syncing or idle.

    `run_count` counts ended runs. `first_run_ended_at` is the end of the first run, also of a failed one. `synced_at`
    is the end of the latest successful run.
    """

    repo_id: RepoKey
    provider: str
    host: str
    owner: str
    name: str
    auth_mode: str
    state: str
    run_count: int
    started_at: int | None
    first_run_ended_at: int | None
    synced_at: int | None
    last_error: str
    created_at: int


def insert_upstream(
    session: Session,
    repo_id: RepoKey,
    *,
    provider: str,
    host: str,
    owner: str,
    name: str,
    auth_mode: str,
    syncing: bool,
    now: int,
) -> None:
    """Link a new repository to its upstream. `syncing` tells that the first run is queued with it."""
    session.run(
        "insert_upstream",
        repo_id=repo_id,
        provider=provider,
        host=host,
        owner=owner,
        name=name,
        auth_mode=auth_mode,
        state="syncing" if syncing else "waiting",
        now=now,
    )


def find_upstream(session: Session, repo_id: RepoKey) -> Upstream | None:
    """Return the upstream of a repository."""
    row = session.one("find_upstream", repo_id=repo_id)
    return None if row is None else Upstream(*row)


def mark_syncing(session: Session, repo_id: RepoKey, *, now: int) -> bool:
    """Note that a run is queued or under way. Return False if there is no upstream any more."""
    return session.run("mark_upstream_syncing", repo_id=repo_id, now=now) > 0


def mark_synced(session: Session, repo_id: RepoKey, *, now: int) -> bool:
    """Note that a run succeeded. Return False if there is no upstream any more."""
    return session.run("mark_upstream_synced", repo_id=repo_id, now=now) > 0


def mark_failed(session: Session, repo_id: RepoKey, *, error: str, now: int) -> bool:
    """Note that a run failed. Return False if there is no upstream any more."""
    return session.run("mark_upstream_failed", repo_id=repo_id, error=error, now=now) > 0


def delete_upstream(session: Session, repo_id: RepoKey) -> bool:
    """Unlink a repository from its upstream. Return False if it has none."""
    return session.run("delete_upstream", repo_id=repo_id) > 0
