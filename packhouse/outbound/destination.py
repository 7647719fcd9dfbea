"""The destination of an outbound request: the given address, checked, and resolved once for the connection."""

import ipaddress
import re
import socket
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from packhouse import limits
from packhouse.config import TrustedHost
from packhouse.errors import Code, Denied, Invalid, Unavailable
from packhouse.outbound.addresses import IpAddress, is_public

_VISIBLE: Final = re.compile(r"[\x21-\x7e]+")
_LABEL: Final = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")
_NUMBER: Final = re.compile(r"[0-9]+|0x[0-9a-f]*")
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}

Resolver = Callable[[str, int], list[IpAddress]]
"""Returns the addresses of a host name. Tests pass their own."""


class BadAddress(Invalid):
    """The address cannot be used for a request. Correct it."""

    code = Code.BAD_ADDRESS
    reason: str


class AddressRefused(Denied):
    """The address leads to a place that this server does not connect to."""

    code = Code.ADDRESS_REFUSED


class AddressUnknown(Unavailable):
    """The host name has no address now."""

    code = Code.ADDRESS_UNKNOWN


@dataclass(frozen=True, slots=True)
class Destination:
    """A checked address. `host` is lower case, without brackets and without a dot at its end.

    `trusted` tells that the operator allows the address even if it is private or plain http.
    """

    scheme: str
    host: str
    port: int
    trusted: bool

    @property
    def netloc(self) -> str:
        """Host and port for a Host header; the scheme's own port is left out (RFC 9110 section 7.2)."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def receiver(self) -> tuple[str, int]:
        """The host and port that identify one receiver."""
        return self.host, self.port


def parse_destination(url: str, trusted_hosts: frozenset[TrustedHost]) -> Destination:
    """Return the destination of a URL. Raises BadAddress; numbers and `localhost` are checked here.

    https is accepted, and http to trusted hosts. These are refused: user names, fragments, zone ids, percent escapes,
    and characters in a name other than letters, digits, `-` and `_`. Of the spellings of an IPv4 address, only four
    decimal numbers are accepted (the URL standard, "ends in a number", reads the others as addresses). Raises
    AddressRefused for an address that is not public.
    """
    if len(url) > limits.outbound_url_max_chars or not _VISIBLE.fullmatch(url) or "\\" in url:
        raise BadAddress("it must be a URL of visible ASCII characters")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise BadAddress("host or port is malformed") from None
    if parts.scheme not in _DEFAULT_PORTS:
        raise BadAddress("it must begin with https://")
    if "@" in parts.netloc or "#" in url:
        raise BadAddress("user names and fragments are not taken")
    if port == 0:
        raise BadAddress("host or port is malformed")
    host = _check_host(host, bracketed="[" in parts.netloc)
    port = port or _DEFAULT_PORTS[parts.scheme]
    trusted = (parts.scheme, host, port) in trusted_hosts
    if parts.scheme == "http" and not trusted:
        raise BadAddress("it must begin with https://")
    destination = Destination(parts.scheme, host, port, trusted)
    literal = _literal(host)
    private = _is_loopback_name(host) if literal is None else not is_public(literal)
    if private and not trusted:
        raise AddressRefused()
    return destination


def _check_host(host: str, *, bracketed: bool) -> str:
    if bracketed:
        try:
            address = ipaddress.IPv6Address(host)
        except ValueError:
            raise BadAddress("host or port is malformed") from None
        if address.scope_id is not None:
            raise BadAddress("zone ids are not taken")
        return str(address)
    name = host.removesuffix(".")
    labels = name.split(".")
    if len(name) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        raise BadAddress("host or port is malformed")
    if _NUMBER.fullmatch(labels[-1]):
        try:
            return str(ipaddress.IPv4Address(name))
        except ValueError:
            raise BadAddress("an IPv4 address must be four decimal numbers") from None
    return name


def _is_loopback_name(host: str) -> bool:
    """Tell whether a name means this machine, whatever a resolver says (RFC 6761 section 6.3)."""
    return host == "localhost" or host.endswith(".localhost")


def _literal(host: str) -> IpAddress | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def resolve(destination: Destination, resolver: Resolver, *, timeout_s: float) -> list[IpAddress]:
    """Return the addresses to connect to, each of them checked. Call it once, and do not use the name afterwards.

    If any address of a name is not public, none is used. Raises AddressRefused, AddressUnknown.
    """
    literal = _literal(destination.host)
    addresses = [literal] if literal is not None else _ask(resolver, destination, timeout_s)
    if not addresses:
        raise AddressUnknown()
    if not destination.trusted and not all(map(is_public, addresses)):
        raise AddressRefused()
    return addresses[: limits.outbound_addresses_max]


# getaddrinfo(3) has no time limit, so it runs in threads that may be left waiting.
_resolving: Final = ThreadPoolExecutor(limits.outbound_resolvers_max, thread_name_prefix="packhouse-dns")


def _ask(resolver: Resolver, destination: Destination, timeout_s: float) -> list[IpAddress]:
    answer: Future[list[IpAddress]] = _resolving.submit(resolver, destination.host, destination.port)
    try:
        return answer.result(timeout_s)
    except TimeoutError:
        answer.cancel()
        raise AddressUnknown() from None


def resolve_with_system(host: str, port: int) -> list[IpAddress]:
    """Return the answer of the system's resolver, in its order; an empty list if it has none."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return []
    return list(dict.fromkeys(ipaddress.ip_address(entry[4][0]) for entry in found))
