"""The messages that a client sees while it waits for the end of a push: git's own, and signs of life."""

import asyncio
from collections.abc import AsyncIterator

from packhouse import limits


class Progress:
    """Text for the client, kept until it can be sent. Text beyond `git_messages_max_bytes` is dropped."""

    def __init__(self, *, keepalive_s: float = limits.git_keepalive_s) -> None:
        self._keepalive_s = keepalive_s
        self._kept = bytearray()
        self._news = asyncio.Event()

    def put(self, text: bytes) -> bytes:
        """Add text; return the part that is kept."""
        kept = text[: limits.git_messages_max_bytes - len(self._kept)]
        self._kept += kept
        self._news.set()
        return kept

    async def iter_while(self, work: "asyncio.Future[bytes]") -> AsyncIterator[bytes]:
        """Yield text as it comes, until `work` has ended and no text is left. Yield b"" after 5 s without text."""
        work.add_done_callback(lambda _: self._news.set())
        while self._kept or not work.done():
            try:
                async with asyncio.timeout(self._keepalive_s):
                    await self._news.wait()
            except TimeoutError:
                yield b""
                continue
            self._news.clear()
            if self._kept:
                text = bytes(self._kept)
                self._kept.clear()
                yield text
