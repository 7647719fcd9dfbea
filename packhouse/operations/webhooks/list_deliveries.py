"""Listing the deliveries to a subscription."""

from dataclasses import dataclass

from packhouse import limits
from packhouse.auth import Principal
from packhouse.db import Delivery
from packhouse.db import webhook_deliveries as rows
from packhouse.node import Node
from packhouse.operations.webhooks.subscriptions import read_webhook

__all__ = ["Delivery", "ListDeliveries", "list_deliveries"]


@dataclass(frozen=True, slots=True)
class ListDeliveries:
    """The subscription, by its `wh_…` id, and the largest number of deliveries to list."""

    webhook_id: str
    count_max: int = limits.page_max


def list_deliveries(node: Node, caller: Principal, command: ListDeliveries) -> list[Delivery]:
    """Return the last deliveries to a subscription, newest first. Raises WebhookNotFound."""
    with node.database.snapshot() as session:
        webhook = read_webhook(session, caller, command.webhook_id)
        return rows.list_deliveries(session, webhook.id, limit=command.count_max)
