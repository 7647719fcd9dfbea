"""Bounded worker threads: where the event loop sends everything that blocks."""

import asyncio
import contextvars
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from packhouse.errors import Unavailable

P = ParamSpec("P")
T = TypeVar("T")


class WorkerThreads:
    """At most `threads` calls run and at most `waiting_max` wait; one more is refused at once.

    Refusing early keeps a server that is too slow for its load answering, where a growing queue would make
    every answer late. `work` is what the refused caller is told of.
    """

    def __init__(self, threads: int, *, waiting_max: int, work: str = "calls") -> None:
        self._work = work
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix="packhouse")
        self._calls_max = threads + waiting_max
        self._calls = 0
        self._lock = threading.Lock()

    async def run(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Return what `function` returns, from a worker thread; raise what it raises.

        Raises Unavailable when too many calls wait. When the awaiting task is cancelled, a call that still
        waits is dropped; one that runs goes on to its end, since a thread cannot be stopped.
        """
        with self._lock:
            if self._calls >= self._calls_max:
                raise Unavailable("server is busy", work=self._work, retry_after_s=1)
            self._calls += 1
        context = contextvars.copy_context()
        future = self._executor.submit(lambda: context.run(function, *args, **kwargs))
        # On the thread's future, not the loop's: that one is done on cancellation while the thread still runs.
        future.add_done_callback(self._forget)
        return await asyncio.wrap_future(future)

    def _forget(self, _: "Future[T]") -> None:
        with self._lock:
            self._calls -= 1

    def close(self) -> None:
        """Take no more calls and drop those that wait; running ones are not waited for."""
        self._executor.shutdown(wait=False, cancel_futures=True)
