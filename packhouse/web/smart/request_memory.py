"""A bound on the large requests that are kept in memory at once."""

import contextlib

from packhouse import limits
from packhouse.web.admission.limiter import Limiter
from packhouse.web.admission.shares import Holder


class RequestMemory:
    """Takes a slot once a request that is kept in memory grows large.

    `limiter` has few slots. The slot ends when `held` closes.
    """

    def __init__(self, limiter: Limiter, holder: Holder, held: contextlib.AsyncExitStack) -> None:
        self._limiter = limiter
        self._holder = holder
        self._held = held
        self._size_bytes = 0
        self._is_large = False

    async def add(self, size_bytes: int) -> None:
        """Count bytes that were read. Wait for a slot when they make the request large.

        Raises Unavailable as Limiter.slot() does.
        """
        self._size_bytes += size_bytes
        if self._size_bytes > limits.git_request_small_bytes and not self._is_large:
            self._is_large = True
            await self._held.enter_async_context(self._limiter.slot(self._holder))
