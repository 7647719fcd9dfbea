"""Delivering events to subscriptions: who gets what, what is sent, and what follows from the answer."""

import hashlib
import hmac
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from packhouse import limits
from packhouse.auth.sealing import Sealed
from packhouse.db.events import EventToFanOut, list_events_to_fan_out, mark_event_fanned_out
from packhouse.db.session import Session
from packhouse.db.webhook_deliveries import (
    AttemptRow,
    NewDelivery,
    PendingDelivery,
    insert_deliveries,
    record_attempts,
)
from packhouse.db.webhooks import ReadyWebhook, Subscriber, disable_webhook, list_subscribers
from packhouse.ids import new_public_id
from packhouse.node.node import Node
from packhouse.outbound.client import OutboundFailed
from packhouse.outbound.destination import AddressRefused, AddressUnknown, BadAddress
from packhouse.secret import Secret

__all__ = [
    "PendingDelivery",
    "ReadyWebhook",
    "SendOutcome",
    "fan_out_events",
    "open_secret",
    "record_outcomes",
    "send_delivery",
    "sign",
]

USER_AGENT: Final = "Pierre-Webhook/1.0"
ANY_EVENT: Final = "*"

# Attempts come about 0 s, 2 s, 10 s, 1 min, 5 min, 30 min, 2 h and 12 h after the first.
_RETRY_AFTER_S: Final = (2, 8, 50, 240, 1500, 5400, 36000)
ATTEMPTS_MAX: Final = len(_RETRY_AFTER_S) + 1

_GONE: Final = 410


@dataclass(frozen=True, slots=True)
class SendOutcome:
    """What a receiver did with a delivery. `status` is None when there was no answer."""

    status: int | None
    error: str
    response_start: bytes
    duration_s: float

    @property
    def delivered(self) -> bool:
        """Whether the receiver took the event."""
        return self.status is not None and 200 <= self.status < 300


def fan_out_events(node: Node) -> int:
    """Make deliveries of the oldest events that wait for it; return how many events there were.

    One transaction for at most `limits.fan_out_batch` events. Any number of processes may do so at once: each
    event is marked first, and only whoever marked it makes its deliveries.
    """
    with node.database.read() as session:
        waiting = list_events_to_fan_out(session, limit=limits.fan_out_batch)
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


def sign(secret: Secret, *, at: int, body: bytes) -> str:
    """Return the value of X-Pierre-Signature: HMAC-SHA256 over `<at>.<body>`, in lower-case hex."""
    message = b"%d.%b" % (at, body)
    digest = hmac.new(secret.reveal().encode("utf-8"), message, hashlib.sha256).hexdigest()
    return f"t={at},sha256={digest}"


def open_secret(node: Node, webhook: ReadyWebhook) -> Secret:
    """Return the secret that a subscription's deliveries are signed with; raise SealBroken."""
    sealed = Sealed(webhook.sealed_secret, webhook.sealed_with)
    return node.secret_keys.unseal(sealed, bound_to=f"webhooks {webhook.webhook_id}")


def send_delivery(node: Node, url: str, secret: Secret, delivery: PendingDelivery) -> SendOutcome:
    """Send one delivery, signed now; whatever happens is an outcome. Touches no database."""
    body = delivery.payload.encode("utf-8")
    headers = {
        "Content-Type": "application/json",
        "User-Agent": USER_AGENT,
        "X-Pierre-Event": delivery.kind,
        "X-Pierre-Signature": sign(secret, at=node.clock(), body=body),
        "X-Pierre-Delivery": delivery.delivery_id,
    }
    started = time.monotonic()
    try:
        reply = node.outbound.request(
            "POST",
            url,
            headers=headers,
            body=body,
            timeout_s=limits.webhook_timeout_s,
            answer_max_bytes=limits.webhook_answer_max_bytes,
        )
    except (OutboundFailed, AddressUnknown, AddressRefused, BadAddress) as error:
        return SendOutcome(None, _describe(error), b"", time.monotonic() - started)
    return SendOutcome(reply.status, "", reply.body_start, time.monotonic() - started)


def _describe(error: OutboundFailed | AddressUnknown | AddressRefused | BadAddress) -> str:
    text = error.code.value
    return f"{text}: {error.reason}" if isinstance(error, OutboundFailed | BadAddress) else text


def record_outcomes(
    node: Node,
    outcomes: Sequence[tuple[int, PendingDelivery, SendOutcome]],
    jitter: Callable[[], float],
) -> None:
    """Write outcomes down, each with its subscription's row id: delivered, to be tried again, or given up.

    A receiver that answers 410 Gone gets nothing more. `jitter()` gives numbers from 0 to 1.
    """
    now = node.clock()
    rows = [_attempt_row(delivery, outcome, now, jitter) for _, delivery, outcome in outcomes]
    gone = sorted({webhook_id for webhook_id, _, outcome in outcomes if outcome.status == _GONE})

    def record(session: Session) -> None:
        record_attempts(session, rows, now=now)
        for webhook_id in gone:
            disable_webhook(session, webhook_id, now=now)

    node.database.transact(record)


def _attempt_row(
    delivery: PendingDelivery, outcome: SendOutcome, now: int, jitter: Callable[[], float]
) -> AttemptRow:
    attempts = delivery.attempts + 1
    if outcome.delivered:
        state = "delivered"
    elif attempts >= ATTEMPTS_MAX or outcome.status == _GONE:
        state = "failed"
    else:
        state = "pending"
    next_at = now
    if state == "pending":
        next_at += max(1, round(_RETRY_AFTER_S[attempts - 1] * (0.9 + 0.2 * jitter())))
    return AttemptRow(
        id=delivery.id,
        attempts=attempts,
        state=state,
        next_attempt_at=next_at,
        ended_at=None if state == "pending" else now,
        status=outcome.status,
        error=outcome.error,
        response_start=outcome.response_start,
        duration_ms=round(outcome.duration_s * 1000),
    )
