"""One connection, byte for byte, for requests that no client library writes."""

import http.client
import io
import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any, BinaryIO

from tests.support.servers.server_process import ServerProcess

HOST = b"Host: git.example.test\r\n"
WAIT_S = 60


class Wire:
    """One connection. Requests are written byte for byte, and answers are read one by one."""

    def __init__(self, raw: socket.socket) -> None:
        self.raw = raw
        self._reader = raw.makefile("rb")

    def send(self, data: bytes) -> None:
        """Write the bytes unchanged."""
        self.raw.sendall(data)

    def makefile(self, _mode: str) -> io.BufferedIOBase:
        """Return the same reader for every answer. A reader with its own buffer would swallow the next answer."""
        return _KeptOpen(self._reader)

    def read(self, method: str = "GET") -> tuple[http.client.HTTPResponse, bytes]:
        """Return the next answer, to a request with this method, and its body."""
        answer = http.client.HTTPResponse(self, method=method)  # type: ignore[arg-type]  # it uses only makefile
        answer.begin()
        return answer, answer.read()

    def read_exactly(self, count: int) -> bytes:
        """Return the next bytes; fewer if the connection ends."""
        return self._reader.read(count)

    def is_closed(self) -> bool:
        """Wait for the next byte. Return whether the connection ended instead."""
        try:
            return self._reader.read(1) == b""
        except ConnectionResetError:
            return True

    def close(self) -> None:
        """Close the reader. The socket stays with its owner."""
        self._reader.close()


class _KeptOpen(io.BufferedIOBase):
    def __init__(self, inner: BinaryIO) -> None:
        self._inner = inner

    def readable(self) -> bool:
        return True

    def read(self, size: int | None = -1) -> bytes:
        return self._inner.read(-1 if size is None else size)

    def readline(self, size: int | None = -1) -> bytes:
        return self._inner.readline(-1 if size is None else size)

    def readinto(self, buffer: Any) -> int:
        data = self._inner.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)


@contextmanager
def connection(server: ServerProcess) -> Iterator[Wire]:
    """Connect to the server. Each write is a segment of its own."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=WAIT_S) as raw:
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with closing(Wire(raw)) as wire:
            yield wire


def send(
    server: ServerProcess, request: bytes, method: str = "GET"
) -> tuple[http.client.HTTPResponse, bytes]:
    """Send one request on a new connection and return its answer."""
    with connection(server) as wire:
        wire.send(request)
        return wire.read(method)


def pipeline_many(server: ServerProcess, request: bytes) -> set[int]:
    """Send 500 requests at once on one connection. Return the statuses that come before it is closed."""
    statuses = set()
    with connection(server) as wire:
        wire.send(request * 500)
        while True:
            try:
                statuses.add(wire.read()[0].status)
            except (http.client.HTTPException, ConnectionResetError):
                return statuses
