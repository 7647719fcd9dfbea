"""Sending one delivery to its receiver."""

from dataclasses import dataclass
from typing import Final

from packhouse import limits
from packhouse.db import PendingDelivery
from packhouse.node import Node
from packhouse.operations.webhooks.signing import sign
from packhouse.outbound import AddressRefused, AddressUnknown, BadAddress, OutboundFailed
from packhouse.secret import Secret

USER_AGENT: Final = "Pierre-Webhook/1.0"


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
        return self.status is not None and 200 <= self.status < 300


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
    headers = {
        "Content-Type": "application/json",
        "User-Agent": USER_AGENT,
        "X-Pierre-Event": delivery.kind,
        "X-Pierre-Signature": sign(command.secret, at=node.clock(), body=body),
        "X-Pierre-Delivery": delivery.delivery_id,
    }
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
