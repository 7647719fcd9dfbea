"""A proxy between an unchanged client and a server. It passes bytes on as they come, and keeps them."""

import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass

from tests.support.servers.gateway import Exchange

_PIECE_BYTES = 64 * 1024


class Recorder:
    """Listens on the loopback address until `stop`. `take` returns the exchanges since its last call."""

    def __init__(self, port: int) -> None:
        self._target = ("127.0.0.1", port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._connections: list[_Connection] = []
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        """The address for the client, without a slash at the end."""
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def take(self) -> list[Exchange]:
        """Return the complete exchanges, in the order of each connection."""
        return [exchange for connection in self._connections for exchange in connection.take()]

    def stop(self) -> None:
        """Accept no more connections."""
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:  # stopped
                return
            connection = _Connection(client, socket.create_connection(self._target))
            self._connections.append(connection)
            connection.start()


class _Connection:
    def __init__(self, client: socket.socket, server: socket.socket) -> None:
        self._client = client
        self._server = server
        self._asked = bytearray()
        self._answered = bytearray()
        self._lock = threading.Lock()

    def start(self) -> None:
        """Pass bytes on in both directions, each in its own thread."""
        for source, sink, kept in (
            (self._client, self._server, self._asked),
            (self._server, self._client, self._answered),
        ):
            threading.Thread(target=self._relay, args=(source, sink, kept), daemon=True).start()

    def _relay(self, source: socket.socket, sink: socket.socket, kept: bytearray) -> None:
        try:
            while piece := source.recv(_PIECE_BYTES):
                with self._lock:
                    kept += piece
                sink.sendall(piece)
            sink.shutdown(socket.SHUT_WR)
        except OSError:  # one side has gone, so the other goes too
            source.close()
            sink.close()

    def take(self) -> Iterator[Exchange]:
        """Yield complete exchanges and forget them."""
        with self._lock:
            while (request := _read_message(bytes(self._asked), has_body=True)) and (
                reply := _read_message(
                    bytes(self._answered), has_body=_may_have_body(request, bytes(self._answered))
                )
            ):
                yield Exchange(
                    method=request.start[0],
                    target=request.start[1],
                    headers=request.headers,
                    body=request.body,
                    status=int(reply.start[1]),
                    reply_headers=reply.headers,
                    reply_body=reply.body,
                )
                del self._asked[: request.size]
                del self._answered[: reply.size]


@dataclass(frozen=True)
class _Message:
    start: list[str]
    headers: dict[str, str]
    body: bytes
    size: int


def _may_have_body(request: _Message, answered: bytes) -> bool:
    status = answered.split(b" ", 2)[1:2]
    return request.start[0] != "HEAD" and status not in ([b"204"], [b"304"])


def _read_message(data: bytes, *, has_body: bool) -> _Message | None:
    """Return the first message in `data` (RFC 9112); None while it is not complete."""
    head, end, _ = data.partition(b"\r\n\r\n")
    if not end:
        return None
    start, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    at = len(head) + len(end)
    if not has_body:
        return _Message(start.split(" ", 2), headers, b"", at)
    if headers.get("transfer-encoding", "").lower() == "chunked":
        found = _read_chunks(data, at)
        return None if found is None else _Message(start.split(" ", 2), headers, *found)
    size = at + int(headers.get("content-length", "0"))
    return _Message(start.split(" ", 2), headers, data[at:size], size) if len(data) >= size else None


def _read_chunks(data: bytes, at: int) -> tuple[bytes, int] | None:
    """Return a chunked body and its end; None while it is not complete."""
    body = []
    while True:
        line_end = data.find(b"\r\n", at)
        if line_end < 0:
            return None
        length = int(data[at:line_end].partition(b";")[0], 16)
        at = line_end + 2
        if len(data) < at + length + 2:
            return None
        body.append(data[at : at + length])
        at += length + 2
        if length == 0:
            return b"".join(body), at
