"""A request gets a slot only while its client is connected. A slot can cut its client's connection."""

import asyncio

import pytest

from packhouse.limits import Limits
from packhouse.web.admission.client_slot import slot_for_client
from packhouse.web.admission.limiter import Limiter
from packhouse.web.edge.body import ClientGone
from tests.support.event_loop import in_event_loop, let_pass, settle
from tests.support.slots import has_free_slot
from tests.support.wire_requests import Client

pytestmark = pytest.mark.quick

HERE, SAME_ORG = (1, "a"), (1, "b")


async def take(limiter: Limiter) -> None:
    """Get a slot and give it back."""
    async with limiter.slot(SAME_ORG):
        pass


@in_event_loop
async def test_a_connected_client_gets_the_slot() -> None:
    limiter = Limiter(1, parked_max=0)
    async with slot_for_client(Client().request("GET", "/"), limiter, HERE):
        assert not await has_free_slot(limiter)
    assert await has_free_slot(limiter)


@in_event_loop
async def test_a_client_that_left_while_it_waited_gets_no_slot() -> None:
    limiter = Limiter(1, parked_max=0)
    client = Client()

    async def run() -> None:
        async with slot_for_client(client.request("GET", "/"), limiter, HERE):
            raise AssertionError("nobody is there")

    async with limiter.slot(SAME_ORG):
        waiting = asyncio.ensure_future(run())
        await settle()
        client.leave()
        await settle()
        assert not waiting.done()
    with pytest.raises(ClientGone):
        await waiting
    assert await has_free_slot(limiter)


@in_event_loop
async def test_a_client_that_stalls_is_cut_for_another_of_its_organisation() -> None:
    limits = Limits()
    limiter = Limiter(1, parked_max=0, limits=limits)
    client = Client()

    async def stall() -> None:
        async with (
            slot_for_client(client.request("GET", "/"), limiter, HERE) as slot,
            slot.parked_for_client(),
        ):
            await asyncio.Event().wait()

    stalling = asyncio.ensure_future(stall())
    await settle()
    waiting = asyncio.ensure_future(take(limiter))
    await settle()
    await let_pass(limits.git_slot_cut_after_s - 1)
    assert client.cuts == 0
    await let_pass(2)
    assert client.cuts == 1
    stalling.cancel()
    await asyncio.wait({stalling})
    await waiting


@in_event_loop
async def test_a_request_whose_server_knows_no_connection_gets_the_slot_too() -> None:
    limiter = Limiter(1, parked_max=0)
    async with slot_for_client(Client().request("GET", "/", knows_connection=False), limiter, HERE) as slot:
        assert slot.cut is None
