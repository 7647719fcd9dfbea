"""Forgetting events and deliveries that are older than the operator wants to keep."""

from dataclasses import dataclass

from packhouse.db import Session, events, webhook_deliveries
from packhouse.node import Node, ShouldStop, never


@dataclass(frozen=True, slots=True)
class PruneEvents:
    """Events of all repositories; `should_stop` is asked between two transactions."""

    should_stop: ShouldStop = never


def prune_events(node: Node, command: PruneEvents) -> bool:
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
        if command.should_stop():
            return False
    return True
