"""Listing the subscriptions with due deliveries."""

from dataclasses import dataclass

from packhouse.db import ReadyWebhook, has_due_delivery, list_ready_webhooks
from packhouse.node import Node

__all__ = ["ListDueSubscriptions", "ReadyWebhook", "list_due_subscriptions"]


@dataclass(frozen=True, slots=True)
class ListDueSubscriptions:
    """The worker that wants to serve them."""

    worker: str


def list_due_subscriptions(node: Node, command: ListDueSubscriptions) -> list[ReadyWebhook]:
    """Return the subscriptions with due deliveries that this worker serves or that no worker serves."""
    now = node.clock()
    with node.database.read() as session:
        if not has_due_delivery(session, now=now):
            return []
        return list_ready_webhooks(session, worker=command.worker, now=now)
