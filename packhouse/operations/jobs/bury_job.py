"""Making a job dead."""

from dataclasses import dataclass

from packhouse.db import ClaimedJob
from packhouse.db import jobs as rows
from packhouse.node import Node


@dataclass(frozen=True, slots=True, kw_only=True)
class BuryJob:
    """The worker that gives a job up, the job, and the reason."""

    worker: str
    job: ClaimedJob
    reason: str


def bury_job(node: Node, command: BuryJob) -> None:
    """Make the job dead. It stays so until an operator retries it.

    Does nothing if another worker has taken the job over meanwhile.
    """
    now = node.clock()
    node.database.transact(
        lambda session: rows.bury_job(
            session, command.job, worker=command.worker, last_error=command.reason, now=now
        )
    )
