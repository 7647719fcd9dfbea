"""The queue of background work. The transaction that causes some work inserts its job.

A worker claims a job for the length of a lease, and extends the lease while it works. When the worker is killed, the
lease ends and another worker takes the job over. So a job may run twice. It may also run beside a worker that was only
suspended. Every job must be written for that.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from packhouse.db.session import Row, Session, SqlValue
from packhouse.ids import RepoId, RepoKey

JOB_STATES: Final = ("running", "waiting", "dead")


class JobPriority(IntEnum):
    """The classes of jobs. Workers take jobs of one class at a time, so none is held up by thousands of another."""

    NORMAL = 0
    LOW = -1  # work that nobody waits for


@dataclass(frozen=True, slots=True)
class ClaimedJob:
    """A job that a worker holds. `attempts` includes this attempt. Together with the id it names the claim."""

    id: int
    kind: str
    key: str
    repo_id: RepoKey | None
    payload: str
    attempts: int


@dataclass(frozen=True, slots=True)
class JobRow:
    """A job as an operator sees it. `state` is waiting, running or dead."""

    id: int
    kind: str
    key: str
    repo_id: RepoKey | None
    state: str
    run_at: int
    attempts: int
    lease_until: int | None
    last_error: str
    created_at: int
    ended_at: int | None


def insert_job(
    session: Session,
    kind: str,
    key: str,
    *,
    repo_id: RepoKey | None = None,
    payload: str = "{}",
    priority: JobPriority = JobPriority.NORMAL,
    run_at: int,
    now: int,
) -> None:
    """Queue a job. If one of the same kind and key waits already, that one runs at the earlier of the two times.

    `payload` is JSON.
    """
    session.run(
        "insert_job",
        kind=kind,
        key=key,
        repo_id=repo_id,
        payload=payload,
        priority=priority,
        run_at=run_at,
        now=now,
    )


def insert_jobs(
    session: Session,
    kind: str,
    repos: Iterable[tuple[RepoKey, RepoId]],
    *,
    priority: JobPriority,
    run_at: int,
    now: int,
) -> None:
    """Queue a job for each repository, with its public id as the key. See insert_job()."""
    rows: list[dict[str, SqlValue]] = [
        {
            "kind": kind,
            "key": public_id,
            "repo_id": repo_id,
            "payload": "{}",
            "priority": priority,
            "run_at": run_at,
            "now": now,
        }
        for repo_id, public_id in repos
    ]
    if rows:
        session.run_many("insert_job", rows)


def list_claimable_jobs(
    session: Session, *, now: int, limit: int, priority: JobPriority = JobPriority.NORMAL
) -> list[int]:
    """Return the ids of at most `limit` jobs to claim: first those of dead workers, then those due for longest."""
    asked = {"now": now, "limit": limit, "priority": int(priority)}
    abandoned = [int(row[0]) for row in session.all("list_abandoned_jobs", **asked)]
    due = [int(row[0]) for row in session.all("list_due_jobs", **asked)]
    return [*abandoned, *due][:limit]


def claim_job(session: Session, job_id: int, *, worker: str, lease_until: int, now: int) -> ClaimedJob | None:
    """Claim a job that list_claimable_jobs() returned. Return None if another worker was faster."""
    row = session.one("claim_job", job_id=job_id, worker=worker, lease_until=lease_until, now=now)
    return None if row is None else ClaimedJob(*row)


def extend_lease(session: Session, job: ClaimedJob, *, worker: str, lease_until: int) -> bool:
    """Extend the lease of a job. Return False if another worker has taken it over."""
    changed = session.run(
        "extend_job_lease", job_id=job.id, attempts=job.attempts, worker=worker, lease_until=lease_until
    )
    return changed > 0


def finish_jobs(session: Session, jobs: Iterable[ClaimedJob], *, worker: str) -> int:
    """Delete finished jobs. Return the number of those that no other worker has taken over."""
    rows: list[dict[str, SqlValue]] = [
        {"job_id": job.id, "attempts": job.attempts, "worker": worker} for job in jobs
    ]
    return session.run_many("delete_finished_job", rows) if rows else 0


def put_back_job(
    session: Session, job: ClaimedJob, *, worker: str, run_at: int, attempts: int, last_error: str
) -> None:
    """Let a job wait for another attempt. It is merged into an equal job that already waits."""
    row = _delete_leased(session, job, worker)
    if row is not None:
        _insert_again(session, row, run_at=run_at, attempts=attempts, last_error=last_error)


def bury_job(session: Session, job: ClaimedJob, *, worker: str, last_error: str, now: int) -> None:
    """Mark a job as dead. It stays so until an operator looks at it."""
    session.run(
        "bury_job", job_id=job.id, attempts=job.attempts, worker=worker, last_error=last_error, now=now
    )


def list_jobs(session: Session, state: str, *, limit: int) -> list[JobRow]:
    """Return jobs of one state (running, waiting or dead), the most urgent first."""
    assert state in JOB_STATES, state
    if state != "waiting":
        return [JobRow(*row) for row in session.all(f"list_{state}_jobs", limit=limit)]
    rows = [
        JobRow(*row)
        for priority in JobPriority
        for row in session.all("list_waiting_jobs", priority=int(priority), limit=limit)
    ]
    return sorted(rows, key=lambda job: (job.run_at, job.id))[:limit]


def revive_job(session: Session, job_id: int, *, now: int) -> bool:
    """Let a dead job wait again, with all its attempts. Return False if there is no such dead job."""
    row = session.one("delete_dead_job", job_id=job_id)
    if row is None:
        return False
    _insert_again(session, row, run_at=now, attempts=0, last_error="")
    return True


def _delete_leased(session: Session, job: ClaimedJob, worker: str) -> Row | None:
    return session.one("delete_leased_job", job_id=job.id, attempts=job.attempts, worker=worker)


def _insert_again(session: Session, row: Row, *, run_at: int, attempts: int, last_error: str) -> None:
    kind, key, repo_id, payload, priority, created_at = row
    session.run(
        "insert_job_again",
        kind=kind,
        key=key,
        repo_id=repo_id,
        payload=payload,
        priority=priority,
        run_at=run_at,
        attempts=attempts,
        last_error=last_error,
        created_at=created_at,
    )
