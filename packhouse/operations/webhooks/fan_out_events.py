"""Making deliveries out of events."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from packhouse import limits
from packhouse.db import (
    EventToFanOut,
    NewDelivery,
    Session,
    Subscriber,
    insert_deliveries,
    list_events_to_fan_out,
    list_subscribers,
    mark_event_fanned_out,
)
from packhouse.ids import new_public_id
from packhouse.node import Node
from packhouse.operations.webhooks.subscriptions import ANY_EVENT


@dataclass(frozen=True, slots=True)
class FanOutEvents:
    """The largest number of events to handle at once."""

    count_max: int = limits.fan_out_batch


def fan_out_events(node: Node, command: FanOutEvents) -> int:
    """Make the deliveries of the oldest waiting events; return the number of events.

    All are made in one transaction. Any number of processes may do so at once: each event is marked first, and only the
    process that marked it makes its deliveries.
    """
    with node.database.read() as session:
        waiting = list_events_to_fan_out(session, limit=command.count_max)
    if not waiting:
        return 0
    now = node.clock()

    def fan_out(session: Session) -> None:
        subscribers: dict[int, list[Subscriber]] = {}
        deliveries: list[NewDelivery] = []
        for event in waiting:
            if not mark_event_fanned_out(session, event.id):
                continue
            if event.org_id not in subscribers:
                subscribers[event.org_id] = list_subscribers(session, event.org_id)
            deliveries += _deliveries_of(event, subscribers[event.org_id], node.random_bytes)
        insert_deliveries(session, deliveries, now=now)

    node.database.transact(fan_out)
    return len(waiting)


def _deliveries_of(
    event: EventToFanOut, subscribers: Sequence[Subscriber], random_bytes: Callable[[int], bytes]
) -> list[NewDelivery]:
    return [
        NewDelivery(
            delivery_id=new_public_id("whd", random_bytes),
            webhook_id=subscriber.id,
            event_id=event.id,
            order_key=f"{event.repo_id} {event.namespace} {event.refname or ''}",
        )
        for subscriber in subscribers
        if subscriber.created_at <= event.created_at
        and subscriber.repo_id in (None, event.repo_id)
        and (ANY_EVENT in subscriber.events or event.kind in subscriber.events)
    ]
