"""A transfer opened in a thread is closed in every case, and fetches and pushes have slots of their own."""

import asyncio
import logging
import threading
from contextlib import AsyncExitStack

import pytest

from packhouse.cursors import BadCursor
from packhouse.errors import Unavailable
from packhouse.limits import Limits
from packhouse.web.admission.limiter import Limiter
from packhouse.web.admission.transfers import Transfers
from tests.support.event_loop import in_event_loop, settle

pytestmark = pytest.mark.quick

WAIT_S = 60
HERE = (1, "a")
IMPATIENT = Limits(git_queue_max_s=0)


class Door:
    """Something that is opened and closed by calls that block; opening waits until it `may_open`."""

    def __init__(self) -> None:
        self.opens = threading.Event()
        self.may_open = threading.Event()
        self.closed_by: list[str] = []

    def open(self) -> "Door":
        """Wait until it may open."""
        self.opens.set()
        assert self.may_open.wait(WAIT_S)
        return self

    def close(self) -> None:
        """Note which thread closed it."""
        self.closed_by.append(threading.current_thread().name)


def open_door() -> Door:
    """Return a door that opens at once."""
    door = Door()
    door.may_open.set()
    return door


@in_event_loop
async def test_a_transfer_is_open_inside_the_block_and_closed_in_a_thread_after_it() -> None:
    transfers = Transfers(1, Limits())
    door = open_door()
    async with transfers.opened(door.open, Door.close) as opened:
        assert opened is door
        assert not door.closed_by
    (closer,) = door.closed_by
    assert closer != threading.current_thread().name
    transfers.close()


@in_event_loop
async def test_a_transfer_is_closed_when_the_block_fails() -> None:
    transfers = Transfers(1, Limits())
    door = open_door()
    with pytest.raises(ConnectionError):
        async with transfers.opened(door.open, Door.close):
            raise ConnectionError
    assert len(door.closed_by) == 1
    transfers.close()


@in_event_loop
async def test_a_request_cancelled_while_something_opens_waits_for_it_and_closes_it() -> None:
    transfers = Transfers(1, Limits())
    door = Door()

    async def run() -> None:
        async with transfers.opened(door.open, Door.close):
            raise AssertionError("it was cancelled before")

    task = asyncio.ensure_future(run())
    await asyncio.to_thread(door.opens.wait, WAIT_S)
    task.cancel()
    await settle()
    assert not task.done(), "nobody would close what opens now"
    door.may_open.set()
    await asyncio.wait({task})
    assert task.cancelled()
    assert len(door.closed_by) == 1
    transfers.close()


@in_event_loop
async def test_nothing_is_closed_when_opening_failed() -> None:
    transfers = Transfers(1, Limits())
    door = Door()

    def fail() -> Door:
        raise BadCursor()

    with pytest.raises(BadCursor):
        async with transfers.opened(fail, Door.close):
            raise AssertionError
    assert not door.closed_by
    transfers.close()


@in_event_loop
async def test_a_failure_to_close_a_transfer_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    transfers = Transfers(1, Limits())

    def fail(_: Door) -> None:
        raise OSError("stuck")

    with caplog.at_level(logging.ERROR, logger="packhouse"):
        async with transfers.opened(open_door, fail):
            pass
    assert "git transfer not cleaned up" in caplog.text
    transfers.close()


@in_event_loop
async def test_a_transfer_that_outlives_the_threads_is_closed_all_the_same() -> None:
    transfers = Transfers(1, Limits())
    door = open_door()
    async with transfers.opened(door.open, Door.close):
        transfers.close()
    assert door.closed_by == [threading.current_thread().name]


@in_event_loop
async def test_reads_and_pushes_have_slots_of_their_own() -> None:
    transfers = Transfers(1, IMPATIENT)
    async with transfers.reads.slot(HERE), transfers.pushes.slot(HERE):
        for limiter in (transfers.reads, transfers.pushes):
            with pytest.raises(Unavailable):
                async with limiter.slot((2, "b")):
                    raise AssertionError("more run than processes may")
        async with transfers.large_reads.slot(HERE), transfers.large_pushes.slot(HERE):
            pass
    transfers.close()


@pytest.mark.parametrize("kind", ["large_reads", "large_pushes"])
@in_event_loop
async def test_few_large_requests_are_kept_in_memory_at_once(kind: str) -> None:
    transfers = Transfers(32, Limits(git_queue_max_s=0, large_git_requests_max=2))
    limiter: Limiter = getattr(transfers, kind)
    async with AsyncExitStack() as held:
        for org_id in range(2):
            await held.enter_async_context(limiter.slot((org_id, "a")))
        with pytest.raises(Unavailable):
            await held.enter_async_context(limiter.slot((2, "a")))
    transfers.close()


@in_event_loop
async def test_as_many_calls_run_at_once_as_there_are_slots() -> None:
    transfers = Transfers(2, Limits())
    everybody = threading.Barrier(4)
    calls = [transfers.start(everybody.wait, WAIT_S) for _ in range(4)]
    assert sorted([await call.result() for call in calls]) == [0, 1, 2, 3]
    transfers.close()
