"""How many git transfers run at once: limiters for each kind, and threads of their own for what blocks."""

import asyncio
import logging
from collections.abc import Callable
from typing import Generic, ParamSpec, TypeVar

from packhouse.limits import Limits
from packhouse.log import log_event
from packhouse.web.admission.limiter import Limiter
from packhouse.web.admission.threads import WorkerThreads

P = ParamSpec("P")
T = TypeVar("T")


class Transfers:
    """The limiters and threads of the git transfers of one server process.

    A transfer keeps its slot until its processes have ended. Reads and pushes have limiters of their own, so that
    neither keeps the other out; so have reads and pushes with a large request, which is kept in memory. A transfer
    uses one thread at a time. There are as many threads as slots, so a slot never waits for a thread. The API's own
    threads stay free while a large push is checked.
    """

    def __init__(self, processes_max: int, limits: Limits) -> None:
        self.reads = Limiter(processes_max, parked_max=limits.git_slots_parked_max, limits=limits)
        self.pushes = Limiter(processes_max, parked_max=limits.git_slots_parked_max, limits=limits)
        self.large_reads = Limiter(limits.large_git_requests_max, parked_max=0, limits=limits)
        self.large_pushes = Limiter(limits.large_git_requests_max, parked_max=0, limits=limits)
        self._threads = WorkerThreads(2 * processes_max, waiting_max=limits.git_queue_max, work="transfers")
        self._closed = False

    def start(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> "RunningCall[T]":
        """Run `function` in a thread. A caller whose function opens something ends the call by `close_result`."""
        return RunningCall(asyncio.ensure_future(self._threads.run(function, *args, **kwargs)))

    async def close_result(self, call: "RunningCall[T]", close: Callable[[T], None]) -> None:
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


class RunningCall(Generic[T]):
    """A function that runs in a thread. It goes on to its end even when nobody waits for it any more."""

    def __init__(self, task: "asyncio.Future[T]") -> None:
        self._task = task

    async def result(self) -> T:
        """Return what the function returns, or raise what it raises."""
        return await asyncio.shield(self._task)

    async def wait(self, timeout_s: float | None = None) -> bool:
        """Return True once the call has returned or raised; False when it still runs after `timeout_s`."""
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
