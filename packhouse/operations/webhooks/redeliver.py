"""Sending an event to a subscription once more."""

from dataclasses import dataclass

from packhouse.auth import Principal
from packhouse.db import find_delivery, restart_delivery
from packhouse.errors import Code, Conflict, NotFound
from packhouse.node import Node


class WebhookInactive(Conflict):
    """The receiver has answered 410 Gone, so nothing is sent to it. Subscribe it anew."""

    code = Code.WEBHOOK_INACTIVE
    webhook: str


class DeliveryNotFound(NotFound):
    """There is no such delivery, or it is no longer kept."""

    code = Code.DELIVERY_NOT_FOUND
    delivery: str


@dataclass(frozen=True, slots=True)
class Redeliver:
    """The delivery to send again, by its `whd_…` id."""

    delivery_id: str


def redeliver(node: Node, caller: Principal, command: Redeliver) -> None:
    """Queue a delivery once more, with all its attempts and under its old id.

    Raises DeliveryNotFound and WebhookInactive.
    """
    with node.database.write() as session:
        found = find_delivery(session, caller.org_id, command.delivery_id)
        if found is None:
            raise DeliveryNotFound(command.delivery_id[:100])
        if not found.active:
            raise WebhookInactive(found.webhook_id)
        restart_delivery(session, found.id, now=node.clock())
    node.wakeups.notify()
