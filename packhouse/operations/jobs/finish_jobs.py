"""Deleting jobs that are done."""

from collections.abc import Sequence
from dataclasses import dataclass

from packhouse.db import ClaimedJob
from packhouse.db import jobs as rows
from packhouse.node import Node


@dataclass(frozen=True, slots=True)
class FinishJobs:
    """The worker that has done the jobs, and the jobs."""

    worker: str
    jobs: Sequence[ClaimedJob]


def finish_jobs(node: Node, command: FinishJobs) -> None:
    """Delete the jobs, without those that another worker has taken over meanwhile."""
    node.database.transact(lambda session: rows.finish_jobs(session, command.jobs, worker=command.worker))
