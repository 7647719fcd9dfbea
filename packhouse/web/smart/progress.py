"""The messages that a client sees while it waits for the end of a push: git's own, and signs of life."""

import asyncio
import re
from collections.abc import AsyncIterator
from typing import Final

from packhouse import limits

_LINE_END: Final = re.compile(rb"[\r\n]")  # progress lines end in CR


class Progress:
    """Text for the client, kept until it can be sent.

    At most `git_messages_max_bytes` are kept. Lines in the middle are dropped first: git writes last why it failed.
    """

    def __init__(self, *, keepalive_s: float = limits.git_keepalive_s) -> None:
        self._keepalive_s = keepalive_s
        self._kept = bytearray()
        self._news = asyncio.Event()

    def put(self, text: bytes) -> None:
        """Add text."""
        self._kept += text
        if len(self._kept) > limits.git_messages_max_bytes:
            self._kept = _without_middle(self._kept, limits.git_messages_max_bytes)
        self._news.set()

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


def _without_middle(text: bytearray, max_bytes: int) -> bytearray:
    """Return the first and the last lines of a text, together at most `max_bytes`; a longer line is cut."""
    half = max_bytes // 2
    start, end = text[:half], text[-half:]
    start = start[: max(start.rfind(b"\n"), start.rfind(b"\r")) + 1] or start
    first_end = _LINE_END.search(end, 0, len(end) - 1)
    return start + (end if first_end is None else end[first_end.end() :])
