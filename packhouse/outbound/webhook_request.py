"""The request that a receiver of webhooks gets: its headers, its signature, and what the receiver's status says."""

import hashlib
import hmac
from http import HTTPStatus
from typing import Final

from packhouse.secret import Secret

USER_AGENT: Final = "Pierre-Webhook/1.0"


def webhook_headers(kind: str, *, delivery_id: str, signature: str) -> dict[str, str]:
    """Return the headers of one delivery. `kind` is the name of the event."""
    return {
        "Content-Type": "application/json",
        "User-Agent": USER_AGENT,
        "X-Pierre-Event": kind,
        "X-Pierre-Signature": signature,
        "X-Pierre-Delivery": delivery_id,
    }


def sign_webhook(secret: Secret, *, at: int, body: bytes) -> str:
    """Return the value of X-Pierre-Signature: HMAC-SHA256 over `<at>.<body>`, in lower-case hex."""
    message = b"%d.%b" % (at, body)
    digest = hmac.new(secret.reveal().encode("utf-8"), message, hashlib.sha256).hexdigest()
    return f"t={at},sha256={digest}"


def is_accepted(status: int) -> bool:
    """Tell whether a receiver that answers so has accepted the event."""
    return 200 <= status < 300


def is_gone(status: int) -> bool:
    """Tell whether a receiver that answers so wants no more events (RFC 9110 section 15.5.11)."""
    return status == HTTPStatus.GONE
