"""How many git transfers run at once: a fair queue for turns, and threads of their own for what blocks."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable
from typing import Generic, ParamSpec, TypeVar

from packhouse import limits
from packhouse.errors import Unavailable
from packhouse.log import log_event
from packhouse.web.threads import WorkerThreads

P = ParamSpec("P")
T = TypeVar("T")


class _Lane:
    """The turns of one kind of transfer, and how many of them are lent at the moment."""

    def __init__(self, turns: int) -> None:
        self.free = asyncio.Semaphore(turns)
        self.lent = 0


class Turn:
    """Leave to run git. One that waits long for its client lends its turn until the client is back.

    So slow clients, of which there may be many, do not stop the others; what they cost is memory, which is
    bounded by the number of turns lent.
    """

    def __init__(self, lane: _Lane) -> None:
        self._lane = lane
        self._is_lent = False

    @contextlib.asynccontextmanager
    async def waiting_for_client(self) -> AsyncIterator[None]:
        """Wait for the client inside the block. Afterwards the turn is ours again, unless the block failed."""
        timer = asyncio.get_running_loop().call_later(limits.git_turn_patience_s, self._lend)
        try:
            yield
        finally:
            timer.cancel()
        if self._is_lent:
            await self._lane.free.acquire()
            self._is_lent = False
            self._lane.lent -= 1

    def _lend(self) -> None:
        if self._lane.lent < limits.git_turns_lent_max:
            self._lane.lent += 1
            self._is_lent = True
            self._lane.free.release()

    def give_back(self) -> None:
        """End the turn."""
        if self._is_lent:
            self._lane.lent -= 1
        else:
            self._lane.free.release()


class GitGate:
    """The turns of one server process. A transfer keeps its turn until its processes have ended.

    Readers and pushes have turns of their own, so that neither keeps the other out. A turn uses one thread at
    a time, so as many threads as turns never make a turn wait for a thread; the API's own threads stay free
    while a large push is checked.
    """

    def __init__(self, processes_max: int) -> None:
        self._reads = _Lane(processes_max)
        self._pushes = _Lane(processes_max)
        self._large_requests = asyncio.Semaphore(limits.large_fetch_requests_max)
        self._threads = WorkerThreads(2 * processes_max, waiting_max=limits.git_queue_max)
        self._waiting = 0
        self._closed = False

    @contextlib.asynccontextmanager
    async def turn(self) -> AsyncIterator[Turn]:
        """Wait for a reader's turn, first come first served; raise Unavailable when that takes too long."""
        async with self._take_turn(self._reads) as turn:
            yield turn

    @contextlib.asynccontextmanager
    async def push_turn(self) -> AsyncIterator[Turn]:
        """Wait for the turn of a push; raise Unavailable as `turn` does."""
        async with self._take_turn(self._pushes) as turn:
            yield turn

    @contextlib.asynccontextmanager
    async def large_request(self) -> AsyncIterator[None]:
        """Wait for leave to keep a large request in memory; raise Unavailable as `turn` does."""
        await self._wait_for(self._large_requests)
        try:
            yield
        finally:
            self._large_requests.release()

    @contextlib.asynccontextmanager
    async def _take_turn(self, lane: _Lane) -> AsyncIterator[Turn]:
        await self._wait_for(lane.free)
        turn = Turn(lane)
        try:
            yield turn
        finally:
            turn.give_back()

    async def _wait_for(self, semaphore: asyncio.Semaphore) -> None:
        if self._waiting >= limits.git_queue_max:
            raise Unavailable("server is busy with other transfers", retry_after_s=limits.git_retry_after_s)
        self._waiting += 1
        try:
            async with asyncio.timeout(limits.git_queue_max_s):
                await semaphore.acquire()
        except TimeoutError:
            raise Unavailable(
                "server is busy with other transfers", retry_after_s=limits.git_retry_after_s
            ) from None
        finally:
            self._waiting -= 1

    def start(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> "Call[T]":
        """Run `function` in a thread. Whoever starts a call that opens something ends it by `close_result`."""
        return Call(asyncio.ensure_future(self._threads.run(function, *args, **kwargs)))

    async def close_result(self, call: "Call[T]", close: Callable[[T], None]) -> None:
        """Wait for the end of a call, however its request ended, and close what it returned, in a thread."""
        await call.wait()
        if (opened := call.opened) is None:
            return
        if self._closed:
            # The threads take no more work, and the process is about to end: now or never.
            close(opened)
            return
        closing = self.start(close, opened)
        await closing.wait()
        if (failure := closing.failure) is not None:
            log_event("git transfer not cleaned up", level=logging.ERROR, reason=repr(failure))

    def close(self) -> None:
        """Take no more work."""
        self._closed = True
        self._threads.close()


class Call(Generic[T]):
    """A function running in a thread; it goes on to its end even when nobody waits any more."""

    def __init__(self, task: "asyncio.Future[T]") -> None:
        self._task = task

    async def result(self) -> T:
        """Return what the function returns, or raise what it raises."""
        return await asyncio.shield(self._task)

    async def wait(self, timeout_s: float | None = None) -> bool:
        """Return True once the call has ended, well or not; False when it runs on after `timeout_s`."""
        done, _ = await asyncio.wait({self._task}, timeout=timeout_s)
        return bool(done)

    @property
    def opened(self) -> T | None:
        """What the ended call returned; None when it raised."""
        return None if self.failure is not None else self._task.result()

    @property
    def failure(self) -> BaseException | None:
        """What the ended call raised; None when it returned."""
        return asyncio.CancelledError() if self._task.cancelled() else self._task.exception()
