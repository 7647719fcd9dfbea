"""Queueing a job for another attempt."""

from dataclasses import dataclass

from packhouse.db import ClaimedJob
from packhouse.db import jobs as rows
from packhouse.node import Node


@dataclass(frozen=True, slots=True, kw_only=True)
class PutBackJob:
    """The worker, its job, and the number of seconds after which the job is due again.

    `attempts` counts the attempts so far. `reason` tells an operator why the job was put back.
    """

    worker: str
    job: ClaimedJob
    delay_s: int
    attempts: int
    reason: str


def put_back_job(node: Node, command: PutBackJob) -> None:
    """Queue the job for another attempt. Does nothing if another worker has taken the job over meanwhile."""
    run_at = node.clock() + command.delay_s
    node.database.transact(
        lambda session: rows.put_back_job(
            session,
            command.job,
            worker=command.worker,
            run_at=run_at,
            attempts=command.attempts,
            last_error=command.reason,
        )
    )
