"""Secrets of subscriptions, and the signatures of deliveries."""

import hashlib
import hmac

from packhouse.auth import Sealed
from packhouse.db import ReadyWebhook
from packhouse.node import Node
from packhouse.secret import Secret


def sealed_name(webhook_id: str) -> str:
    """Return the text to which a sealed secret is bound, so that it cannot be unsealed for another row."""
    return f"webhooks {webhook_id}"


def open_secret(node: Node, webhook: ReadyWebhook) -> Secret:
    """Return the secret that signs a subscription's deliveries; raise SealBroken."""
    sealed = Sealed(webhook.sealed_secret, webhook.sealed_with)
    return node.secret_keys.unseal(sealed, bound_to=sealed_name(webhook.webhook_id))


def sign(secret: Secret, *, at: int, body: bytes) -> str:
    """Return the value of X-Pierre-Signature: HMAC-SHA256 over `<at>.<body>`, in lower-case hex."""
    message = b"%d.%b" % (at, body)
    digest = hmac.new(secret.reveal().encode("utf-8"), message, hashlib.sha256).hexdigest()
    return f"t={at},sha256={digest}"
