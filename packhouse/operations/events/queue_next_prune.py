"""Queueing the next run of the job that forgets old events."""

from dataclasses import dataclass

from packhouse.db import insert_job
from packhouse.node import Node


@dataclass(frozen=True, slots=True)
class QueueNextPrune:
    """In how many seconds the job `prune_events` is to run."""

    delay_s: int = 600


def queue_next_prune(node: Node, command: QueueNextPrune) -> None:
    """Queue the job; one that waits already runs at the earlier time."""
    now = node.clock()
    run_at = now + command.delay_s
    node.database.transact(lambda session: insert_job(session, "prune_events", "all", run_at=run_at, now=now))
