"""Deleting a job that is done."""

from dataclasses import dataclass

from packhouse.db import ClaimedJob
from packhouse.db import jobs as rows
from packhouse.node import Node


@dataclass(frozen=True, slots=True)
class FinishJob:
    """The worker that has done a job, and the job."""

    worker: str
    job: ClaimedJob


def finish_job(node: Node, command: FinishJob) -> None:
    """Delete the job. Does nothing if another worker has taken the job over meanwhile."""
    node.database.transact(lambda session: rows.finish_job(session, command.job, worker=command.worker))
