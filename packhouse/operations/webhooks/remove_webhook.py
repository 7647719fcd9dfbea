"""Ending a subscription to events."""

from dataclasses import dataclass

from packhouse.auth import Principal
from packhouse.db import delete_webhook
from packhouse.node import Node
from packhouse.operations.webhooks.subscriptions import read_webhook


@dataclass(frozen=True, slots=True)
class RemoveWebhook:
    """The subscription to end, by its `wh_…` id."""

    webhook_id: str


def remove_webhook(node: Node, caller: Principal, command: RemoveWebhook) -> None:
    """End a subscription. Its waiting deliveries are dropped. Raises WebhookNotFound."""
    with node.database.write() as session:
        webhook = read_webhook(session, caller, command.webhook_id)
        delete_webhook(session, webhook.id, now=node.clock())
