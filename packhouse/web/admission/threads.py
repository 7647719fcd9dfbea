"""Bounded worker threads, which run everything that blocks."""

import asyncio
import contextvars
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, ParamSpec, TypeVar

from packhouse.errors import ServerBusy

P = ParamSpec("P")
T = TypeVar("T")


class WorkerThreads:
    """At most `threads` calls run and at most `waiting_max` wait. A further call is refused at once.

    A queue without a bound would make every answer of an overloaded server late; with a refusal the server goes on
    answering. `work` names the kind of work in the refusal.
    """

    def __init__(self, threads: int, *, waiting_max: int, work: str = "calls") -> None:
        self._work = work
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix="packhouse")
        self._calls_max = threads + waiting_max
        self._calls = 0
        self._lock = threading.Lock()

    async def run(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Return what `function` returns, from a worker thread; raise what it raises.

        Raises Unavailable when too many calls wait. When the awaiting task is cancelled, a call that still waits is
        dropped, and a call that runs goes on to its end, since a thread cannot be stopped.
        """
        with self._lock:
            if self._calls >= self._calls_max:
                raise ServerBusy(work=self._work, retry_after_s=1)
            self._calls += 1
        context = contextvars.copy_context()
        future = self._executor.submit(lambda: context.run(function, *args, **kwargs))
        # On the thread's future, not the loop's: the loop's is done on cancellation while the thread still runs.
        future.add_done_callback(self._forget)
        return await asyncio.wrap_future(future)

    def start(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> "RunningCall[T]":
        """Begin a call that is not dropped when the task that began it is cancelled; see `run`."""
        return RunningCall(asyncio.ensure_future(self.run(function, *args, **kwargs)))

    def _forget(self, _: "Future[T]") -> None:
        with self._lock:
            self._calls -= 1

    def close(self) -> None:
        """Take no more calls and drop the waiting ones. Running calls go on, and nothing waits for them."""
        self._executor.shutdown(wait=False, cancel_futures=True)


class RunningCall(Generic[T]):
    """A function that runs in a worker thread. Cancelling a task that waits for the call does not end the call."""

    def __init__(self, task: "asyncio.Future[T]") -> None:
        self._task = task

    async def result(self) -> T:
        """Wait for the end; return what the function returns, or raise what it raises."""
        return await asyncio.shield(self._task)

    async def wait(self) -> None:
        """Wait for the end, whether the function returns or raises."""
        await asyncio.wait({self._task})

    @property
    def returned(self) -> T | None:
        """The value that the function returned, once the call has ended; None when it raised."""
        return None if self.failure is not None else self._task.result()

    @property
    def failure(self) -> BaseException | None:
        """The exception that the function raised, once the call has ended; None when it returned."""
        return asyncio.CancelledError() if self._task.cancelled() else self._task.exception()
