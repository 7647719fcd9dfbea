"""How many git transfers run at once: turns for each kind, and threads of their own for what blocks."""

import asyncio
import logging
from collections.abc import Callable
from typing import Generic, ParamSpec, TypeVar

from packhouse.limits import Limits
from packhouse.log import log_event
from packhouse.web.admission.limiter import Lane
from packhouse.web.admission.threads import WorkerThreads

P = ParamSpec("P")
T = TypeVar("T")


class GitGate:
    """The turns of one server process. A transfer keeps its turn until its processes have ended.

    Readers and pushes have turns of their own, so that neither keeps the other out. A turn uses one thread at
    a time, so as many threads as turns never make a turn wait for a thread; the API's own threads stay free
    while a large push is checked.
    """

    def __init__(self, processes_max: int, limits: Limits) -> None:
        self.reads = Lane(processes_max, lent_max=limits.git_turns_lent_max, limits=limits)
        self.pushes = Lane(processes_max, lent_max=limits.git_turns_lent_max, limits=limits)
        self.large_reads = Lane(limits.large_git_requests_max, lent_max=0, limits=limits)
        self.large_pushes = Lane(limits.large_git_requests_max, lent_max=0, limits=limits)
        self._threads = WorkerThreads(2 * processes_max, waiting_max=limits.git_queue_max, work="transfers")
        self._closed = False

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
