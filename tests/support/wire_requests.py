"""Requests for tests without a server: a scope as the server makes it, and a body that has arrived completely."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from starlette.types import Message, Receive, Scope

from packhouse.web.edge.wire_request import WireRequest


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
