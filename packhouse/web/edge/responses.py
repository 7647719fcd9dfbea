"""Answers: JSON, and streams whose producer ends when the client goes."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any, Final

import msgspec
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from packhouse import limits

REVALIDATED: Final = "private, no-cache"
"""For answers that can change at any time: a cache asks again before it uses one (RFC 9111 section 5.2.2)."""

IMMUTABLE: Final = "private, max-age=31536000, immutable"
"""For answers to full ids alone: they never change (RFC 8246). Only the caller's own cache may keep them."""

NOT_STORED: Final = "no-store"
"""For failures: without this a cache may keep a 404 for any time (RFC 9110 section 15.1)."""

_encoder = msgspec.json.Encoder()


def json_response(
    fields: object,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    *,
    media_type: str = "application/json",
) -> Response:
    """Return `fields` (a struct or a mapping) as a JSON answer."""
    return Response(_encoder.encode(fields), status, headers, media_type)


def cache_control(*, is_by_id: bool) -> str:
    """Return the Cache-Control of a reading answer: the time that clients may keep it.

    `is_by_id` tells that every input was a full object id. An expression such as `<id>~1` is not an id here.
    """
    return IMMUTABLE if is_by_id else REVALIDATED


class ResponseAborted(Exception):
    """The body cannot be completed.

    The connection must be cut, so that the client does not take a part for the whole.
    """


class ClientLeft(ResponseAborted):
    """The client closed the connection before the body was whole."""


class StreamResponse(Response):
    """An answer whose body is produced while it is sent.

    The producer is cancelled when the client goes, or takes nothing for `stall_max_s`. `cleanup` runs in every case,
    also when the producer was never started (HEAD). An error of the producer before its first piece is answered like
    any other. A later one cuts the connection. With `size_bytes` the length is announced, otherwise the body is
    chunked.
    """

    def __init__(
        self,
        chunks: AsyncIterator[bytes],
        status: int = 200,
        headers: Mapping[str, str] | None = None,
        *,
        media_type: str = "application/octet-stream",
        size_bytes: int | None = None,
        cleanup: Callable[[], Awaitable[None]] | None = None,
        stall_max_s: float = limits.git_stall_max_s,
    ) -> None:
        self.status_code = status
        self.media_type = media_type
        self.background = None
        self.chunks = chunks
        self.cleanup = cleanup
        self.stall_max_s = stall_max_s
        self.size_bytes = size_bytes
        self.init_headers(headers)
        if size_bytes is not None:
            self.headers["content-length"] = str(size_bytes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the answer; raise ResponseAborted when the client or the producer failed half-way."""
        try:
            if scope["method"] == "HEAD":
                await self._start(send)
                await send({"type": "http.response.body", "body": b"", "more_body": False})
                return
            await self._stream_while_connected(receive, send)
        finally:
            await self.close()

    async def _start(self, send: Send) -> None:
        start = {"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers}
        await send(start)

    async def _stream_while_connected(self, receive: Receive, send: Send) -> None:
        producer = asyncio.ensure_future(self._pump(send))
        watcher = asyncio.ensure_future(_wait_for_disconnect(receive))
        try:
            await asyncio.wait({producer, watcher}, return_when=asyncio.FIRST_COMPLETED)
            if producer.done():
                producer.result()
            else:
                raise ClientLeft("the client closed the connection")
        finally:
            for task in (producer, watcher):
                task.cancel()
            await asyncio.gather(producer, watcher, return_exceptions=True)

    async def _pump(self, send: Send) -> None:
        # The first piece comes before the status: a producer that fails at once can still be answered as such.
        piece = await anext(self.chunks, None)
        await self._start(send)
        while piece is not None:
            await self._send_piece(send, piece)
            piece = await anext(self.chunks, None)
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _send_piece(self, send: Send, piece: bytes) -> None:
        try:
            async with asyncio.timeout(self.stall_max_s):
                await send({"type": "http.response.body", "body": piece, "more_body": True})
        except TimeoutError:
            raise ResponseAborted("the client took nothing for too long") from None

    async def close(self) -> None:
        """Close the producer and run `cleanup`. Call it for an answer that is not sent."""
        async with contextlib.AsyncExitStack() as stack:
            if self.cleanup is not None:
                stack.push_async_callback(self.cleanup)
            close: Any = getattr(self.chunks, "aclose", None)
            if close is not None:
                stack.push_async_callback(close)


async def _wait_for_disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        continue
