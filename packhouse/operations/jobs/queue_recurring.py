"""Queueing recurring jobs."""

from collections.abc import Mapping
from dataclasses import dataclass

from packhouse.db import Session, insert_job
from packhouse.node import Node


@dataclass(frozen=True, slots=True)
class QueueRecurring:
    """The number of seconds until the next run for each kind of job."""

    delays_s: Mapping[str, int]


def queue_recurring(node: Node, command: QueueRecurring) -> None:
    """Queue one job with the key `all` of each kind, unless such a job waits already."""
    now = node.clock()

    def queue(session: Session) -> None:
        for kind, delay_s in command.delays_s.items():
            insert_job(session, kind, "all", run_at=now + delay_s, now=now)

    node.database.transact(queue)
