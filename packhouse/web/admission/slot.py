"""Permission to run. A slot is parked while it waits for its client."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

from packhouse.limits import Limits
from packhouse.web.admission.shares import Holder
from packhouse.web.admission.slot_pool import SlotPool


@dataclass(slots=True, eq=False)
class Slot:
    """Permission to run for one request of `holder`.

    Slow clients are many, and must not keep other requests from running. So a slot that waits long for its client is
    parked: it keeps its place and lets another slot run. Parked slots cost memory, so their number is bounded. When the
    bound is reached and other requests of the organisation wait, `cut` ends the connection of a client that has stalled
    for long. Without `cut` the connection stays.
    """

    pool: SlotPool
    holder: Holder
    cut: Callable[[], None] | None
    limits: Limits
    is_parked: bool = field(default=False, init=False)
    is_cut: bool = field(default=False, init=False)
    _next_look: asyncio.TimerHandle | None = field(default=None, init=False)

    @contextlib.asynccontextmanager
    async def parked_for_client(self) -> AsyncIterator[None]:
        """Wait for the client inside the block; park the slot when that takes longer than `git_slot_park_after_s`.

        After the block the slot runs again. When the block raises, the slot stays parked until its end.
        """
        loop = asyncio.get_running_loop()
        parking = loop.call_later(self.limits.git_slot_park_after_s, self._park)
        self._next_look = loop.call_later(self.limits.git_slot_cut_after_s, self._cut_if_others_wait)
        try:
            yield
        finally:
            parking.cancel()
            self._next_look.cancel()
        if self.is_parked:
            await self.pool.resume(self.holder)
            self.is_parked = False

    def _park(self) -> None:
        self.is_parked = self.pool.park(self.holder)

    def _cut_if_others_wait(self) -> None:
        if self.cut is None or self.is_cut:
            return
        if self.pool.begin_cut(self.holder, is_parked=self.is_parked):
            self.is_cut = True
            self.cut()
        else:
            loop = asyncio.get_running_loop()
            self._next_look = loop.call_later(self.limits.git_slot_look_s, self._cut_if_others_wait)

    def end(self) -> None:
        """Give the slot back."""
        if self.is_cut:
            self.pool.end_cut(self.holder)
        self.pool.give_back(self.holder, is_parked=self.is_parked)
