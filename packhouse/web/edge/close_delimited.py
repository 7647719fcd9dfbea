"""Answers to HTTP/1.0 clients, which know no chunks: an answer of unknown length lasts until the connection ends.

Such a client takes every orderly end for the end of the answer (RFC 9112 section 8). So the connection is set to end
with a reset from the start of the answer until its last piece. A handler that fails, a client that stalls and the end
of this process then all end in a reset.
"""

import asyncio
import socket
import struct
from typing import Any, Final

from starlette.types import Message, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

# struct linger of socket(7): with a time of 0, close() discards what was not sent and resets the connection.
_END_WITH_RESET: Final = struct.pack("ii", 1, 0)
_END_IN_ORDER: Final = struct.pack("ii", 0, 0)
_BODILESS: Final = (204, 304)


class CloseDelimited:
    """An ASGI application:

    answers one HTTP/1.0 request of `cycle` by `app`, without chunks (RFC 9112 sections 6.1, 6.3).
    """

    def __init__(self, app: Any, cycle: RequestResponseCycle) -> None:
        self._app = app
        self._cycle = cycle
        self._is_delimiting = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve the request."""

        async def send_delimited(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._begin(message, scope["method"])
            elif self._is_delimiting:
                self._go_on(message)
            await send(message)

        await self._app(scope, receive, send_delimited)

    def _begin(self, message: Message, method: str) -> None:
        sized = any(name.lower() == b"content-length" for name, _ in message["headers"])
        if sized or method == "HEAD" or message["status"] in _BODILESS:
            return
        self._is_delimiting = True
        self._cycle.chunked_encoding = False  # uvicorn announces chunks only while this is undecided
        _set_linger(self._cycle.transport, _END_WITH_RESET)

    def _go_on(self, message: Message) -> None:
        # Uvicorn compares the bytes written with the announced length, so each piece announces its own length here.
        self._cycle.expected_content_length = len(message.get("body", b""))
        if not message.get("more_body", False):
            _set_linger(self._cycle.transport, _END_IN_ORDER)


def _set_linger(transport: asyncio.Transport, linger: bytes) -> None:
    if not transport.is_closing():
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
