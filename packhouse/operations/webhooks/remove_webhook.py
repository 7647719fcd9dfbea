"""Ending a subscription to events."""

from dataclasses import dataclass

from packhouse.auth import Principal
from packhouse.db import delete_webhook
from packhouse.node import Node
from packhouse.operations.webhooks.subscriptions import read_webhook


@dataclass(frozen=True, slots=True)
class RemoveWebhook:
    """Which subscription, by its `wh_…` id."""

    webhook_id: str


def remove_webhook(node: Node, caller: Principal, command: RemoveWebhook) -> None:
    """End a subscription; what it had still to get is dropped. Raises WebhookNotFound."""
    with node.database.write() as session:
        webhook = read_webhook(session, caller, command.webhook_id)
        delete_webhook(session, webhook.id, now=node.clock())
