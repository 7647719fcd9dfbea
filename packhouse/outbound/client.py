"""HTTP requests to other servers: only to checked addresses, bounded in time and size, without redirects."""

import contextlib
import ssl
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import httpcore

from packhouse import limits
from packhouse.config import TrustedHost
from packhouse.errors import Code, Invalid, Unavailable
from packhouse.outbound.addresses import IpAddress
from packhouse.outbound.destination import (
    AddressUnknown,
    Destination,
    Resolver,
    parse_destination,
    resolve,
    resolve_with_system,
)

_SHORTEST_WAIT_S: Final = 0.001
_BROKEN_BODY: Final = (httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError)


class OutboundCaUnreadable(Invalid):
    """The file of `outbound_ca` is absent, or contains no certificate."""

    code = Code.OUTBOUND_CA_UNREADABLE
    file: str


class OutboundFailed(Unavailable):
    """The other side did not answer with valid HTTP. `reason` is short and in our own words."""

    code = Code.OUTBOUND_FAILED
    reason: str


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer. `body_start` has at most as much of the body as the caller asked for."""

    status: int
    headers: Mapping[str, str]
    body_start: bytes = field(repr=False)


class OutboundClient:
    """Sends requests. Safe for threads. Connections stay open for a few seconds and are reused."""

    def __init__(
        self,
        *,
        trusted_hosts: frozenset[TrustedHost] = frozenset(),
        authorities: Path | None = None,
        resolver: Resolver = resolve_with_system,
        connections_max: int = limits.outbound_connections_max,
    ) -> None:
        """`authorities` is a PEM file with certificates to trust besides the system's."""
        self._trusted_hosts = trusted_hosts
        self._calls = threading.local()
        self._pool = httpcore.ConnectionPool(
            ssl_context=_make_tls(authorities),
            max_connections=connections_max,
            keepalive_expiry=limits.outbound_keep_alive_s,
            network_backend=_CheckedNetwork(self._calls, resolver),
        )

    def parse(self, url: str) -> Destination:
        """Return the destination of `url`. Raises BadAddress or AddressRefused."""
        return parse_destination(url, self._trusted_hosts)

    def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        timeout_s: float,
        answer_max_bytes: int,
    ) -> Reply:
        """Send one request and return the answer, whatever its status.

        `timeout_s` bounds the whole call. The answer is cut at `answer_max_bytes`, and the connection is closed then. A
        body that breaks off or takes too long is returned as far as it came. Raises BadAddress, AddressRefused,
        AddressUnknown and OutboundFailed.
        """
        destination = self.parse(url)
        parts = urlsplit(url)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        given = {"Host": destination.netloc, **(headers or {})}
        if body or method in ("POST", "PUT", "PATCH"):
            given["Content-Length"] = str(len(body))
        request = httpcore.Request(
            method,
            httpcore.URL(
                scheme=destination.scheme, host=destination.host, port=destination.port, target=target
            ),
            headers=list(given.items()),
            content=body,
            extensions={"timeout": dict.fromkeys(("connect", "read", "write", "pool"), timeout_s)},
        )
        self._calls.destination = destination
        self._calls.deadline = time.monotonic() + timeout_s
        try:
            return self._send(request, answer_max_bytes)
        except httpcore.TimeoutException:
            raise OutboundFailed("timed out") from None
        except httpcore.ConnectError as error:
            raise OutboundFailed(_why_not_connected(error)) from None
        except (httpcore.NetworkError, httpcore.ProtocolError):
            raise OutboundFailed("connection broke off") from None

    def _send(self, request: httpcore.Request, answer_max_bytes: int) -> Reply:
        response = self._pool.handle_request(request)
        start = bytearray()
        try:
            # The status has arrived and counts. A fault in the rest of the answer changes nothing.
            with contextlib.suppress(*_BROKEN_BODY):
                for piece in response.iter_stream():
                    start += piece
                    if len(start) > answer_max_bytes:
                        break
        finally:
            response.close()
        names = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in response.headers}
        return Reply(response.status, names, bytes(start[:answer_max_bytes]))

    def close(self) -> None:
        """Close every idle connection."""
        self._pool.close()


def _make_tls(authorities: Path | None) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if authorities is not None:
        try:
            context.load_verify_locations(cafile=str(authorities))
        except OSError as error:  # ssl.SSLError is one
            raise OutboundCaUnreadable(str(authorities)) from error
    return context


def _why_not_connected(error: httpcore.ConnectError) -> str:
    """Return the reason in our own words: the system's words may name what is behind the address."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return "certificate is not valid"
        if isinstance(cause, ssl.SSLError):
            return "TLS failed"
        cause = cause.__cause__ or cause.__context__
    return "cannot connect"


class _CheckedNetwork(httpcore.NetworkBackend):
    """Opens connections to the checked address, never to a name."""

    def __init__(self, calls: threading.local, resolver: Resolver) -> None:
        self._calls = calls
        self._resolver = resolver
        self._system = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ARG002  # the whole call's deadline counts
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        """See httpcore. `host` and `port` are those of the call's destination."""
        destination: Destination = self._calls.destination
        assert (host, port) == (destination.host, destination.port), "the call goes elsewhere"
        addresses = resolve(destination, self._resolver, timeout_s=self._left_s())
        failure: httpcore.ConnectError | httpcore.ConnectTimeout | None = None
        for number, address in enumerate(addresses):
            share_s = self._left_s() / (len(addresses) - number)
            try:
                stream = self._connect(address, port, share_s, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
            else:
                return _TimedStream(stream, self._calls)
        raise failure if failure is not None else AddressUnknown()

    def _connect(
        self,
        address: IpAddress,
        port: int,
        timeout_s: float,
        local_address: str | None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None,
    ) -> httpcore.NetworkStream:
        return self._system.connect_tcp(str(address), port, timeout_s, local_address, socket_options or ())

    def _left_s(self) -> float:
        return _left_s(self._calls)


class _TimedStream(httpcore.NetworkStream):
    """A connection whose every step ends at the deadline of the call that uses it.

    With limits for single steps alone, a receiver could hold us by sending a byte now and then.
    """

    def __init__(self, stream: httpcore.NetworkStream, calls: threading.local) -> None:
        self._stream = stream
        self._calls = calls

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ARG002
        """See httpcore."""
        return self._stream.read(max_bytes, _left_s(self._calls))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ARG002
        """See httpcore."""
        for start in range(0, len(buffer), limits.outbound_piece_bytes):
            piece = buffer[start : start + limits.outbound_piece_bytes]
            self._stream.write(piece, _left_s(self._calls))

    def close(self) -> None:
        """See httpcore."""
        self._stream.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ARG002
    ) -> httpcore.NetworkStream:
        """See httpcore. The certificate is verified for the name, not for the address."""
        stream = self._stream.start_tls(ssl_context, server_hostname, _left_s(self._calls))
        return _TimedStream(stream, self._calls)

    def get_extra_info(self, info: str) -> object:
        """See httpcore."""
        return self._stream.get_extra_info(info)


def _left_s(calls: threading.local) -> float:
    left: float = calls.deadline - time.monotonic()
    if left < _SHORTEST_WAIT_S:
        raise httpcore.ReadTimeout("the call's time is over")
    return left
