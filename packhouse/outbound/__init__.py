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

__all__ = [
    "AddressRefused",
    "AddressUnknown",
    "BadAddress",
    "Destination",
    "OutboundClient",
    "OutboundFailed",
    "parse_destination",
    "resolve",
    "resolve_with_system",
]
