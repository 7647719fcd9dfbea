"""Extending the leases of a worker's jobs."""

from collections.abc import Sequence
from dataclasses import dataclass

from packhouse.db import ClaimedJob, Session, extend_lease
from packhouse.node import Node


@dataclass(frozen=True, slots=True)
class ExtendJobs:
    """A worker, and the jobs that it claimed."""

    worker: str
    jobs: Sequence[ClaimedJob]


def extend_jobs(node: Node, command: ExtendJobs) -> list[ClaimedJob]:
    """Extend the leases of the jobs; return the jobs that the worker still holds."""
    if not command.jobs:
        return []
    until = node.clock() + node.config.job_lease_s

    def extend(session: Session) -> list[ClaimedJob]:
        return [
            job
            for job in command.jobs
            if extend_lease(session, job, worker=command.worker, lease_until=until)
        ]

    return node.database.transact(extend)
