"""Requests for tests without a server: a scope as the server makes it, a body that has arrived, and slow clients."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from starlette.types import Message, Receive, Scope

from packhouse.web.edge.wire_request import WireRequest
from tests.support.exchanges import Sent

_STALL_MAX_S: Final = 1_000_000  # a client of a test is slow, not stalled


def make_scope(method: str, target: str, headers: Mapping[str, str] | None = None, **more: Any) -> Scope:
    """Return the scope of a request (ASGI specification, "HTTP Connection Scope"). `more` are further members."""
    path, _, query = target.partition("?")
    named = [
        (name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in (headers or {}).items()
    ]
    return {
        "type": "http",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode("latin-1"),
        "query_string": query.encode("latin-1"),
        "headers": named,
        "server": ("127.0.0.1", 8080),
        "client": ("192.0.2.7", 4711),
        **more,
    }


def receive_of(*pieces: bytes, is_whole: bool = True, stays: bool = False) -> Receive:
    """Return a receiver of the body's pieces. Then the client has left, perhaps before the end of the body.

    With `stays` the client never leaves.
    """
    messages: list[Message] = [
        {"type": "http.request", "body": piece, "more_body": number < len(pieces) or not is_whole}
        for number, piece in enumerate(pieces, start=1)
    ]

    async def receive() -> Message:
        if stays and not messages:
            await asyncio.get_running_loop().create_future()
        return messages.pop(0) if messages else {"type": "http.disconnect"}

    return receive


def make_wire(
    method: str,
    target: str,
    *pieces: bytes,
    headers: Mapping[str, str] | None = None,
    stays: bool = False,
    has_left: Callable[[], bool] | None = None,
    is_ending: Callable[[], bool] | None = None,
    cut_connection: Callable[[], None] | None = None,
) -> WireRequest:
    """Return a request whose body has these pieces. Facts about the connection are optional.

    A client that `stays` waits for its answer. Any other client has left when the server checks.
    """
    given = dict(headers or {})
    if pieces:
        given.setdefault("Content-Length", str(sum(map(len, pieces))))
    told = {"has_left": has_left, "is_ending": is_ending, "cut_connection": cut_connection}
    known = {f"packhouse.{name}": ask for name, ask in told.items() if ask is not None}
    scope = make_scope(method, target, given, **known)
    return WireRequest(scope, receive_of(*pieces, stays=stays), stall_max_s=5)


class Client:
    """The other end of one request. It sends these pieces of the body, then waits for the answer or leaves.

    A slow client sends the rest of the body later. `sent` records what the server sends to the client.
    """

    def __init__(self, pieces: Iterable[bytes] = (), *, leaves: bool = False, is_slow: bool = False) -> None:
        self._messages: asyncio.Queue[Message] = asyncio.Queue()
        self.sent = Sent()
        self.has_left = False
        self.cuts = 0
        self._waiting = False
        for piece in pieces:
            self.send(piece)
        if leaves:
            self.leave()
        elif not is_slow:
            self.finish()

    def send(self, piece: bytes) -> None:
        """Send a piece of the body."""
        self._messages.put_nowait({"type": "http.request", "body": piece, "more_body": True})

    def finish(self) -> None:
        """Send the end of the body."""
        self._messages.put_nowait({"type": "http.request", "body": b"", "more_body": False})

    def leave(self) -> None:
        """Close the connection."""
        self.has_left = True
        self._messages.put_nowait({"type": "http.disconnect"})

    def cut(self) -> None:
        """Be cut off by the server."""
        self.cuts += 1
        self.leave()

    @property
    def is_waited_for(self) -> bool:
        """Tell whether the server has taken all sent pieces and waits for more."""
        return self._waiting and self._messages.empty()

    async def receive(self) -> Message:
        """Give the server the next message, once there is one (ASGI specification)."""
        self._waiting = True
        try:
            return await self._messages.get()
        finally:
            self._waiting = False

    def request(
        self,
        method: str,
        target: str,
        headers: Mapping[str, str] | None = None,
        *,
        knows_connection: bool = True,
    ) -> WireRequest:
        """Return the client's request. Other servers than ours do not tell about the connection."""
        known: dict[str, Any] = {}
        if knows_connection:
            known["packhouse.has_left"] = lambda: self.has_left
            known["packhouse.cut_connection"] = self.cut
        scope = make_scope(method, target, headers, **known)
        return WireRequest(scope, self.receive, stall_max_s=_STALL_MAX_S)
