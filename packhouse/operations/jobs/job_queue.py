"""The queue of jobs as a worker uses it: claim due jobs, extend their leases, and record their results.

A worker whose job was taken over by another worker changes nothing any more.
"""

from collections.abc import Mapping, Sequence

from packhouse.db import (
    ClaimedJob,
    Session,
    bury_job,
    claim_job,
    extend_lease,
    finish_job,
    insert_job,
    list_claimable_jobs,
    put_back_job,
)
from packhouse.node import Node

__all__ = ["ClaimedJob", "bury", "claim_jobs", "extend_jobs", "finish", "put_back", "queue_recurring"]


def queue_recurring(node: Node, delays_s: Mapping[str, int]) -> None:
    """Queue one job with the key `all` of each kind, to run after its delay, unless such a job waits already."""
    now = node.clock()

    def queue(session: Session) -> None:
        for kind, delay_s in delays_s.items():
            insert_job(session, kind, "all", run_at=now + delay_s, now=now)

    node.database.transact(queue)


def claim_jobs(node: Node, worker: str, *, count_max: int) -> list[ClaimedJob]:
    """Claim at most `count_max` jobs for the length of a lease: first the jobs of dead workers, then due ones."""
    now = node.clock()
    with node.database.read() as session:
        ids = list_claimable_jobs(session, now=now, limit=count_max)
    if not ids:
        return []
    until = now + node.config.job_lease_s

    def claim(session: Session) -> list[ClaimedJob]:
        jobs = (claim_job(session, i, worker=worker, lease_until=until, now=now) for i in ids)
        return [job for job in jobs if job is not None]

    return node.database.transact(claim)


def extend_jobs(node: Node, worker: str, jobs: Sequence[ClaimedJob]) -> list[ClaimedJob]:
    """Extend the leases of jobs; return those that `worker` still holds."""
    if not jobs:
        return []
    until = node.clock() + node.config.job_lease_s

    def extend(session: Session) -> list[ClaimedJob]:
        return [job for job in jobs if extend_lease(session, job, worker=worker, lease_until=until)]

    return node.database.transact(extend)


def finish(node: Node, worker: str, job: ClaimedJob) -> None:
    """Delete a job that is done."""
    node.database.transact(lambda session: finish_job(session, job, worker=worker))


def put_back(node: Node, worker: str, job: ClaimedJob, *, delay_s: int, attempts: int, why: str) -> None:
    """Queue a job for another attempt after `delay_s` seconds. `attempts` counts the attempts so far."""
    run_at = node.clock() + delay_s
    node.database.transact(
        lambda session: put_back_job(
            session, job, worker=worker, run_at=run_at, attempts=attempts, last_error=why
        )
    )


def bury(node: Node, worker: str, job: ClaimedJob, *, why: str) -> None:
    """Make a job dead. It stays so until an operator retries it."""
    now = node.clock()
    node.database.transact(lambda session: bury_job(session, job, worker=worker, last_error=why, now=now))
