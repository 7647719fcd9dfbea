"""Sending one delivery to its receiver."""

from dataclasses import dataclass

from packhouse import limits
from packhouse.db import PendingDelivery
from packhouse.node import Node
from packhouse.outbound import (
    AddressRefused,
    AddressUnknown,
    BadAddress,
    OutboundFailed,
    is_accepted,
    is_gone,
    sign_webhook,
    webhook_headers,
)
from packhouse.secret import Secret


@dataclass(frozen=True, slots=True)
class SendOutcome:
    """The result of one attempt. `status` is None when the receiver did not answer."""

    status: int | None
    error: str
    response_start: bytes
    duration_s: float

    @property
    def delivered(self) -> bool:
        """Whether the receiver accepted the event."""
        return self.status is not None and is_accepted(self.status)

    @property
    def gone(self) -> bool:
        """Whether the receiver wants no more events."""
        return self.status is not None and is_gone(self.status)


@dataclass(frozen=True, slots=True)
class SendDelivery:
    """The delivery, the address of its receiver, and the secret that signs it."""

    url: str
    secret: Secret
    delivery: PendingDelivery


def send_delivery(node: Node, command: SendDelivery) -> SendOutcome:
    """Send one delivery, signed now. Every failure is an outcome. Uses no database."""
    delivery = command.delivery
    body = delivery.payload.encode("utf-8")
    signature = sign_webhook(command.secret, at=node.clock(), body=body)
    headers = webhook_headers(delivery.kind, delivery_id=delivery.delivery_id, signature=signature)
    started = node.monotonic()
    try:
        reply = node.outbound.request(
            "POST",
            command.url,
            headers=headers,
            body=body,
            timeout_s=limits.webhook_timeout_s,
            answer_max_bytes=limits.webhook_answer_max_bytes,
        )
    except (OutboundFailed, AddressUnknown, AddressRefused, BadAddress) as error:
        return SendOutcome(None, _describe(error), b"", node.monotonic() - started)
    return SendOutcome(reply.status, "", reply.body_start, node.monotonic() - started)


def _describe(error: OutboundFailed | AddressUnknown | AddressRefused | BadAddress) -> str:
    text = error.code.value
    return f"{text}: {error.reason}" if isinstance(error, OutboundFailed | BadAddress) else text
