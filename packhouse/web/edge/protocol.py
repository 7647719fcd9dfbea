"""HTTP/1.1 on the socket: uvicorn's httptools protocol, with the bounds it lacks.

Added here are limits on the request line, headers, trailers, connections and pipelining, a time limit on headers, and
errors as JSON. Requests that RFC 9112 wants refused are refused before they start. Requests that offer an upgrade are
read to their end. Every request of a lost connection is told of the loss, where uvicorn tells only the last one.
"""

import asyncio
import re
from typing import Any, Final

import httptools
import msgspec
from uvicorn.config import Config as UvicornConfig
from uvicorn.protocols.http.httptools_impl import (
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)
from uvicorn.server import ServerState

from packhouse import limits
from packhouse.config import Config
from packhouse.web.edge.close_delimited import CloseDelimited
from packhouse.web.edge.request_id import ID_HEADER, choose_request_id
from packhouse.web.edge.request_log import log_refusal
from packhouse.web.errors import codearts_members, problem_members

_METHODS_SERVED: Final = b"GET, HEAD, POST, PUT, PATCH, DELETE"
_VERSIONS_SERVED: Final = ("1.1", "1.0")
_HEADERS_CHECKED: Final = frozenset({b"host", b"content-length", b"transfer-encoding", b"expect"})
_COMMIT_PATH: Final = re.compile(rb"/(?:commit-pack|diff-commit|restore-commit|reset-commits)\Z")
_CODEARTS_PATH: Final = re.compile(rb"(?:[a-z]+://[^/]*)?/+v4(?:/|\Z)")


class _Refused(Exception):
    """The server refuses what the parser reports. The parser raises its own error, so the reason is kept aside."""


class EdgeUvicornConfig(UvicornConfig):
    """Uvicorn's configuration, which holds for the protocol our configuration and the number of connections."""

    def __init__(self, app: Any, *, settings: Config, connections_max: int, **options: Any) -> None:
        super().__init__(app, **options)
        self.settings = settings
        self.connections_max = connections_max


class EdgeProtocol(HttpToolsProtocol):
    """One connection."""

    def __init__(
        self,
        config: EdgeUvicornConfig,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._header_timeout_s = config.settings.header_timeout_s
        self._connections_max = config.connections_max
        self._in_head = False
        self._is_upgrade_offered = False
        self._head_bytes = 0
        self._unframed_bytes = 0
        self._refusal = (400, "malformed HTTP request")
        self._head_timer: asyncio.TimerHandle | None = None
        self._cut_timer: asyncio.TimerHandle | None = None
        self._running: RequestResponseCycle | None = None
        self._ending = False

    # Connection

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take a new connection, unless there are too many."""
        super().connection_made(transport)  # type: ignore[arg-type]  # uvicorn narrows it to Transport
        if len(self.connections) > self._connections_max:
            self._refusal = (503, "server has too many connections")
            self.send_400_response("")
            return
        self._expect_head()

    def shutdown(self) -> None:
        """End once the running answers are complete. Endless answers ask `packhouse.is_ending`."""
        self._ending = True
        super().shutdown()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell every request of this connection that its client is gone."""
        self._cancel_head_timer()
        if self._cut_timer is not None:
            self._cut_timer.cancel()
        waiting = [cycle for cycle, _ in self.pipeline]
        self.pipeline.clear()
        super().connection_lost(exc)
        for cycle in (self._running, *waiting):
            if cycle is not None and not cycle.response_complete:
                cycle.disconnected = True
                cycle.message_event.set()

    def data_received(self, data: bytes) -> None:
        """Parse what arrived, and bound the bytes that the parser may keep before it calls back."""
        self._unframed_bytes += len(data)
        self._unset_keepalive_if_required()
        try:
            self._parse(data)
        except httptools.HttpParserError:
            self.send_400_response("")
            return
        if self.transport.is_closing():
            return
        if self._unframed_bytes > limits.request_target_max_bytes + limits.request_headers_max_bytes:
            self._refusal = (431, "request header fields are too large")
            self.send_400_response("")
        elif self._is_idle() and self._head_timer is None:
            self._expect_head()

    def _parse(self, data: bytes) -> None:
        rest: bytes | memoryview = data
        while rest:
            try:
                self.parser.feed_data(rest)
            except httptools.HttpParserUpgrade as stopped:
                rest = memoryview(rest)[stopped.args[0] :]
                self._parse_head_without_upgrade()
            else:
                return

    def _parse_head_without_upgrade(self) -> None:
        """Begin the request anew as if it offered no upgrade, since the server takes none (RFC 9110 section 7.8).

        After an offered upgrade the parser takes all bytes for another protocol, and no option of it changes that. So a
        new parser reads the same head without the Upgrade field, and then the body. Names and values hold no line
        break, or the first parser had refused them. What they say of the body is judged on this second reading.
        """
        assert self._is_upgrade_offered
        self._is_upgrade_offered = False
        start = [self.parser.get_method(), b" ", self.url, b" HTTP/", self.parser.get_http_version().encode()]
        fields = [b"%s: %s\r\n" % field for field in self.headers if field[0] != b"upgrade"]
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn does, for pipelining
        self.parser.feed_data(b"".join([*start, b"\r\n", *fields, b"\r\n"]))

    def _is_idle(self) -> bool:
        running = self._running
        return running is None or running.response_complete

    def _expect_head(self) -> None:
        self._head_timer = self.loop.call_later(self._header_timeout_s, self._head_is_late)

    def _cancel_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _head_is_late(self) -> None:
        self._head_timer = None
        if not self.transport.is_closing() and self._is_idle():
            self._refusal = (408, "the request did not arrive in time")
            self.send_400_response("")

    # Parser callbacks

    def on_message_begin(self) -> None:
        """Note that a request begins."""
        super().on_message_begin()
        self._in_head = True
        self._head_bytes = 0

    def on_url(self, url: bytes) -> None:
        """Take a part of the request target."""
        is_long = len(self.url) + len(url) > limits.request_target_max_bytes
        super().on_url(
            url[: limits.request_target_max_bytes]
        )  # the start of a long target as well: the form of the refusal depends on it
        if is_long:
            self._refuse(414, "request target is too long")

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header field. Trailers, which come after the body, are ignored."""
        if not self._in_head:
            return
        self._head_bytes += len(name) + len(value)
        too_many = len(self.headers) >= limits.request_headers_max
        if too_many or self._head_bytes > limits.request_headers_max_bytes:
            self._refuse(431, "request header fields are too large")
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Start the request once its framing has been checked."""
        self._in_head = False
        self._unframed_bytes = 0
        self._cancel_head_timer()
        if self.parser.should_upgrade():
            if self.parser.get_method() == b"CONNECT":
                self._refuse(405, "CONNECT is not served: this is no proxy")
            self._is_upgrade_offered = True
            return
        self._check_framing()
        if len(self.pipeline) >= limits.pipelined_requests_max:
            self._refuse(429, "too many requests at once on one connection")
        self.scope["packhouse.cut_connection"] = self.transport.abort  # type: ignore[typeddict-unknown-key]  # our own, for app.py
        self.scope["packhouse.has_left"] = self.transport.is_closing  # type: ignore[typeddict-unknown-key]  # for those who waited
        self.scope["packhouse.is_ending"] = lambda: self._ending  # type: ignore[typeddict-unknown-key]  # for streams
        self.scope["packhouse.continue_expected"] = self.expect_100_continue  # type: ignore[typeddict-unknown-key]  # for body.py
        self._start_request()

    def _start_request(self) -> None:
        """Start the request. Uvicorn's parser refuses a long target, so it gets the path of one alone."""
        if len(self.url) <= limits.request_path_max_bytes:
            super().on_headers_complete()
            return
        target = self.url
        self.url, _, query = target.partition(b"#")[0].partition(b"?")
        if len(self.url) > limits.request_path_max_bytes:
            self._refuse(414, "request path is too long")
        super().on_headers_complete()
        self.url = target
        self.scope["query_string"] = query

    def on_body(self, body: bytes) -> None:
        """Take a part of the body."""
        self._unframed_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """End the body. A request that offers an upgrade has not begun yet."""
        if not self._is_upgrade_offered:
            super().on_message_complete()

    def _check_framing(self) -> None:
        """Refuse a request that two servers in a row might read as two different ones (RFC 9112 sections 3, 6)."""
        given: dict[bytes, list[bytes]] = {}
        for name, value in self.headers:
            if name in _HEADERS_CHECKED:
                given.setdefault(name, []).append(value)
        hosts = given.get(b"host", [])
        version = self.parser.get_http_version()
        if version not in _VERSIONS_SERVED:
            self._refuse(400, "the versions of HTTP served are 1.0 and 1.1")
        if len(hosts) > 1 or (not hosts and version != "1.0"):
            self._refuse(400, "exactly one Host header is required")
        if b"expect" in given:
            self._heed_expectations(given[b"expect"], version)
        encodings = given.get(b"transfer-encoding", [])
        if not encodings:
            return
        if b"content-length" in given:
            self._refuse(400, "Content-Length and Transfer-Encoding exclude each other")
        if [value.strip().lower() for value in encodings] != [b"chunked"] or version == "1.0":
            self._refuse(400, "the only Transfer-Encoding accepted is chunked")

    def _heed_expectations(self, values: list[bytes], version: str) -> None:
        """Note whether the client waits for `100 Continue` (RFC 9110 section 10.1.1); refuse other expectations."""
        expected = {member.strip().lower() for value in values for member in value.split(b",")} - {b""}
        if version != "1.0" and expected - {b"100-continue"}:
            self._refuse(417, "the only expectation served is 100-continue")
        self.expect_100_continue = version != "1.0" and bool(expected)

    def _refuse(self, status: int, sentence: str) -> None:
        self._refusal = (status, sentence)
        raise _Refused(sentence)

    # Answers

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._running = cycle
        if cycle.scope["http_version"] == "1.0":
            app = CloseDelimited(app, cycle)
        super()._start_asgi_task(cycle, app)

    def on_response_complete(self) -> None:
        """Go on with the next request. A closing connection that does not drain is cut after a while."""
        super().on_response_complete()
        if self.transport.is_closing():
            self._cut_later()
        else:
            self._forget_request()

    def _forget_request(self) -> None:
        """Release the memory of the answered request: thousands of connections may be idle.

        Does nothing while parts of this request or of the next one may still arrive.
        """
        cycle = self.cycle
        if cycle is self._running and cycle.response_complete and not cycle.more_body and not self._in_head:
            nothing: Any = None  # as uvicorn's protocol has it before its first request
            self.cycle = self._running = self.scope = nothing
            self.headers = []

    def timeout_keep_alive_handler(self) -> None:
        """Close a connection that was idle for too long."""
        super().timeout_keep_alive_handler()
        self._cut_later()

    def _cut_later(self) -> None:
        if self._cut_timer is None:
            self._cut_timer = self.loop.call_later(limits.git_stall_max_s, self.transport.abort)

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002  # uvicorn's sentence says less than ours
        """Answer a request that the parser refused, as JSON, and close the connection."""
        running = self._running
        if running is not None and running.response_started and not running.response_complete:
            self.transport.abort()  # an answer is on its way: nothing may be written into it
            return
        if running is not None:
            running.disconnected = True  # what its handler still answers must not follow the refusal
            running.message_event.set()
        status, sentence = self._refusal
        body = self._refusal_body(status, sentence)
        # Between two requests the headers are still those of the one before.
        is_between = self._is_idle() and not self._in_head
        request_id = choose_request_id(() if is_between else getattr(self, "headers", ()))
        head = [
            STATUS_LINE[status] if status in STATUS_LINE else STATUS_LINE[400],
            b"content-type: application/json\r\n",
            b"content-length: %d\r\n" % len(body),
            b"%s: %s\r\n" % (ID_HEADER, request_id),
            b"cache-control: no-store\r\n",
            b"connection: close\r\n",
        ]
        if status == 405:
            head.append(b"allow: %s\r\n" % _METHODS_SERVED)
        if status in (429, 503):
            head.append(b"retry-after: 1\r\n")
        self.transport.write(b"".join([*head, b"\r\n", body]))
        log_refusal(
            request_id,
            status=status,
            bytes_out=len(body),
            client=self.client[0] if self.client else "",
        )
        self.transport.close()
        self._cut_later()

    def _refusal_body(self, status: int, sentence: str) -> bytes:
        problem = problem_members(status, sentence)
        url: bytes = getattr(self, "url", b"")
        path = url.partition(b"?")[0]
        if _CODEARTS_PATH.match(path):
            return msgspec.json.encode(codearts_members(status, sentence))
        if _COMMIT_PATH.search(path):
            problem["result"] = {"success": False, "status": "invalid", "message": sentence}
        return msgspec.json.encode(problem)
