"""Worker threads are bounded, and so is the queue for them."""

import asyncio
import contextvars
import gc
import threading
import weakref

import pytest

from packhouse.cursors import BadCursor
from packhouse.errors import ServerBusy, Unavailable
from packhouse.git.refname import BranchNameInvalid
from packhouse.web.admission.threads import WorkerThreads
from tests.support.event_loop import in_event_loop
from tests.support.waiting import wait_until

pytestmark = pytest.mark.quick

WAIT_S = 60
colour = contextvars.ContextVar("colour", default="none")


def test_one_call_more_than_fits_is_refused_at_once() -> None:
    async def run() -> None:
        threads = WorkerThreads(1, waiting_max=1)
        release = threading.Event()
        running = [asyncio.ensure_future(threads.run(release.wait, WAIT_S)) for _ in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(Unavailable, match="busy"):
            await threads.run(int)
        release.set()
        assert await asyncio.gather(*running) == [True, True]
        assert await threads.run(int) == 0
        threads.close()

    asyncio.run(run())


def test_a_cancelled_call_keeps_its_place_until_its_thread_is_free() -> None:
    async def run() -> None:
        threads = WorkerThreads(1, waiting_max=0)
        started, release = threading.Event(), threading.Event()

        def work() -> None:
            started.set()
            release.wait(WAIT_S)

        task = asyncio.ensure_future(threads.run(work))
        await asyncio.to_thread(started.wait, WAIT_S)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        with pytest.raises(Unavailable):
            await threads.run(int)
        release.set()
        while True:
            try:
                assert await threads.run(int) == 0
            except Unavailable:
                await asyncio.sleep(0.01)
            else:
                break
        threads.close()

    asyncio.run(run())


def test_errors_and_context_cross_the_thread() -> None:
    def fail() -> None:
        raise BranchNameInvalid(colour.get())

    async def run() -> None:
        threads = WorkerThreads(1, waiting_max=0)
        colour.set("blue")
        with pytest.raises(BranchNameInvalid) as error:
            await threads.run(fail)
        assert error.value.branch == "blue"
        threads.close()

    asyncio.run(run())


class Work:
    """A function that blocks until it `may_end`, and then returns or raises."""

    def __init__(self, failure: Exception | None = None) -> None:
        self._failure = failure
        self.begun = threading.Event()
        self.may_end = threading.Event()

    def __call__(self) -> str:
        self.begun.set()
        assert self.may_end.wait(WAIT_S)
        if self._failure is not None:
            raise self._failure
        return "done"


async def begun(work: Work) -> None:
    """Wait until the work runs."""
    assert await asyncio.to_thread(work.begun.wait, WAIT_S)


@in_event_loop
async def test_the_work_of_a_started_call_goes_on_when_the_task_that_waits_is_cancelled() -> None:
    threads = WorkerThreads(1, waiting_max=0)
    work = Work()
    call = threads.start(work)
    await begun(work)
    for waiting in (call.result(), call.wait()):
        task = asyncio.ensure_future(waiting)
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait({task})
        assert task.cancelled()
    work.may_end.set()
    assert await call.result() == "done"
    assert (call.returned, call.failure) == ("done", None)
    threads.close()


@in_event_loop
async def test_a_started_call_tells_what_its_function_raised() -> None:
    threads = WorkerThreads(1, waiting_max=0)
    failure = BadCursor()
    work = Work(failure)
    call = threads.start(work)
    work.may_end.set()
    await call.wait()
    assert call.failure is failure
    assert call.returned is None
    with pytest.raises(BadCursor):
        await call.result()
    threads.close()


@in_event_loop
async def test_a_started_call_beyond_the_bound_fails_instead_of_waiting() -> None:
    threads = WorkerThreads(1, waiting_max=0, work="transfers")
    work = Work()
    first = threads.start(work)
    await begun(work)
    second = threads.start(int)
    await second.wait()
    assert isinstance(second.failure, ServerBusy)
    assert second.failure.work == "transfers"
    work.may_end.set()
    await first.wait()
    threads.close()


@in_event_loop
async def test_calls_that_wait_are_dropped_when_the_threads_close_and_running_ones_end() -> None:
    threads = WorkerThreads(1, waiting_max=1)
    work = Work()
    running = threads.start(work)
    await begun(work)
    waiting = threads.start(int)
    await asyncio.sleep(0)
    threads.close()
    await waiting.wait()
    assert isinstance(waiting.failure, asyncio.CancelledError)
    assert waiting.returned is None
    work.may_end.set()
    assert await running.result() == "done"


@in_event_loop
async def test_a_waiting_call_whose_task_is_cancelled_leaves_its_place_at_once() -> None:
    threads = WorkerThreads(1, waiting_max=1)
    work = Work()
    running = threads.start(work)
    await begun(work)
    waiting = asyncio.ensure_future(threads.run(int))
    await asyncio.sleep(0)
    with pytest.raises(Unavailable):
        await threads.run(int)
    waiting.cancel()
    await asyncio.wait({waiting})
    next_one = threads.start(int)
    await asyncio.sleep(0)
    work.may_end.set()
    await running.wait()
    assert await next_one.result() == 0
    threads.close()


@in_event_loop
async def test_threads_are_started_when_calls_need_them_and_used_again() -> None:
    threads = WorkerThreads(4, waiting_max=0)
    names = {await threads.run(lambda: threading.current_thread().name) for _ in range(10)}
    assert len(names) == 1
    works = [Work() for _ in range(4)]
    running = [asyncio.ensure_future(threads.run(work)) for work in works]
    for work in works:
        await begun(work)
        work.may_end.set()
    assert await asyncio.gather(*running) == ["done"] * 4
    threads.close()


@in_event_loop
async def test_a_waiting_thread_keeps_nothing_of_the_last_call() -> None:
    threads = WorkerThreads(1, waiting_max=0)
    work = Work()
    work.may_end.set()
    kept = weakref.ref(work)
    assert await threads.run(work) == "done"
    del work
    gc.collect()
    await asyncio.to_thread(wait_until, lambda: kept() is None, "the call is forgotten")
    threads.close()
