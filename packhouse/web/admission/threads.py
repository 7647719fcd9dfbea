"""Bounded worker threads, which run everything that blocks."""

import asyncio
import contextlib
import contextvars
import threading
from collections.abc import Callable
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any, Generic, ParamSpec, TypeVar

from packhouse.errors import ServerBusy

P = ParamSpec("P")
T = TypeVar("T")


class _Call:
    """A call that waits for a thread, or runs in one. `waits` is guarded by the lock of its threads."""

    __slots__ = ("future", "loop", "waits", "work")

    def __init__(self, loop: asyncio.AbstractEventLoop, work: Callable[[], object]) -> None:
        self.loop = loop
        self.future: asyncio.Future[Any] = loop.create_future()
        self.work: Callable[[], object] | None = work
        self.waits = True


class WorkerThreads:
    """At most `threads` calls run and at most `waiting_max` wait. A further call is refused at once.

    A queue without a bound would make every answer of an overloaded server late; with a refusal the server goes on
    answering. `work` names the kind of work in the refusal.

    Every request makes such calls. The executors of the standard library take three times as long for one, since they
    make a future for threads as well as one for the event loop.
    """

    def __init__(self, threads: int, *, waiting_max: int, work: str = "calls") -> None:
        self._work = work
        self._threads_max = threads
        self._threads = 0
        self._calls_max = threads + waiting_max
        self._calls = 0
        self._closed = False
        self._queue: SimpleQueue[_Call | None] = SimpleQueue()
        self._lock = threading.Lock()

    async def run(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Call the function in a thread, in the context of the caller, and return what it returns.

        Raises Unavailable when too many calls wait. When the awaiting task is cancelled, a call that still waits is
        dropped, and a call that runs goes on to its end, since a thread cannot be stopped.
        """
        context = contextvars.copy_context()
        call = _Call(asyncio.get_running_loop(), lambda: context.run(function, *args, **kwargs))
        with self._lock:
            if self._closed:
                raise RuntimeError("the worker threads are closed")
            if self._calls >= self._calls_max:
                raise ServerBusy(work=self._work, retry_after_s=1)
            self._calls += 1
            if self._threads < min(self._calls, self._threads_max):
                self._threads += 1
                name = f"packhouse_{self._threads}"
                threading.Thread(target=self._serve, name=name, daemon=True).start()
        self._queue.put(call)
        try:
            result: T = await call.future
        except asyncio.CancelledError:
            self._drop(call)
            raise
        return result

    def start(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> "RunningCall[T]":
        """Begin a call that is not dropped when the task that began it is cancelled; see `run`."""
        return RunningCall(asyncio.ensure_future(self.run(function, *args, **kwargs)))

    def close(self) -> None:
        """Take no more calls and drop the waiting ones. Running calls go on, and nothing waits for them."""
        with self._lock:
            self._closed = True
            threads, self._threads = self._threads, 0
        with contextlib.suppress(Empty):
            while True:
                call = self._queue.get_nowait()
                if call is not None and self._drop(call):
                    _tell(call, call.future.cancel)
        for _ in range(threads):
            self._queue.put(None)

    def _drop(self, call: _Call) -> bool:
        """Forget a call that still waits; False when it does not wait any more."""
        with self._lock:
            waited, call.waits = call.waits, False
            if waited:
                call.work = None
                self._calls -= 1
        return waited

    def _serve(self) -> None:
        """Run calls in this thread until the threads are closed."""
        while (call := self._queue.get()) is not None:
            with self._lock:
                work, call.work = call.work, None
                call.waits = False
            if work is not None:
                self._run(call, work)
            del call, work  # while this thread waits, nothing of the call stays in memory

    def _run(self, call: _Call, work: Callable[[], object]) -> None:
        """Run one call and tell its task the result."""
        try:
            result = work()
        except BaseException as error:  # noqa: BLE001  # every failure belongs to the task that waits
            settle = partial(_fail, call.future, error)
        else:
            settle = partial(_succeed, call.future, result)
        with self._lock:
            self._calls -= 1
        _tell(call, settle)


def _tell(call: _Call, settle: Callable[[], object]) -> None:
    """Settle the call in its event loop. A loop that was closed meanwhile has no task that waits."""
    with contextlib.suppress(RuntimeError):
        call.loop.call_soon_threadsafe(settle)


def _succeed(future: "asyncio.Future[Any]", result: object) -> None:
    if not future.done():
        future.set_result(result)


def _fail(future: "asyncio.Future[Any]", error: BaseException) -> None:
    if not future.done():
        future.set_exception(error)


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
