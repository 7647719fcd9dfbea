"""Forgetting events and deliveries that are older than the operator wants to keep."""

from collections.abc import Callable
from typing import Final

from packhouse.db import events, webhook_deliveries
from packhouse.db.jobs import insert_job
from packhouse.db.session import Session
from packhouse.node.node import Node

_EVERY_S: Final = 600


def prune_events(node: Node, *, should_stop: Callable[[], bool] = lambda: False) -> bool:
    """Delete what is too old, in short transactions; False when it was cut short.

    Deliveries under way are kept, and with them their events.
    """
    before = node.clock() - node.config.event_keep_s

    def prune(session: Session) -> bool:
        deliveries = webhook_deliveries.prune_deliveries(
            session, before=before, limit=node.limits.prune_batch
        )
        pruned = events.prune_events(session, before=before, limit=node.limits.prune_batch)
        return max(deliveries, pruned) == node.limits.prune_batch

    while node.database.transact(prune):
        if should_stop():
            return False
    return True


def queue_next_prune(node: Node) -> None:
    """Queue the next run of the job `prune_events`."""
    now = node.clock()
    node.database.transact(
        lambda session: insert_job(session, "prune_events", "all", run_at=now + _EVERY_S, now=now)
    )
