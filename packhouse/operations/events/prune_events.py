"""Deleting old answers, and events and deliveries older than the operator wants to keep."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from packhouse.db import Session, delete_expired_answers, events, insert_job, webhook_deliveries
from packhouse.node import Node, ShouldStop, never
from packhouse.repository import expired_before

_AGAIN_S: Final = 600


@dataclass(frozen=True, slots=True)
class PruneEvents:
    """Prunes events, deliveries and answers of all repositories. `should_stop` is called between two transactions."""

    should_stop: ShouldStop = never


def prune_events(node: Node, command: PruneEvents) -> bool:
    """Delete old rows in short transactions, and queue the next run. Returns False when it was interrupted.

    Deliveries under way are kept, and their events as well. Answers to requests with an idempotency key are kept for a
    day.
    """
    for delete_batch in (_event_pruner(node), _answer_pruner(node)):
        while node.database.transact(delete_batch) == node.limits.prune_batch:
            if command.should_stop():
                return False
    now = node.clock()
    node.database.transact(
        lambda session: insert_job(session, "prune_events", "all", run_at=now + _AGAIN_S, now=now)
    )
    return True


def _event_pruner(node: Node) -> Callable[[Session], int]:
    """Return a function that deletes a batch of old deliveries and events, and returns the larger number."""
    before, batch = node.clock() - node.config.event_keep_s, node.limits.prune_batch

    def delete_batch(session: Session) -> int:
        deliveries = webhook_deliveries.prune_deliveries(session, before=before, limit=batch)
        return max(deliveries, events.prune_events(session, before=before, limit=batch))

    return delete_batch


def _answer_pruner(node: Node) -> Callable[[Session], int]:
    """Return a function that deletes a batch of old answers, and returns their number."""
    expired, batch = expired_before(node.clock()), node.limits.prune_batch
    return lambda session: delete_expired_answers(session, expired=expired, limit=batch)
