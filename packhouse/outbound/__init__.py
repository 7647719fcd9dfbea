"""Connections that this server opens to others: which addresses are allowed, and how long a request may take."""

from packhouse.outbound.client import OutboundClient, OutboundFailed
from packhouse.outbound.destination import (
    AddressRefused,
    AddressUnknown,
    BadAddress,
    Destination,
    parse_destination,
    resolve,
    resolve_with_system,
)
from packhouse.outbound.webhook_request import is_accepted, is_gone, sign_webhook, webhook_headers

__all__ = [
    "AddressRefused",
    "AddressUnknown",
    "BadAddress",
    "Destination",
    "OutboundClient",
    "OutboundFailed",
    "is_accepted",
    "is_gone",
    "parse_destination",
    "resolve",
    "resolve_with_system",
    "sign_webhook",
    "webhook_headers",
]
