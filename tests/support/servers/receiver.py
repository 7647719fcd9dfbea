"""A real HTTP server that takes webhooks, and answers as the test says."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType

WAIT_MAX_S = 120


@dataclass(frozen=True)
class Received:
    """One request: header names as they came, and the bytes of the body."""

    path: str
    headers: list[tuple[str, str]]
    body: bytes
    at: float

    def header(self, name: str) -> str:
        """Return the one header with that name."""
        values = [value for key, value in self.headers if key.lower() == name.lower()]
        assert len(values) == 1, (name, values)
        return values[0]


Answer = Callable[[Received, int], int]
"""Returns the status for a request, given the number of earlier requests."""


@dataclass
class Receiver:
    """Listens on the loopback address. `answer` returns each status, and may be slow."""

    answer: Answer = lambda _received, _before: 204
    location: str = ""
    received: list[Received] = field(default_factory=list)

    def __enter__(self) -> "Receiver":
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                length = int(self.headers["Content-Length"])
                body = self.rfile.read(length)
                if len(body) < length:
                    return  # the sender died in the middle of its request
                with receiver._changed:
                    before = len(receiver.received)
                    got = Received(self.path, list(self.headers.items()), body, time.monotonic())
                    receiver.received.append(got)
                    receiver._changed.notify_all()
                status = receiver.answer(got, before)
                self.send_response(status)
                if receiver.location:
                    self.send_header("Location", receiver.location)
                text = b"" if status == 204 else b"x" * 3000
                if status != 204:
                    self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, format: str, *args: object) -> None:
                return

        self._changed = threading.Condition()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._server.handle_error = lambda *_: None  # type: ignore[method-assign]  # clients may be killed
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def host(self) -> str:
        """Scheme, host and port, as in the list of trusted hosts."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def url(self) -> str:
        """An address to subscribe."""
        return f"{self.host}/hook?from=test"

    def wait_for(self, count: int, timeout_s: float = WAIT_MAX_S) -> list[Received]:
        """Return the received requests once there are `count`. Fail if they do not come."""
        with self._changed:
            came = self._changed.wait_for(lambda: len(self.received) >= count, timeout_s)
            assert came, f"{len(self.received)} of {count} requests came"
            return list(self.received)
