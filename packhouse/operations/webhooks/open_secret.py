"""Opening the secret that signs a subscription's deliveries."""

from dataclasses import dataclass

from packhouse.auth import Sealed
from packhouse.db import ReadyWebhook
from packhouse.node import Node
from packhouse.secret import Secret


@dataclass(frozen=True, slots=True)
class OpenSecret:
    """The subscription whose secret to open."""

    webhook: ReadyWebhook


def sealed_name(webhook_id: str) -> str:
    """Return the text to which a sealed secret is bound, so that it cannot be unsealed for another row."""
    return f"webhooks {webhook_id}"


def open_secret(node: Node, command: OpenSecret) -> Secret:
    """Return the secret that signs a subscription's deliveries; raise SealBroken."""
    webhook = command.webhook
    sealed = Sealed(webhook.sealed_secret, webhook.sealed_with)
    return node.secret_keys.unseal(sealed, bound_to=sealed_name(webhook.webhook_id))
