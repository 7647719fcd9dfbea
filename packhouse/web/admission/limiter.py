"""Bounds how many requests of one kind run at once, and shares the slots among organisations and repositories."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

from packhouse.errors import ServerBusy
from packhouse.limits import DEFAULT_LIMITS, Limits
from packhouse.web.admission.shares import Holder, Shares
from packhouse.web.admission.slot import Slot
from packhouse.web.admission.slot_pool import SlotPool


class Limiter:
    """At most `slots` requests run at once; at most `parked_max` more are parked while they wait for their clients.

    `work` names the kind of work in the refusal.
    """

    def __init__(
        self, slots: int, *, parked_max: int, work: str = "transfers", limits: Limits = DEFAULT_LIMITS
    ) -> None:
        self._pool = SlotPool(slots, parked_max=parked_max)
        self._waiting = Shares(limits.git_queue_max)
        self._work = work
        self._limits = limits

    @contextlib.asynccontextmanager
    async def slot(self, holder: Holder, cut: Callable[[], None] | None = None) -> AsyncIterator[Slot]:
        """Wait for a slot and hold it inside the block.

        `cut` ends the client's connection; see Slot. Raises Unavailable when too many requests wait already, or when
        the wait takes longer than `git_queue_max_s`.
        """
        await self._enter(holder)
        slot = Slot(self._pool, holder, cut, self._limits)
        try:
            yield slot
        finally:
            slot.end()

    async def _enter(self, holder: Holder) -> None:
        busy = ServerBusy(work=self._work, retry_after_s=self._limits.git_retry_after_s)
        if not self._waiting.has_room(holder):
            raise busy
        self._waiting.take(holder)
        try:
            async with asyncio.timeout(self._limits.git_queue_max_s):
                await self._pool.take(holder)
        except TimeoutError:
            raise busy from None
        finally:
            self._waiting.give_back(holder)
