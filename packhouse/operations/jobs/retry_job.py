"""Letting a dead job run again."""

from dataclasses import dataclass

from packhouse.db import revive_job
from packhouse.errors import Code, NotFound
from packhouse.node import Node


class JobNotFound(NotFound):
    """There is no dead job of that id."""

    code = Code.JOB_NOT_FOUND
    job: int


@dataclass(frozen=True, slots=True)
class RetryJob:
    """The dead job to run again."""

    job_id: int


def retry_job(node: Node, command: RetryJob) -> None:
    """Queue a dead job with all its attempts; raise JobNotFound."""
    job_id, now = command.job_id, node.clock()
    if not node.database.transact(lambda session: revive_job(session, job_id, now=now)):
        raise JobNotFound(job_id)
    node.wakeups.notify()
