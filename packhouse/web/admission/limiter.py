"""Turns to transfer or to search, shared fairly: neither one organisation nor one repository can take them all."""

import asyncio
import contextlib
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Final

from packhouse.errors import Unavailable
from packhouse.limits import DEFAULT_LIMITS, Limits

Holder = tuple[int, str]
"""Whom a turn is for: the id of an organisation and the name of one of its repositories."""

_ORG_MULTIPLE: Final = 4
_REPO_MULTIPLE: Final = 2


class Shares:
    """Who has how many of a number of places, and who may have one more.

    Whoever has less than a multiple of what is free may. So one alone gets most of all, several get like parts,
    and a newcomer finds a place however much the others want. Source: A. Choudhury and E. Hahne, "Dynamic
    queue length thresholds for shared-memory packet switches", IEEE/ACM Transactions on Networking 6 (1998) 2.
    """

    def __init__(self, places: int) -> None:
        self.free = places
        self._held: Counter[int | Holder] = Counter()

    def has_room(self, holder: Holder) -> bool:
        """Tell whether the holder may have one more place."""
        org_id, _repo = holder
        return (
            self._held[org_id] < _ORG_MULTIPLE * self.free and self._held[holder] < _REPO_MULTIPLE * self.free
        )

    def take(self, holder: Holder) -> None:
        """Give the holder a place, for which there is room."""
        assert self.free > 0
        self.free -= 1
        self._held.update((holder[0], holder))

    def give_back(self, holder: Holder) -> None:
        """Take a place back."""
        self.free += 1
        self._held.subtract((holder[0], holder))
        for key in (holder[0], holder):
            if not self._held[key]:
                del self._held[key]


@dataclass(slots=True, eq=False)
class _Waiter:
    is_new: bool
    admitted: "asyncio.Future[None]" = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )


class Lane:
    """The turns of one kind of work: `turns` run at once, and `lent_max` more wait for their clients.

    `work` is what a caller who finds no place is told of.
    """

    def __init__(
        self, turns: int, *, lent_max: int, work: str = "transfers", limits: Limits = DEFAULT_LIMITS
    ) -> None:
        self.limits = limits
        self._work = work
        self._running = Shares(turns)
        self._open = Shares(turns + lent_max)
        self._lent_left = lent_max
        self._waiting = Shares(limits.git_queue_max)
        self._queues: dict[Holder, deque[_Waiter]] = {}
        self._giving_way: Counter[int] = Counter()

    @contextlib.asynccontextmanager
    async def turn(self, holder: Holder, cut: Callable[[], None] | None = None) -> "AsyncIterator[Turn]":
        """Wait for a turn: holders one after the other, within each first come, first served.

        `cut` ends the connection, when the client has long been away and others of its organisation wait.
        Raises Unavailable when too many wait already and when it takes too long.
        """
        await self._enter(holder)
        turn = Turn(self, holder, cut)
        try:
            yield turn
        finally:
            self._leave(turn)

    async def _enter(self, holder: Holder) -> None:
        busy = Unavailable("server is busy", work=self._work, retry_after_s=self.limits.git_retry_after_s)
        if not self._waiting.has_room(holder):
            raise busy
        self._waiting.take(holder)
        try:
            async with asyncio.timeout(self.limits.git_queue_max_s):
                await self._wait(holder, _Waiter(is_new=True))
        except TimeoutError:
            raise busy from None
        finally:
            self._waiting.give_back(holder)

    async def _wait(self, holder: Holder, waiter: _Waiter) -> None:
        queue = self._queues.setdefault(holder, deque())
        # Who comes back to a turn of its own goes before those who have none yet.
        (queue.append if waiter.is_new else queue.appendleft)(waiter)
        self._admit()
        try:
            await waiter.admitted
        except asyncio.CancelledError:
            if waiter.admitted.cancelled():
                self._drop(holder, waiter)
            else:  # admitted at the very moment
                self._running.give_back(holder)
                if waiter.is_new:
                    self._open.give_back(holder)
                self._admit()
            raise

    def _admit(self) -> None:
        """Let in whom there is room for, one of each holder in turn."""
        progress = True
        while progress and self._running.free:
            progress = False
            for holder in list(self._queues):
                progress |= self._admit_one(holder)

    def _admit_one(self, holder: Holder) -> bool:
        """Let in the first who waits for this holder, if there is room; its next goes behind all others."""
        queue = self._queues[holder]
        while queue and queue[0].admitted.cancelled():  # and its task has not noticed yet
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

    def _drop(self, holder: Holder, waiter: _Waiter) -> None:
        queue = self._queues.get(holder)
        if queue is not None and waiter in queue:
            queue.remove(waiter)
            if not queue:
                del self._queues[holder]

    def lend(self, turn: "Turn") -> None:
        """Let another run while this one waits for its client, unless too many are lent already."""
        if self._lent_left:
            self._lent_left -= 1
            turn.is_lent = True
            self._running.give_back(turn.holder)
            self._admit()

    async def take_back(self, turn: "Turn") -> None:
        """Wait until the lent turn may run again."""
        await self._wait(turn.holder, _Waiter(is_new=False))
        turn.is_lent = False
        self._lent_left += 1

    def must_give_way(self, turn: "Turn") -> bool:
        """Tell whether a stalled turn has to end for others of its organisation; count it as ending then.

        Those do not count who wait only for others to be done: a lent turn does not stop them.
        """
        org_id, _repo = turn.holder
        waiting = 0
        for holder, queue in self._queues.items():
            if holder[0] == org_id and not (turn.is_lent and self._open.has_room(holder)):
                waiting += len(queue)
        if waiting <= self._giving_way[org_id]:
            return False
        self._giving_way[org_id] += 1
        return True

    def _leave(self, turn: "Turn") -> None:
        if turn.is_giving_way:
            self._giving_way[turn.holder[0]] -= 1
        self._open.give_back(turn.holder)
        if turn.is_lent:
            self._lent_left += 1
        else:
            self._running.give_back(turn.holder)
        self._admit()


@dataclass(slots=True, eq=False)
class Turn:
    """Leave to run git. One that waits long for its client lends its turn until the client is back.

    So slow clients, of which there may be many, do not stop the others; what they cost is memory, which is
    bounded by the number of turns lent. When those are all taken, a client that stalls for long has to go.
    """

    lane: Lane
    holder: Holder
    cut: Callable[[], None] | None = None
    is_lent: bool = False
    is_giving_way: bool = False
    _looking: asyncio.TimerHandle | None = None

    @contextlib.asynccontextmanager
    async def waiting_for_client(self) -> AsyncIterator[None]:
        """Wait for the client inside the block. Afterwards the turn is ours again, unless the block failed."""
        loop = asyncio.get_running_loop()
        lending = loop.call_later(self.lane.limits.git_turn_patience_s, self.lane.lend, self)
        self._looking = loop.call_later(self.lane.limits.git_turn_stall_s, self._give_way)
        try:
            yield
        finally:
            lending.cancel()
            self._looking.cancel()
        if self.is_lent:
            await self.lane.take_back(self)

    def _give_way(self) -> None:
        if self.cut is None or self.is_giving_way:
            return
        if self.lane.must_give_way(self):
            self.is_giving_way = True
            self.cut()
        else:
            loop = asyncio.get_running_loop()
            self._looking = loop.call_later(self.lane.limits.git_turn_look_s, self._give_way)
