"""Slots to run git are shared fairly among organisations and repositories."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from packhouse.errors import ServerBusy, Unavailable
from packhouse.limits import Limits
from packhouse.web.admission.limiter import Limiter
from packhouse.web.admission.shares import Holder
from tests.support.event_loop import in_event_loop, settle

pytestmark = pytest.mark.quick

HERE, SAME_ORG, ELSEWHERE = (1, "a"), (1, "b"), (2, "a")

IMPATIENT = Limits(git_slot_park_after_s=0)
STRICT = Limits(git_slot_park_after_s=0, git_slot_cut_after_s=0, git_slot_look_s=0)


class Transfers:
    """Transfers that keep their slots until the test lets them go on. `begun` has the admitted ones."""

    def __init__(self, limiter: Limiter) -> None:
        self._limiter = limiter
        self._tasks: list[asyncio.Task[None]] = []
        self._signals: list[asyncio.Event] = []
        self.begun: list[int] = []
        self.cut: list[int] = []

    @property
    def count(self) -> int:
        return len(self._tasks)

    def start(self, holder: Holder, *, stalling: bool = False) -> None:
        self._signals.append(asyncio.Event())
        self._tasks.append(asyncio.ensure_future(self._run(self.count, holder, stalling=stalling)))

    async def _run(self, number: int, holder: Holder, *, stalling: bool) -> None:
        async with self._limiter.slot(holder, lambda: self.cut.append(number)) as slot:
            self.begun.append(number)
            if stalling:
                async with slot.parked_for_client():
                    await self._signals[number].wait()
            else:
                await self._signals[number].wait()

    async def arrive(self, holder: Holder, count: int = 1, *, stalling: bool = False) -> None:
        for _ in range(count):
            self.start(holder, stalling=stalling)
        await settle()

    def resume(self, number: int) -> None:
        self._signals[number].set()

    def stop(self, number: int) -> None:
        self._tasks[number].cancel()

    def has_ended(self, number: int) -> bool:
        return self._tasks[number].done()

    async def finish(self, number: int) -> None:
        self.resume(number)
        await self._tasks[number]
        await settle()

    async def cancel(self, number: int) -> None:
        self.stop(number)
        await asyncio.wait({self._tasks[number]})
        await settle()

    async def failure(self, number: int) -> BaseException | None:
        await asyncio.wait({self._tasks[number]})
        return self._tasks[number].exception()

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await settle()


async def count_slots(limiter: Limiter) -> int:
    """Return how many slots an unused limiter gives to strangers that all stall."""
    strangers = Transfers(limiter)
    for org_id in range(100, 120):
        await strangers.arrive((org_id, "a"), stalling=True)
    await strangers.close()
    return len(strangers.begun)


def test_one_repository_leaves_slots_to_others_and_one_organisation_too() -> None:
    async def run() -> None:
        transfers = Transfers(Limiter(8, parked_max=0))
        await transfers.arrive(HERE, 20)
        assert transfers.begun == list(range(6))
        await transfers.arrive(SAME_ORG, 20)
        assert transfers.begun == [*range(6), 20]
        await transfers.arrive(ELSEWHERE)
        assert transfers.begun == [*range(6), 20, 40]
        await transfers.close()

    asyncio.run(run())


def test_waiters_are_admitted_one_of_each_holder_in_a_round() -> None:
    async def run() -> None:
        transfers = Transfers(Limiter(1, parked_max=0))
        await transfers.arrive(HERE, 4)
        await transfers.arrive(ELSEWHERE, 2)
        await transfers.arrive(SAME_ORG)
        for number in (0, 1, 4, 6, 2, 5, 3):
            assert transfers.begun[-1] == number
            await transfers.finish(number)

    asyncio.run(run())


def test_a_slot_that_waits_for_its_client_is_parked_and_resumes_before_new_ones() -> None:
    async def run() -> None:
        transfers = Transfers(Limiter(1, parked_max=2, limits=IMPATIENT))
        await transfers.arrive(HERE, stalling=True)
        await transfers.arrive(HERE, 2)
        assert transfers.begun == [0, 1], "the slot was not parked, or freed twice"
        transfers.resume(0)
        await settle()
        assert not transfers.has_ended(0), "two run in one slot"
        await transfers.finish(1)
        assert transfers.has_ended(0)
        assert transfers.begun == [0, 1, 2]
        await transfers.close()

    asyncio.run(run())


def test_the_parked_slots_of_one_repository_are_fewer_than_the_bound_of_all() -> None:
    async def run() -> None:
        transfers = Transfers(Limiter(2, parked_max=14, limits=IMPATIENT))
        await transfers.arrive(HERE, 50, stalling=True)
        assert len(transfers.begun) == 11
        await transfers.arrive(ELSEWHERE, 2)
        assert transfers.begun[11:] == [50, 51]
        await transfers.close()

    asyncio.run(run())


def test_clients_that_stall_for_long_give_way_to_as_many_as_wait() -> None:
    async def run() -> None:
        transfers = Transfers(Limiter(2, parked_max=14, limits=STRICT))
        for _ in range(11):
            await transfers.arrive(HERE, stalling=True)
        assert not transfers.cut
        await transfers.arrive(HERE, 2, stalling=True)
        assert len(transfers.cut) == 2
        for number in list(transfers.cut):
            await transfers.cancel(number)
        assert transfers.begun[-2:] == [11, 12]
        await transfers.arrive(ELSEWHERE)
        assert transfers.begun[-1] == 13
        assert len(transfers.cut) == 2, "there was room"
        await transfers.close()

    asyncio.run(run())


def test_no_client_is_cut_for_a_waiter_that_running_slots_block() -> None:
    async def run() -> None:
        transfers = Transfers(Limiter(1, parked_max=14, limits=STRICT))
        await transfers.arrive(HERE, stalling=True)
        await transfers.arrive(HERE, 2)
        assert transfers.begun == [0, 1]
        assert not transfers.cut
        await transfers.close()

    asyncio.run(run())


def test_waiters_beyond_the_queue_or_the_time_are_refused() -> None:
    async def run() -> None:
        limiter = Limiter(1, parked_max=0, limits=Limits(git_queue_max=3, git_queue_max_s=0))
        transfers = Transfers(limiter)
        await transfers.arrive(HERE, 6)
        failures = [await transfers.failure(number) for number in range(1, 6)]
        assert [type(failure) for failure in failures] == [ServerBusy] * 5
        await transfers.finish(0)
        assert await count_slots(limiter) == 1

    asyncio.run(run())


STEPS = st.tuples(
    st.sampled_from((HERE, SAME_ORG, ELSEWHERE)),
    st.booleans(),
    st.integers(0, 40),
    st.booleans(),
    st.integers(0, 4),
)


@given(st.lists(STEPS, max_size=40))
def test_no_slot_is_lost_in_any_order_of_ends(steps: list[tuple[Holder, bool, int, bool, int]]) -> None:
    """Each step begins a transfer, and lets another one go on or be cancelled, at any moment between two others."""

    async def run() -> None:
        limiter = Limiter(2, parked_max=3, limits=IMPATIENT)
        transfers = Transfers(limiter)
        for holder, stalling, number, cancelled, pause in steps:
            transfers.start(holder, stalling=stalling)
            (transfers.stop if cancelled else transfers.resume)(number % transfers.count)
            for _ in range(pause):
                await asyncio.sleep(0)
        await transfers.close()
        assert await count_slots(limiter) == 5

    asyncio.run(run())


@in_event_loop
async def test_a_slot_is_given_back_when_its_block_fails() -> None:
    limiter = Limiter(1, parked_max=0)
    with pytest.raises(ConnectionError):
        async with limiter.slot(HERE):
            raise ConnectionError
    assert await count_slots(limiter) == 1


@in_event_loop
async def test_a_refusal_names_the_work_and_when_to_come_back() -> None:
    limits = Limits(git_queue_max=0, git_retry_after_s=7)
    with pytest.raises(Unavailable) as refusal:
        async with Limiter(1, parked_max=0, work="searches", limits=limits).slot(HERE):
            raise AssertionError
    assert refusal.value.fields == {"work": "searches", "retry_after_s": 7}


@in_event_loop
async def test_one_repository_does_not_take_all_places_in_the_queue() -> None:
    limiter = Limiter(1, parked_max=0, limits=Limits(git_queue_max=3))
    transfers = Transfers(limiter)
    await transfers.arrive(ELSEWHERE)
    await transfers.arrive(HERE, 3)
    assert isinstance(await transfers.failure(3), Unavailable), "two of three places are taken"
    await transfers.arrive((3, "a"))
    await transfers.finish(0)
    await transfers.finish(1)
    assert transfers.begun == [0, 1, 4]
    await transfers.close()
    assert await count_slots(limiter) == 1


@pytest.mark.parametrize("steps", range(8))
@in_event_loop
async def test_a_waiter_cancelled_while_it_is_admitted_leaves_no_slot_behind(steps: int) -> None:
    limiter = Limiter(1, parked_max=0)
    transfers = Transfers(limiter)
    await transfers.arrive(HERE, 2)
    transfers.resume(0)
    for _ in range(steps):
        await asyncio.sleep(0)
    await transfers.cancel(1)
    assert transfers.has_ended(0)
    assert await count_slots(limiter) == 1


@in_event_loop
async def test_a_waiter_that_times_out_while_it_is_admitted_leaves_no_slot_behind() -> None:
    """The time-out of a wait is a cancellation that comes from within."""
    limiter = Limiter(1, parked_max=0, limits=Limits(git_queue_max_s=0))
    transfers = Transfers(limiter)
    async with limiter.slot(ELSEWHERE):
        transfers.start(HERE)
        await asyncio.sleep(0)  # it waits now, and its time is up in the next step
    await settle()
    transfers.resume(0)
    await transfers.close()
    assert await count_slots(limiter) == 1
