"""Few large requests are kept in memory at once, and small ones do not count."""

import asyncio
from contextlib import AsyncExitStack

import pytest

from packhouse import limits
from packhouse.errors import Unavailable
from packhouse.limits import Limits
from packhouse.web.admission.limiter import Limiter
from packhouse.web.smart.request_memory import RequestMemory
from tests.support.event_loop import cancelled, in_event_loop, settle
from tests.support.slots import has_free_slot

pytestmark = pytest.mark.quick

SMALL = limits.git_request_small_bytes
HERE, ELSEWHERE = (1, "a"), (2, "a")


@in_event_loop
async def test_a_small_request_takes_no_slot() -> None:
    slots = Limiter(1, parked_max=0)
    async with AsyncExitStack() as held:
        memory = RequestMemory(slots, HERE, held)
        await memory.add(SMALL - 1)
        await memory.add(1)
        assert await has_free_slot(slots)


@in_event_loop
async def test_a_request_takes_one_slot_when_it_grows_large_and_keeps_it_until_its_end() -> None:
    slots = Limiter(1, parked_max=0)
    async with AsyncExitStack() as held:
        memory = RequestMemory(slots, HERE, held)
        await memory.add(SMALL)
        await memory.add(1)
        assert not await has_free_slot(slots)
        await memory.add(10 * SMALL)  # one slot is enough: a second would never come
        assert not await has_free_slot(slots)
    assert await has_free_slot(slots)


@in_event_loop
async def test_a_large_request_waits_for_another_to_end() -> None:
    slots = Limiter(1, parked_max=0)
    async with AsyncExitStack() as second:
        async with AsyncExitStack() as first:
            await RequestMemory(slots, HERE, first).add(SMALL + 1)
            growing = asyncio.ensure_future(RequestMemory(slots, ELSEWHERE, second).add(SMALL + 1))
            await settle()
            assert not growing.done()
        await growing
        assert not await has_free_slot(slots)
    assert await has_free_slot(slots)


@in_event_loop
async def test_a_large_request_that_waits_too_long_is_refused() -> None:
    slots = Limiter(1, parked_max=0, limits=Limits(git_queue_max_s=0))
    async with AsyncExitStack() as first, AsyncExitStack() as second:
        await RequestMemory(slots, HERE, first).add(SMALL + 1)
        with pytest.raises(Unavailable, match="busy"):
            await RequestMemory(slots, ELSEWHERE, second).add(SMALL + 1)


@in_event_loop
async def test_a_request_cancelled_while_it_waits_leaves_no_slot_behind() -> None:
    slots = Limiter(1, parked_max=0)
    async with AsyncExitStack() as first, AsyncExitStack() as second:
        await RequestMemory(slots, HERE, first).add(SMALL + 1)
        growing = asyncio.ensure_future(RequestMemory(slots, ELSEWHERE, second).add(SMALL + 1))
        await settle()
        assert await cancelled(growing)
    assert await has_free_slot(slots)
