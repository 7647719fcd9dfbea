"""Worker threads are bounded, and so is the queue for them."""

import asyncio
import contextvars
import threading

import pytest

from packhouse.errors import Invalid, Unavailable
from packhouse.web.admission.threads import WorkerThreads

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
        raise Invalid("wrong", colour=colour.get())

    async def run() -> None:
        threads = WorkerThreads(1, waiting_max=0)
        colour.set("blue")
        with pytest.raises(Invalid) as error:
            await threads.run(fail)
        assert error.value.fields == {"colour": "blue"}
        threads.close()

    asyncio.run(run())
