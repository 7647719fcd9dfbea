"""Choosing the next deliveries of a subscription."""

from collections.abc import Collection
from dataclasses import dataclass

from packhouse import limits
from packhouse.db import PendingDelivery, list_pending_deliveries
from packhouse.node import Node

__all__ = ["ChooseDeliveries", "PendingDelivery", "choose_deliveries"]


@dataclass(frozen=True, slots=True)
class ChooseDeliveries:
    """A subscription, by its row id, and how many deliveries to choose. The deliveries in `sending` are under way."""

    webhook_id: int
    sending: Collection[PendingDelivery]
    count_max: int


def choose_deliveries(node: Node, command: ChooseDeliveries) -> list[PendingDelivery]:
    """Return the deliveries to send next: at most one of each ref, the earliest that is due.

    After `limits.webhook_in_order_attempts` failures, a delivery no longer delays later deliveries of its ref.
    """
    now = node.clock()
    with node.database.read() as session:
        pending = list_pending_deliveries(
            session,
            command.webhook_id,
            now=now,
            in_order_attempts=limits.webhook_in_order_attempts,
            limit=limits.webhook_queue_max,
        )
    under_way = {delivery.id for delivery in command.sending}
    taken = {delivery.order_key for delivery in command.sending}
    chosen: list[PendingDelivery] = []
    for delivery in pending:
        if len(chosen) == command.count_max:
            break
        if delivery.order_key in taken or delivery.id in under_way:
            continue
        if delivery.attempts < limits.webhook_in_order_attempts:
            taken.add(delivery.order_key)
        if delivery.next_attempt_at <= now:
            taken.add(delivery.order_key)
            chosen.append(delivery)
    return chosen
