"""Claiming jobs that are due."""

from dataclasses import dataclass

from packhouse.db import ClaimedJob, JobPriority, Session, claim_job, list_claimable_jobs
from packhouse.node import Node

__all__ = ["ClaimJobs", "ClaimedJob", "JobPriority", "claim_jobs"]


@dataclass(frozen=True, slots=True)
class ClaimJobs:
    """The worker, the largest number of jobs to claim, and their priority."""

    worker: str
    count_max: int
    priority: JobPriority = JobPriority.NORMAL


def claim_jobs(node: Node, command: ClaimJobs) -> list[ClaimedJob]:
    """Claim jobs of one priority for the length of a lease: first those of dead workers, then due ones."""
    now = node.clock()
    with node.database.read() as session:
        ids = list_claimable_jobs(session, now=now, limit=command.count_max, priority=command.priority)
    if not ids:
        return []
    until = now + node.config.job_lease_s

    def claim(session: Session) -> list[ClaimedJob]:
        jobs = (claim_job(session, i, worker=command.worker, lease_until=until, now=now) for i in ids)
        return [job for job in jobs if job is not None]

    return node.database.transact(claim)
