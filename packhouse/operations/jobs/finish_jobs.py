"""Deleting jobs that are done."""

from collections.abc import Sequence
from dataclasses import dataclass

from packhouse.db import ClaimedJob, Session
from packhouse.db import jobs as rows
from packhouse.node import Node


@dataclass(frozen=True, slots=True)
class FinishJobs:
    """The worker that has done the jobs, and the jobs."""

    worker: str
    jobs: Sequence[ClaimedJob]


def finish_jobs(node: Node, command: FinishJobs) -> None:
    """Delete the jobs, without those that another worker has taken over meanwhile."""

    def finish(session: Session) -> None:
        for job in command.jobs:
            rows.finish_job(session, job, worker=command.worker)

    node.database.transact(finish)
