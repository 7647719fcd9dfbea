"""Recording the outcomes of deliveries."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from packhouse.db import AttemptRow, PendingDelivery, Session, disable_webhook, record_attempts
from packhouse.node import Node
from packhouse.operations.webhooks.send_delivery import SendOutcome

# The attempts come about 0 s, 2 s, 10 s, 1 min, 5 min, 30 min, 2 h and 12 h after the first.
_RETRY_AFTER_S: Final = (2, 8, 50, 240, 1500, 5400, 36000)
ATTEMPTS_MAX: Final = len(_RETRY_AFTER_S) + 1


@dataclass(frozen=True, slots=True)
class RecordOutcomes:
    """The outcomes of deliveries, each with the row id of its subscription."""

    outcomes: Sequence[tuple[int, PendingDelivery, SendOutcome]]


def record_outcomes(node: Node, command: RecordOutcomes) -> None:
    """Record outcomes: a delivery is delivered, will be tried again, or is given up.

    After the answer 410 Gone, nothing more is sent to the receiver.
    """
    outcomes = command.outcomes
    now = node.clock()
    rows = [_attempt_row(delivery, outcome, now, node.jitter) for _, delivery, outcome in outcomes]
    gone = sorted({webhook_id for webhook_id, _, outcome in outcomes if outcome.gone})

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
    elif attempts >= ATTEMPTS_MAX or outcome.gone:
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
