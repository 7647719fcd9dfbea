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


class Client:
    """A client that a slot waits for until the test calls `come` or `fail`."""

    def __init__(self, slot: Slot) -> None:
        self.slot = slot
        self._news: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.waiting = asyncio.ensure_future(self._wait())

    async def _wait(self) -> None:
        async with self.slot.parked_for_client():
            await self._news

    def come(self) -> None:
        """Let the slot go on."""
        self._news.set_result(None)

    def fail(self, error: Exception) -> None:
        """Fail while the slot waits."""
        self._news.set_exception(error)


class Cuts:
    """Counts how often a connection was ended."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self) -> None:
        self.count += 1


async def hold(pool: SlotPool, holder: Holder, limits: Limits, cut: Cuts | None = None) -> Slot:
    """Return a running slot."""
    await pool.take(holder)
    return Slot(pool, holder, cut, limits)


async def wait_for_slot(pool: SlotPool, holder: Holder) -> "asyncio.Task[None]":
    """Return a task that waits for a slot, and has begun to."""
    task = asyncio.ensure_future(pool.take(holder))
    await settle()
    return task


def is_parked(slot: Slot) -> bool:
    """Tell whether the slot is parked now. If the attribute were read, mypy would take its first value for the last."""
    return slot.is_parked


async def is_free(pool: SlotPool) -> bool:
    """Tell whether a stranger gets a slot at once."""
    task = await wait_for_slot(pool, (99, "stranger"))
    if not task.done():
        assert await cancelled(task)
        return False
    pool.give_back((99, "stranger"), is_parked=False)
    return True


@in_event_loop
async def test_a_slot_whose_client_is_quick_is_not_parked() -> None:
    pool = SlotPool(1, parked_max=1)
    slot = await hold(pool, HERE, PATIENT)
    async with slot.parked_for_client():
        await settle()
        assert not is_parked(slot)
        assert not await is_free(pool)
    assert not is_parked(slot)
    slot.end()
    assert await is_free(pool)


@in_event_loop
async def test_a_slot_whose_client_is_slow_is_parked_until_the_client_comes() -> None:
    pool = SlotPool(1, parked_max=1)
    slot = await hold(pool, HERE, PARKING)
    client = Client(slot)
    await settle()
    assert is_parked(slot)
    assert await is_free(pool)
    client.come()
    await client.waiting
    assert not is_parked(slot)
    assert not await is_free(pool)
    slot.end()
    assert await is_free(pool)


@in_event_loop
async def test_a_slot_is_parked_as_often_as_its_client_is_slow() -> None:
    pool = SlotPool(1, parked_max=1)
    slot = await hold(pool, HERE, PARKING)
    for _ in range(3):
        client = Client(slot)
        await settle()
        assert is_parked(slot)
        client.come()
        await client.waiting
    slot.end()
    assert await is_free(pool)
    assert pool.park(HERE) is True, "a place for parked slots was lost"


@in_event_loop
async def test_a_slot_waits_for_running_slots_before_it_resumes() -> None:
    pool = SlotPool(1, parked_max=1)
    slot = await hold(pool, HERE, PARKING)
    client = Client(slot)
    await settle()
    await pool.take(ELSEWHERE)
    client.come()
    await settle()
    assert not client.waiting.done()
    assert is_parked(slot)
    pool.give_back(ELSEWHERE, is_parked=False)
    await client.waiting
    assert not is_parked(slot)


@in_event_loop
async def test_a_slot_runs_on_when_too_many_are_parked() -> None:
    pool = SlotPool(1, parked_max=0)
    slot = await hold(pool, HERE, PARKING)
    client = Client(slot)
    await settle()
    assert not is_parked(slot)
    assert not await is_free(pool)
    client.come()
    await client.waiting
    slot.end()
    assert await is_free(pool)


@in_event_loop
async def test_a_client_that_fails_leaves_its_slot_parked_until_the_end() -> None:
    pool = SlotPool(1, parked_max=1)
    slot = await hold(pool, HERE, PARKING)
    client = Client(slot)
    await settle()
    client.fail(ConnectionError())
    with pytest.raises(ConnectionError):
        await client.waiting
    assert is_parked(slot)
    await pool.take(ELSEWHERE)
    slot.end()
    assert not await is_free(pool), "the end of a parked slot gave back the place of another"
    pool.give_back(ELSEWHERE, is_parked=False)
    assert await is_free(pool)


@in_event_loop
async def test_a_slot_cancelled_while_it_is_parked_gives_everything_back() -> None:
    pool = SlotPool(1, parked_max=1)
    slot = await hold(pool, HERE, PARKING)
    client = Client(slot)
    await settle()
    assert await cancelled(client.waiting)
    slot.end()
    assert await is_free(pool)
    assert pool.park(HERE)


@in_event_loop
async def test_a_slot_cancelled_while_it_resumes_gives_everything_back() -> None:
    pool = SlotPool(1, parked_max=1)
    slot = await hold(pool, HERE, PARKING)
    client = Client(slot)
    await settle()
    await pool.take(ELSEWHERE)
    client.come()
    await settle()
    assert await cancelled(client.waiting)
    assert is_parked(slot)
    slot.end()
    pool.give_back(ELSEWHERE, is_parked=False)
    assert await is_free(pool)


@in_event_loop
async def test_a_slot_cancelled_in_the_step_in_which_it_may_resume_gives_everything_back() -> None:
    pool = SlotPool(1, parked_max=1)
    slot = await hold(pool, HERE, PARKING)
    client = Client(slot)
    await settle()
    await pool.take(ELSEWHERE)
    client.come()
    await settle()
    pool.give_back(ELSEWHERE, is_parked=False)  # lets the slot run, whose task has not run since
    assert await cancelled(client.waiting)
    slot.end()
    assert await is_free(pool)
    assert pool.park(HERE)


@in_event_loop
async def test_a_stalled_client_is_not_cut_while_its_organisation_has_no_waiters() -> None:
    pool = SlotPool(1, parked_max=0)
    cuts = Cuts()
    slot = await hold(pool, HERE, CUTTING, cuts)
    client = Client(slot)
    elsewhere = await wait_for_slot(pool, ELSEWHERE)
    await settle()
    assert cuts.count == 0
    assert await cancelled(elsewhere)
    client.come()
    await client.waiting


@in_event_loop
async def test_a_stalled_client_is_cut_once_when_another_of_its_organisation_begins_to_wait() -> None:
    pool = SlotPool(1, parked_max=0)
    cuts = Cuts()
    slot = await hold(pool, HERE, CUTTING, cuts)
    client = Client(slot)
    await settle()
    assert cuts.count == 0
    waiting = await wait_for_slot(pool, SAME_ORG)
    more = await wait_for_slot(pool, SAME_ORG)
    while not cuts.count:
        await asyncio.sleep(0)
    await settle()
    assert cuts.count == 1
    assert await cancelled(client.waiting)
    slot.end()
    await waiting
    assert await cancelled(more)


@in_event_loop
async def test_a_client_that_came_in_time_is_not_cut_later() -> None:
    pool = SlotPool(1, parked_max=0)
    cuts = Cuts()
    slot = await hold(pool, HERE, CUTTING, cuts)
    client = Client(slot)
    await settle()
    client.come()
    await client.waiting
    waiting = await wait_for_slot(pool, SAME_ORG)
    await settle()
    assert cuts.count == 0
    slot.end()
    await waiting


@in_event_loop
async def test_a_slot_that_cannot_cut_its_client_waits() -> None:
    pool = SlotPool(1, parked_max=0)
    slot = await hold(pool, HERE, CUTTING)
    client = Client(slot)
    waiting = await wait_for_slot(pool, SAME_ORG)
    assert not slot.is_cut
    client.come()
    await client.waiting
    slot.end()
    await waiting


@in_event_loop
async def test_the_end_of_a_cut_slot_lets_another_be_cut() -> None:
    pool = SlotPool(2, parked_max=0)
    cuts = Cuts()
    first = await hold(pool, HERE, CUTTING, cuts)
    second = await hold(pool, SAME_ORG, CUTTING, cuts)
    clients = [Client(first), Client(second)]
    waiting = await wait_for_slot(pool, HERE)
    while not cuts.count:
        await asyncio.sleep(0)
    await settle()
    assert cuts.count == 1, "two end for one that waits"
    cut, other = (first, second) if first.is_cut else (second, first)
    assert await cancelled(clients[(first, second).index(cut)].waiting)
    cut.end()
    await waiting
    another = await wait_for_slot(pool, HERE)
    while not other.is_cut:
        await asyncio.sleep(0)
    assert cuts.count == 2
    assert await cancelled(clients[(first, second).index(other)].waiting)
    other.end()
    await another
