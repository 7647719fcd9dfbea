"""A slot is parked while it waits for its client, and its client is cut when others wait for the slot."""

import asyncio

import pytest

from packhouse.limits import Limits
from packhouse.web.admission.shares import Holder
from packhouse.web.admission.slot import Slot
from packhouse.web.admission.slot_pool import SlotPool
from tests.support.event_loop import cancelled, in_event_loop, settle

pytestmark = pytest.mark.quick

HERE, SAME_ORG, ELSEWHERE = (1, "a"), (1, "b"), (2, "a")
NEVER_S = 3600
PATIENT = Limits(git_slot_park_after_s=NEVER_S, git_slot_cut_after_s=NEVER_S)
PARKING = Limits(git_slot_park_after_s=0, git_slot_cut_after_s=NEVER_S)
CUTTING = Limits(git_slot_park_after_s=NEVER_S, git_slot_cut_after_s=0, git_slot_look_s=0)


class Stalled:
    """A running slot whose client lets it wait until the test calls `come` or `fail`. `cuts` counts cut connections."""

    def __init__(self, pool: SlotPool, limits: Limits, holder: Holder, *, can_cut: bool) -> None:
        self.cuts = 0
        self.slot = Slot(pool, holder, self._cut if can_cut else None, limits)
        self.wait()

    def wait(self) -> None:
        """Begin to wait for the client."""
        self._news: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.waiting = asyncio.ensure_future(self._wait())

    async def _wait(self) -> None:
        async with self.slot.parked_for_client():
            await self._news

    def _cut(self) -> None:
        self.cuts += 1

    def come(self) -> None:
        """Let the slot go on."""
        self._news.set_result(None)

    def fail(self, error: Exception) -> None:
        """Fail while the slot waits."""
        self._news.set_exception(error)

    def is_parked(self) -> bool:
        """Tell whether the slot is parked now. Of an attribute, mypy would take the first value for the last."""
        return self.slot.is_parked

    async def leave_parked(self, pool: SlotPool) -> None:
        """End the slot; assert that it and its place among the parked slots are free."""
        self.slot.end()
        assert await is_free(pool)
        assert pool.park(HERE), "a place for parked slots was lost"


async def stall(pool: SlotPool, limits: Limits, holder: Holder = HERE, *, can_cut: bool = True) -> Stalled:
    """Return a running slot that has begun to wait for its client."""
    await pool.take(holder)
    stalled = Stalled(pool, limits, holder, can_cut=can_cut)
    await settle()
    return stalled


async def check_is_never_parked(pool: SlotPool, limits: Limits) -> None:
    """Assert that a slot keeps its place while it waits for its client, and gives it back at its end."""
    stalled = await stall(pool, limits)
    assert not stalled.is_parked()
    assert not await is_free(pool)
    stalled.come()
    await stalled.waiting
    assert not stalled.is_parked()
    stalled.slot.end()
    assert await is_free(pool)


async def stall_behind_another(pool: SlotPool) -> Stalled:
    """Return a parked slot whose client has come while ELSEWHERE runs in its place."""
    stalled = await stall(pool, PARKING)
    await pool.take(ELSEWHERE)
    stalled.come()
    await settle()
    return stalled


async def wait_for_slot(pool: SlotPool, holder: Holder) -> "asyncio.Task[None]":
    """Return a task that waits for a slot, and has begun to."""
    task = asyncio.ensure_future(pool.take(holder))
    await settle()
    return task


async def is_free(pool: SlotPool) -> bool:
    """Tell whether a stranger gets a slot at once."""
    task = await wait_for_slot(pool, (99, "stranger"))
    if not task.done():
        assert await cancelled(task)
        return False
    pool.give_back((99, "stranger"), is_parked=False)
    return True


@pytest.fixture
def pool() -> SlotPool:
    """One slot, and one place for a parked one."""
    return SlotPool(1, parked_max=1)


@pytest.fixture
def full() -> SlotPool:
    """One slot, and no place for a parked one."""
    return SlotPool(1, parked_max=0)


@in_event_loop
async def test_a_slot_whose_client_is_quick_is_not_parked(pool: SlotPool) -> None:
    await check_is_never_parked(pool, PATIENT)


@in_event_loop
async def test_a_slot_whose_client_is_slow_is_parked_until_the_client_comes(pool: SlotPool) -> None:
    stalled = await stall(pool, PARKING)
    assert stalled.is_parked()
    assert await is_free(pool)
    stalled.come()
    await stalled.waiting
    assert not stalled.is_parked()
    assert not await is_free(pool)
    stalled.slot.end()
    assert await is_free(pool)


@in_event_loop
async def test_a_slot_is_parked_as_often_as_its_client_is_slow(pool: SlotPool) -> None:
    stalled = await stall(pool, PARKING)
    for _ in range(3):
        assert stalled.is_parked()
        stalled.come()
        await stalled.waiting
        assert not stalled.is_parked()
        stalled.wait()
        await settle()
    stalled.come()
    await stalled.waiting
    await stalled.leave_parked(pool)


@in_event_loop
async def test_a_slot_waits_for_running_slots_before_it_resumes(pool: SlotPool) -> None:
    stalled = await stall_behind_another(pool)
    assert not stalled.waiting.done()
    assert stalled.is_parked()
    pool.give_back(ELSEWHERE, is_parked=False)
    await stalled.waiting
    assert not stalled.is_parked()


@in_event_loop
async def test_a_slot_runs_on_when_too_many_are_parked(full: SlotPool) -> None:
    await check_is_never_parked(full, PARKING)


@in_event_loop
async def test_a_client_that_fails_leaves_its_slot_parked_until_the_end(pool: SlotPool) -> None:
    stalled = await stall(pool, PARKING)
    stalled.fail(ConnectionError())
    with pytest.raises(ConnectionError):
        await stalled.waiting
    assert stalled.is_parked()
    await pool.take(ELSEWHERE)
    stalled.slot.end()
    assert not await is_free(pool), "the end of a parked slot gave back the place of another"
    pool.give_back(ELSEWHERE, is_parked=False)
    assert await is_free(pool)


@in_event_loop
async def test_a_slot_cancelled_while_it_is_parked_gives_everything_back(pool: SlotPool) -> None:
    stalled = await stall(pool, PARKING)
    assert await cancelled(stalled.waiting)
    await stalled.leave_parked(pool)


@in_event_loop
async def test_a_slot_cancelled_while_it_resumes_gives_everything_back(pool: SlotPool) -> None:
    stalled = await stall_behind_another(pool)
    assert await cancelled(stalled.waiting)
    assert stalled.is_parked()
    stalled.slot.end()
    pool.give_back(ELSEWHERE, is_parked=False)
    assert await is_free(pool)


@in_event_loop
async def test_a_slot_cancelled_in_the_step_in_which_it_may_resume_gives_everything_back(
    pool: SlotPool,
) -> None:
    stalled = await stall_behind_another(pool)
    pool.give_back(ELSEWHERE, is_parked=False)  # lets the slot run, whose task has not run since
    assert await cancelled(stalled.waiting)
    await stalled.leave_parked(pool)


@in_event_loop
async def test_a_stalled_client_is_not_cut_while_its_organisation_has_no_waiters(full: SlotPool) -> None:
    stalled = await stall(full, CUTTING)
    elsewhere = await wait_for_slot(full, ELSEWHERE)
    await settle()
    assert stalled.cuts == 0
    assert await cancelled(elsewhere)
    stalled.come()
    await stalled.waiting


@in_event_loop
async def test_a_stalled_client_is_cut_once_when_another_of_its_organisation_begins_to_wait(
    full: SlotPool,
) -> None:
    stalled = await stall(full, CUTTING)
    assert stalled.cuts == 0
    waiting = await wait_for_slot(full, SAME_ORG)
    more = await wait_for_slot(full, SAME_ORG)
    while not stalled.cuts:
        await asyncio.sleep(0)
    await settle()
    assert stalled.cuts == 1
    assert await cancelled(stalled.waiting)
    stalled.slot.end()
    await waiting
    assert await cancelled(more)


@in_event_loop
async def test_a_client_that_came_in_time_is_not_cut_later(full: SlotPool) -> None:
    stalled = await stall(full, CUTTING)
    stalled.come()
    await stalled.waiting
    waiting = await wait_for_slot(full, SAME_ORG)
    await settle()
    assert stalled.cuts == 0
    stalled.slot.end()
    await waiting


@in_event_loop
async def test_a_slot_that_cannot_cut_its_client_waits(full: SlotPool) -> None:
    stalled = await stall(full, CUTTING, can_cut=False)
    waiting = await wait_for_slot(full, SAME_ORG)
    assert not stalled.slot.is_cut
    stalled.come()
    await stalled.waiting
    stalled.slot.end()
    await waiting


@in_event_loop
async def test_the_end_of_a_cut_slot_lets_another_be_cut() -> None:
    pool = SlotPool(2, parked_max=0)
    both = [await stall(pool, CUTTING), await stall(pool, CUTTING, SAME_ORG)]
    waiting = await wait_for_slot(pool, HERE)
    while not any(stalled.cuts for stalled in both):
        await asyncio.sleep(0)
    await settle()
    assert sum(stalled.cuts for stalled in both) == 1, "two end for one that waits"
    cut, other = sorted(both, key=lambda stalled: not stalled.slot.is_cut)
    assert await cancelled(cut.waiting)
    cut.slot.end()
    await waiting
    another = await wait_for_slot(pool, HERE)
    while not other.slot.is_cut:
        await asyncio.sleep(0)
    assert (cut.cuts, other.cuts) == (1, 1)
    assert await cancelled(other.waiting)
    other.slot.end()
    await another
