"""Deliveries of events to subscriptions, and the log of attempts."""

from collections.abc import Sequence
from dataclasses import dataclass

from packhouse.db.session import Session, SqlValue
from packhouse.db.text import is_storable


@dataclass(frozen=True, slots=True)
class NewDelivery:
    """A delivery to make. Deliveries of one `order_key` (repository and ref) go one after another."""

    delivery_id: str
    webhook_id: int
    event_id: int
    order_key: str


@dataclass(frozen=True, slots=True)
class PendingDelivery:
    """A delivery to make, with its content. `attempts` have failed so far."""

    id: int
    delivery_id: str
    order_key: str
    attempts: int
    next_attempt_at: int
    kind: str
    payload: str


@dataclass(frozen=True, slots=True)
class AttemptRow:
    """One attempt, and the state of the delivery after it. `status` is None if there was no answer."""

    id: int
    attempts: int
    state: str
    next_attempt_at: int
    ended_at: int | None
    status: int | None
    error: str
    response_start: bytes
    duration_ms: int


@dataclass(frozen=True, slots=True)
class Attempt:
    """An attempt in the log."""

    attempt: int
    status: int | None
    error: str
    response_start: bytes
    duration_ms: int
    created_at: int


@dataclass(frozen=True, slots=True)
class Delivery:
    """A delivery with its last attempt. The attempt's fields are None while there was none."""

    delivery_id: str
    kind: str
    refname: str | None
    state: str
    attempts: int
    next_attempt_at: int
    created_at: int
    ended_at: int | None
    status: int | None
    error: str | None
    response_start: bytes | None
    duration_ms: int | None
    attempted_at: int | None


@dataclass(frozen=True, slots=True)
class FoundDelivery:
    """A delivery: its row id, the `wh_…` id of its subscription, and whether the subscription still gets events."""

    id: int
    webhook_id: str
    active: bool


def insert_deliveries(session: Session, deliveries: Sequence[NewDelivery], *, now: int) -> None:
    """Queue deliveries that are due at once."""
    if deliveries:
        rows: list[dict[str, SqlValue]] = [
            {
                "delivery_id": delivery.delivery_id,
                "webhook_id": delivery.webhook_id,
                "event_id": delivery.event_id,
                "order_key": delivery.order_key,
                "now": now,
            }
            for delivery in deliveries
        ]
        session.run_many("insert_delivery", rows)


def has_due_delivery(session: Session, *, now: int) -> bool:
    """Tell whether any delivery is due."""
    return session.one("has_due_delivery", now=now) is not None


def list_pending_deliveries(
    session: Session, webhook_id: int, *, now: int, in_order_attempts: int, limit: int
) -> list[PendingDelivery]:
    """Return a subscription's deliveries, oldest event first: due ones, and ones that others may wait for."""
    rows = session.all(
        "list_pending_deliveries",
        webhook_id=webhook_id,
        now=now,
        in_order_attempts=in_order_attempts,
        limit=limit,
    )
    return [PendingDelivery(*row) for row in rows]


def record_attempts(session: Session, attempts: Sequence[AttemptRow], *, now: int) -> None:
    """Write attempts to the log, and their outcomes to the deliveries."""
    for attempt in attempts:
        session.run(
            "record_delivery_attempt",
            id=attempt.id,
            state=attempt.state,
            attempts=attempt.attempts,
            next_attempt_at=attempt.next_attempt_at,
            ended_at=attempt.ended_at,
        )
        session.run(
            "insert_delivery_attempt",
            id=attempt.id,
            attempts=attempt.attempts,
            status=attempt.status,
            error=attempt.error,
            response_start=attempt.response_start,
            duration_ms=attempt.duration_ms,
            now=now,
        )


def list_deliveries(session: Session, webhook_id: int, *, limit: int) -> list[Delivery]:
    """Return a subscription's deliveries, newest first."""
    rows = session.all("list_deliveries", webhook_id=webhook_id, limit=limit)
    return [Delivery(*row) for row in rows]


def list_attempts(session: Session, row_id: int, *, limit: int) -> list[Attempt]:
    """Return the attempts of a delivery, oldest first."""
    return [Attempt(*row) for row in session.all("list_delivery_attempts", id=row_id, limit=limit)]


def find_delivery(session: Session, org_id: int, delivery_id: str) -> FoundDelivery | None:
    """Return the organisation's delivery with that `whd_…` id."""
    if not is_storable(delivery_id):
        return None
    row = session.one("find_delivery", org_id=org_id, delivery_id=delivery_id)
    return None if row is None else FoundDelivery(row[0], row[1], active=row[2] is None)


def restart_delivery(session: Session, row_id: int, *, now: int) -> None:
    """Send a delivery again, with all its attempts."""
    session.run("restart_delivery", id=row_id, now=now)


def prune_deliveries(session: Session, *, before: int, limit: int) -> int:
    """Delete at most `limit` deliveries that ended before `before`, with their attempts. Return their number."""
    rows: list[dict[str, SqlValue]] = [
        {"id": row[0]} for row in session.all("list_prunable_deliveries", before=before, limit=limit)
    ]
    if rows:
        session.run_many("delete_delivery_attempts", rows)
        session.run_many("delete_delivery", rows)
    return len(rows)
