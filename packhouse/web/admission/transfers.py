"""Bounds on git transfers: limiters for each kind, and threads of their own."""

import contextlib
import logging
from collections.abc import AsyncIterator, Callable
from typing import ParamSpec, TypeVar

from packhouse.limits import Limits
from packhouse.log import log_event
from packhouse.web.admission.limiter import Limiter
from packhouse.web.admission.threads import RunningCall, WorkerThreads

P = ParamSpec("P")
T = TypeVar("T")


class Transfers:
    """The limiters and threads of the git transfers of one server process.

    A transfer keeps its slot until its processes have ended. Reads and pushes have separate limiters, so that neither
    keeps the other out. Reads and pushes with a large request, which is kept in memory, have further limiters. A
    transfer uses one thread at a time. There are as many threads as slots, so a slot never waits for a thread. The
    API's own threads stay free while a large push is checked.
    """

    def __init__(self, processes_max: int, limits: Limits) -> None:
        self.reads = Limiter(processes_max, parked_max=limits.git_slots_parked_max, limits=limits)
        self.pushes = Limiter(processes_max, parked_max=limits.git_slots_parked_max, limits=limits)
        self.large_reads = Limiter(limits.large_git_requests_max, parked_max=0, limits=limits)
        self.large_pushes = Limiter(limits.large_git_requests_max, parked_max=0, limits=limits)
        self._threads = WorkerThreads(2 * processes_max, waiting_max=limits.git_queue_max, work="transfers")
        self._closed = False

    def start(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> RunningCall[T]:
        """Begin a call in one of the transfers' threads; see WorkerThreads.start."""
        return self._threads.start(function, *args, **kwargs)

    @contextlib.asynccontextmanager
    async def opened(self, open_: Callable[[], T], close: Callable[[T], None]) -> AsyncIterator[T]:
        """Call `open_` in a thread, hold its result inside the block, and close the result by `close` in a thread.

        A request that is cancelled while `open_` runs waits for its end, and closes its result.
        """
        opening = self.start(open_)
        try:
            yield await opening.result()
        finally:
            await opening.wait()
            if (opened := opening.returned) is not None:
                await self._close(opened, close)

    async def _close(self, opened: T, close: Callable[[T], None]) -> None:
        if self._closed:
            # The threads take no more work and the process is about to end, so close it in this thread.
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
