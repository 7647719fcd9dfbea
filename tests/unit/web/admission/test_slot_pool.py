"""The slots of one limiter: the order of waiters, parking, and cancellation at any moment."""

import asyncio

import pytest

from packhouse.web.admission.shares import Holder
from packhouse.web.admission.slot_pool import SlotPool
from tests.support.event_loop import cancelled, in_event_loop, settle

pytestmark = pytest.mark.quick

HERE, SAME_ORG, ELSEWHERE, FAR = (1, "a"), (1, "b"), (2, "a"), (3, "a")


class Waiters:
    """Tasks that wait for slots of a pool. `admitted` has the names of those with a slot, in order."""

    def __init__(self, pool: SlotPool) -> None:
        self.pool = pool
        self._holders: dict[str, Holder] = {}
        self.tasks: dict[str, asyncio.Task[None]] = {}
        self.admitted: list[str] = []

    async def take(self, name: str, holder: Holder) -> None:
        """Ask for a new slot."""
        await self._begin(name, holder, is_new=True)

    async def take_each(self, names: str, holder: Holder) -> None:
        """Ask for a new slot for each letter."""
        for name in names:
            await self.take(name, holder)

    async def take_and_park(self, name: str, holder: Holder) -> None:
        """Ask for a new slot and park it."""
        await self.take(name, holder)
        assert self.pool.park(holder)

    async def resume(self, name: str, holder: Holder) -> None:
        """Ask for a parked slot to run again."""
        await self._begin(name, holder, is_new=False)

    async def _begin(self, name: str, holder: Holder, *, is_new: bool) -> None:
        self._holders[name] = holder
        self.tasks[name] = asyncio.ensure_future(self._wait(name, holder, is_new=is_new))
        await settle()

    async def _wait(self, name: str, holder: Holder, *, is_new: bool) -> None:
        await (self.pool.take(holder) if is_new else self.pool.resume(holder))
        self.admitted.append(name)

    def give_back(self, name: str) -> None:
        """End the running slot of a waiter that was admitted."""
        self.pool.give_back(self._holders[name], is_parked=False)

    async def finish(self, name: str) -> None:
        """End a running slot and let others follow."""
        self.give_back(name)
        await settle()

    async def cancel(self, name: str) -> None:
        """Cancel a waiter."""
        assert await cancelled(self.tasks[name])
        await settle()

    async def count_when_last_ends(self, name: str) -> int:
        """End the last running slot; return how many slots the pool has then."""
        await self.finish(name)
        return await count_slots(self.pool)

    async def close(self) -> None:
        """Cancel all remaining waiters."""
        for task in self.tasks.values():
            task.cancel()
        await asyncio.gather(*self.tasks.values(), return_exceptions=True)


async def count_slots(pool: SlotPool) -> int:
    """Return how many strangers an unused pool admits."""
    strangers = Waiters(pool)
    for org_id in range(100, 110):
        await strangers.take(str(org_id), (org_id, "a"))
    count = len(strangers.admitted)
    await strangers.close()
    for name in strangers.admitted:
        strangers.give_back(name)
    return count


def pool_of(slots_max: int, *, parked_max: int = 0) -> Waiters:
    """Return waiters for a pool that nobody uses yet."""
    return Waiters(SlotPool(slots_max, parked_max=parked_max))


async def resume_behind_another() -> Waiters:
    """Return a pool whose only slot is `running`, while `again` waits to resume the only parked one."""
    waiters = pool_of(1, parked_max=1)
    await waiters.take_and_park("parked", HERE)
    await waiters.take("running", ELSEWHERE)
    await waiters.resume("again", HERE)
    return waiters


@in_event_loop
async def test_no_more_requests_run_than_there_are_slots() -> None:
    pool = SlotPool(2, parked_max=5)
    assert await count_slots(pool) == 2
    assert await count_slots(pool) == 2, "slots were lost or won"


@in_event_loop
async def test_waiters_of_one_holder_are_admitted_in_order_of_arrival() -> None:
    waiters = pool_of(1)
    await waiters.take_each("abcd", HERE)
    for name in "abc":
        await waiters.finish(name)
    assert waiters.admitted == ["a", "b", "c", "d"]


@in_event_loop
async def test_holders_are_served_one_after_the_other() -> None:
    waiters = pool_of(1)
    await waiters.take("running", FAR)
    for name, holder in (("a1", HERE), ("a2", HERE), ("a3", HERE), ("b1", ELSEWHERE), ("c1", SAME_ORG)):
        await waiters.take(name, holder)
    for name in ("running", "a1", "b1", "c1", "a2"):
        await waiters.finish(name)
    assert waiters.admitted == ["running", "a1", "b1", "c1", "a2", "a3"]


@in_event_loop
async def test_a_holder_without_room_does_not_stop_another() -> None:
    waiters = pool_of(3)
    await waiters.take_each("abc", HERE)
    assert waiters.admitted == ["a", "b"], "a single repository took everything"
    await waiters.take("other", ELSEWHERE)
    assert waiters.admitted == ["a", "b", "other"]
    await waiters.close()


@in_event_loop
async def test_a_parked_slot_lets_one_other_run() -> None:
    waiters = pool_of(1, parked_max=2)
    await waiters.take("parked", HERE)
    await waiters.take("b", ELSEWHERE)
    await waiters.take("c", FAR)
    assert waiters.pool.park(HERE)
    await settle()
    assert waiters.admitted == ["parked", "b"]
    await waiters.close()


@in_event_loop
async def test_the_number_of_parked_slots_has_a_bound() -> None:
    waiters = pool_of(1, parked_max=2)
    parked = []
    for org_id in range(4):
        await waiters.take(str(org_id), (org_id, "a"))
        parked.append(waiters.admitted[-1:] == [str(org_id)] and waiters.pool.park((org_id, "a")))
    assert parked == [True, True, False, False]
    await waiters.close()


@in_event_loop
async def test_a_slot_that_resumes_or_ends_makes_room_for_another_to_be_parked() -> None:
    waiters = pool_of(2, parked_max=1)
    await waiters.take_and_park("a", HERE)
    await waiters.take("b", ELSEWHERE)
    assert not waiters.pool.park(ELSEWHERE)
    await waiters.resume("a again", HERE)
    assert waiters.pool.park(ELSEWHERE)
    waiters.pool.give_back(ELSEWHERE, is_parked=True)
    assert waiters.pool.park(HERE)
    waiters.pool.give_back(HERE, is_parked=True)
    assert await count_slots(waiters.pool) == 2


@in_event_loop
async def test_without_room_for_parked_slots_none_is_parked() -> None:
    pool = SlotPool(1, parked_max=0)
    await pool.take(HERE)
    assert not pool.park(HERE)
    pool.give_back(HERE, is_parked=False)
    assert await count_slots(pool) == 1


@in_event_loop
async def test_a_parked_slot_resumes_before_new_ones_of_its_holder() -> None:
    waiters = pool_of(1, parked_max=2)
    await waiters.take("parked", HERE)
    for name in ("running", "new", "newer"):
        await waiters.take(name, HERE)
    assert waiters.pool.park(HERE)
    await settle()
    assert waiters.admitted == ["parked", "running"]
    await waiters.resume("parked again", HERE)
    assert waiters.admitted == ["parked", "running"], "two slots run where one may"
    for name in ("running", "parked again", "new"):
        await waiters.finish(name)
    assert waiters.admitted == ["parked", "running", "parked again", "new", "newer"]


@in_event_loop
async def test_a_waiter_that_stops_waiting_is_passed_over() -> None:
    waiters = pool_of(1)
    await waiters.take_each("abc", HERE)
    await waiters.cancel("b")
    await waiters.finish("a")
    assert waiters.admitted == ["a", "c"]
    assert await waiters.count_when_last_ends("c") == 1


@in_event_loop
async def test_a_waiter_cancelled_while_it_is_admitted_gives_its_slot_to_the_next() -> None:
    waiters = pool_of(1)
    await waiters.take_each("abc", HERE)
    waiters.give_back("a")  # admits b, whose task has not run since
    assert await cancelled(waiters.tasks["b"])
    await settle()
    assert waiters.admitted == ["a", "c"]
    assert await waiters.count_when_last_ends("c") == 1


@in_event_loop
async def test_a_waiter_cancelled_before_its_task_runs_again_is_not_admitted() -> None:
    waiters = pool_of(1)
    await waiters.take_each("abc", HERE)
    waiters.tasks["b"].cancel()
    waiters.give_back("a")  # b has been cancelled, and its task has not run since
    await settle()
    assert waiters.tasks["b"].cancelled()
    assert waiters.admitted == ["a", "c"]
    assert await waiters.count_when_last_ends("c") == 1


@in_event_loop
async def test_cancelling_all_waiters_of_a_holder_leaves_no_queue_behind() -> None:
    waiters = pool_of(1)
    await waiters.take("a", HERE)
    await waiters.take("b", ELSEWHERE)
    await waiters.take("c", ELSEWHERE)
    await waiters.take("d", FAR)
    for name in "bc":
        waiters.tasks[name].cancel()
    await waiters.finish("a")
    assert waiters.admitted == ["a", "d"]
    assert await waiters.count_when_last_ends("d") == 1


@in_event_loop
async def test_a_slot_cancelled_while_it_waits_to_resume_stays_parked() -> None:
    waiters = await resume_behind_another()
    await waiters.cancel("again")
    assert not waiters.pool.park(ELSEWHERE), "the place for a parked slot was given away"
    waiters.pool.give_back(HERE, is_parked=True)
    assert await waiters.count_when_last_ends("running") == 1
    await waiters.pool.take(HERE)
    assert waiters.pool.park(HERE)


@in_event_loop
async def test_a_slot_cancelled_in_the_step_in_which_it_resumes_stays_parked() -> None:
    waiters = await resume_behind_another()
    waiters.give_back("running")  # lets `again` run, whose task has not run since
    assert await cancelled(waiters.tasks["again"])
    waiters.pool.give_back(HERE, is_parked=True)
    assert await count_slots(waiters.pool) == 1


@in_event_loop
async def test_one_slot_is_cut_for_each_waiter_of_the_organisation() -> None:
    waiters = pool_of(2)
    await waiters.take("a", HERE)
    await waiters.take("b", ELSEWHERE)
    assert not waiters.pool.begin_cut(HERE, is_parked=False), "nobody waits"
    await waiters.take("far", FAR)
    assert not waiters.pool.begin_cut(HERE, is_parked=False), "only another organisation waits"
    await waiters.take("c", SAME_ORG)
    assert waiters.pool.begin_cut(HERE, is_parked=False)
    assert not waiters.pool.begin_cut(HERE, is_parked=False), "two end for one that waits"
    await waiters.take("d", HERE)
    assert waiters.pool.begin_cut(SAME_ORG, is_parked=False)
    waiters.pool.end_cut(HERE)
    assert waiters.pool.begin_cut(HERE, is_parked=False), "two wait, and one ends"
    await waiters.close()


@in_event_loop
async def test_a_parked_slot_is_not_cut_for_waiters_that_running_slots_block() -> None:
    waiters = pool_of(1, parked_max=10)
    await waiters.take_and_park("parked", HERE)
    await waiters.take("running", SAME_ORG)
    await waiters.take("waiting", HERE)
    assert not waiters.pool.begin_cut(HERE, is_parked=True)
    assert waiters.pool.begin_cut(SAME_ORG, is_parked=False), "one that runs is what the others wait for"
    await waiters.close()


@in_event_loop
async def test_a_parked_slot_is_cut_for_waiters_that_open_slots_block() -> None:
    waiters = pool_of(1, parked_max=1)
    await waiters.take_and_park("parked", HERE)
    await waiters.take("stalled", SAME_ORG)
    assert not waiters.pool.park(SAME_ORG)
    await waiters.take("waiting", HERE)
    assert waiters.pool.begin_cut(HERE, is_parked=True)
    await waiters.close()
