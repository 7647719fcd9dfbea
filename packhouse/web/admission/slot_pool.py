"""The slots of one limiter: the running, the parked and the waiting ones."""

import asyncio
from collections import Counter, deque
from dataclasses import dataclass, field

from packhouse.web.admission.shares import Holder, Shares


@dataclass(slots=True, eq=False)
class _Waiter:
    is_new: bool
    admitted: "asyncio.Future[None]" = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )


class SlotPool:
    """At most `slots` slots run at once, and at most `parked_max` more are parked.

    A slot counts as open from `take` to `give_back`, whether it runs or is parked. Holders are served one after the
    other. Within a holder, parked slots come first and new ones follow in order of arrival.
    """

    def __init__(self, slots: int, *, parked_max: int) -> None:
        self._running = Shares(slots)
        self._open = Shares(slots + parked_max)
        self._may_be_parked = parked_max
        self._queues: dict[Holder, deque[_Waiter]] = {}
        self._cut: Counter[int] = Counter()

    async def take(self, holder: Holder) -> None:
        """Wait for a new slot."""
        await self._wait(holder, _Waiter(is_new=True))

    def give_back(self, holder: Holder, *, is_parked: bool) -> None:
        """End a slot."""
        self._open.give_back(holder)
        if is_parked:
            self._may_be_parked += 1
        else:
            self._running.give_back(holder)
        self._admit()

    def park(self, holder: Holder) -> bool:
        """Park a slot of the holder, so that another slot may run.

        Return False when too many slots are parked already.
        """
        if not self._may_be_parked:
            return False
        self._may_be_parked -= 1
        self._running.give_back(holder)
        self._admit()
        return True

    async def resume(self, holder: Holder) -> None:
        """Wait until a parked slot may run again."""
        await self._wait(holder, _Waiter(is_new=False))
        self._may_be_parked += 1

    def begin_cut(self, holder: Holder, *, is_parked: bool) -> bool:
        """Tell whether a stalled slot must end for other requests of its organisation.

        The caller reports its end to `end_cut`.

        One slot ends for each waiter. Waiters that are blocked only by running slots are not counted when the stalled
        slot is parked: parking has already freed what they wait for.
        """
        org_id, _repo = holder
        waiting = 0
        for other, queue in self._queues.items():
            if other[0] == org_id and not (is_parked and self._open.has_room(other)):
                waiting += len(queue)
        if waiting <= self._cut[org_id]:
            return False
        self._cut[org_id] += 1
        return True

    def end_cut(self, holder: Holder) -> None:
        """Forget a slot for which `begin_cut` returned True."""
        self._cut[holder[0]] -= 1

    async def _wait(self, holder: Holder, waiter: _Waiter) -> None:
        queue = self._queues.setdefault(holder, deque())
        (queue.append if waiter.is_new else queue.appendleft)(waiter)
        self._admit()
        try:
            await waiter.admitted
        except asyncio.CancelledError:
            if waiter.admitted.cancelled():
                self._drop(holder, waiter)
            else:  # admitted in the same step of the loop as cancelled
                self._running.give_back(holder)
                if waiter.is_new:
                    self._open.give_back(holder)
                self._admit()
            raise

    def _drop(self, holder: Holder, waiter: _Waiter) -> None:
        queue = self._queues.get(holder)
        if queue is not None and waiter in queue:
            queue.remove(waiter)
            if not queue:
                del self._queues[holder]

    def _admit(self) -> None:
        """Admit waiters while there is room, one of each holder in a round."""
        progress = True
        while progress and self._running.free:
            progress = False
            for holder in list(self._queues):
                progress |= self._admit_one(holder)

    def _admit_one(self, holder: Holder) -> bool:
        """Admit the holder's first waiter if there is room; the holder's next waiter goes behind all other holders."""
        queue = self._queues[holder]
        while queue and queue[0].admitted.cancelled():  # its task has not run since
            queue.popleft()
        if not queue:
            del self._queues[holder]
            return False
        waiter = queue[0]
        if not self._running.has_room(holder) or (waiter.is_new and not self._open.has_room(holder)):
            return False
        self._running.take(holder)
        if waiter.is_new:
            self._open.take(holder)
        queue.popleft()
        del self._queues[holder]
        if queue:
            self._queues[holder] = queue
        waiter.admitted.set_result(None)
        return True
