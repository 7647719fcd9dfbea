"""A push that takes long: on its way, while it is judged, and with a git that hangs."""

import asyncio
import os
import signal
from random import Random

import pytest

from packhouse import limits
from packhouse.auth.principal import Principal
from packhouse.errors import TimedOut
from packhouse.git.wire.pktline import FLUSH_PKT, KEEPALIVE
from packhouse.node.node import Node
from packhouse.operations.catalog.lookup import lookup_repo
from packhouse.web.admission.admission import Admission
from packhouse.web.edge.responses import StreamResponse
from tests.support.builders.node_writes import MAIN
from tests.support.clients.git_wire import command
from tests.support.clients.memory_pushes import (
    begin_push,
    history,
    push_by,
    read_bands,
    report_lines,
    tip_of_main,
)
from tests.support.event_loop import in_event_loop, let_pass, settle
from tests.support.servers.memory_edge import MemoryEdge
from tests.support.servers.processes import own_children
from tests.support.slots import has_free_slot
from tests.support.wire_requests import Client

pytestmark = pytest.mark.quick

PLAIN, BANDS = b"report-status", b"report-status side-band-64k"
NOISE = Random(7).randbytes(limits.push_start_bytes + 30_000)  # the rest fits into a pipe that nobody reads


async def begun(client: Client) -> int:
    """Wait until index-pack has what the client sent, and return its process id."""
    while not (client.is_waited_for and own_children("index-pack")):
        await asyncio.sleep(0)
    (child,) = own_children("index-pack")
    return child


async def stopped(edge: MemoryEdge, capabilities: bytes) -> tuple[StreamResponse, int]:
    """Return the answer to a push whose index-pack stands still, and the id of that process."""
    new, data = history(NOISE)
    head = command(MAIN, new, capabilities=capabilities) + FLUSH_PKT
    client = Client([head + data[:-20_000]], is_slow=True)
    beginning = asyncio.ensure_future(begin_push(edge, client))
    child = await begun(client)
    os.kill(child, signal.SIGSTOP)
    client.send(data[-20_000:])
    client.finish()
    return await beginning, child


class Reader:
    """Reads an answer to its end; `got` has what came so far."""

    def __init__(self, response: StreamResponse) -> None:
        self._chunks = response.chunks
        self.got: list[bytes] = []
        self.task = asyncio.ensure_future(self._read())

    async def _read(self) -> None:
        async for piece in self._chunks:
            self.got.append(piece)


@in_event_loop
async def test_a_push_that_takes_hours_is_judged_as_any_other(
    edge: MemoryEdge, node: Node, caller: Principal
) -> None:
    """index-pack says nothing while its pack is on the way."""
    new, data = history(NOISE)
    half = len(data) // 2
    client = Client([command(MAIN, new) + FLUSH_PKT + data[:half]], is_slow=True)
    pushing = asyncio.ensure_future(push_by(edge, client))
    while not client.is_waited_for:
        await asyncio.sleep(0)
    for _ in range(3):
        await let_pass(2 * 3600)
    client.send(data[half:])
    client.finish()
    assert report_lines((await pushing).body) == [b"unpack ok", b"ok refs/heads/main"]
    assert tip_of_main(node, caller) == new


@in_event_loop
async def test_the_slot_of_a_push_is_parked_while_its_client_sends_nothing(
    edge: MemoryEdge, admission: Admission
) -> None:
    new, data = history(NOISE)
    client = Client([command(MAIN, new) + FLUSH_PKT + data[:-20_000]], is_slow=True)
    pushing = asyncio.ensure_future(push_by(edge, client))
    await begun(client)
    assert not await has_free_slot(admission.transfers.pushes)
    await let_pass(60)
    assert await has_free_slot(admission.transfers.pushes)
    client.send(data[-20_000:])
    client.finish()
    assert report_lines((await pushing).body)[0] == b"unpack ok"


@in_event_loop
async def test_a_client_gets_a_keep_alive_byte_every_five_seconds_until_the_report(
    edge: MemoryEdge, node: Node, caller: Principal
) -> None:
    response, child = await stopped(edge, BANDS)
    reader = Reader(response)
    await settle()
    for count in range(1, 4):
        await let_pass(limits.git_keepalive_s)
        assert reader.got == [KEEPALIVE] * count
    os.kill(child, signal.SIGCONT)
    await reader.task
    await response.close()
    assert report_lines(read_bands(b"".join(reader.got))[1]) == [b"unpack ok", b"ok refs/heads/main"]
    assert tip_of_main(node, caller) is not None


@in_event_loop
async def test_a_client_without_bands_gets_only_the_report(edge: MemoryEdge) -> None:
    response, child = await stopped(edge, PLAIN)
    reader = Reader(response)
    await settle()
    await let_pass(10 * limits.git_keepalive_s)
    assert reader.got == []
    os.kill(child, signal.SIGCONT)
    await reader.task
    await response.close()
    assert report_lines(b"".join(reader.got)) == [b"unpack ok", b"ok refs/heads/main"]


@in_event_loop
async def test_a_git_that_writes_nothing_for_an_hour_is_given_up(
    edge: MemoryEdge, node: Node, caller: Principal, admission: Admission
) -> None:
    response, _child = await stopped(edge, PLAIN)
    reader = Reader(response)
    await settle()
    await let_pass(limits.connectivity_check_max_s - 1)
    assert not reader.task.done()
    await let_pass(2)
    with pytest.raises(TimedOut):
        await reader.task
    await response.close()
    await nothing_is_left(node, caller, admission)


@in_event_loop
async def test_a_push_whose_client_leaves_while_git_works_leaves_nothing(
    edge: MemoryEdge, node: Node, caller: Principal, admission: Admission
) -> None:
    response, _child = await stopped(edge, BANDS)
    reader = Reader(response)
    await settle()
    reader.task.cancel()
    await asyncio.wait({reader.task})
    await response.close()
    await nothing_is_left(node, caller, admission)


@pytest.mark.parametrize("steps", [0, 1, 3, 10, 30, 100, 300, 1000])
@in_event_loop
async def test_a_push_that_is_cancelled_anywhere_is_done_or_leaves_nothing(
    edge: MemoryEdge, node: Node, caller: Principal, admission: Admission, steps: int
) -> None:
    new, data = history(NOISE)
    pushing = asyncio.ensure_future(push_by(edge, Client([command(MAIN, new) + FLUSH_PKT + data])))
    for _ in range(steps):
        await asyncio.sleep(0)
    pushing.cancel()
    await asyncio.wait({pushing})
    if tip_of_main(node, caller) is None:
        await nothing_is_left(node, caller, admission)
    else:
        assert tip_of_main(node, caller) == new
        assert not own_children("index-pack")
        assert await has_free_slot(admission.transfers.pushes)


async def nothing_is_left(node: Node, caller: Principal, admission: Admission) -> None:
    """Assert that a push that failed left no ref, no pack, no process and no slot behind."""
    assert tip_of_main(node, caller) is None
    assert not node.store.survey(lookup_repo(node, caller, "r").public_id)
    assert not own_children("index-pack")
    assert await has_free_slot(admission.transfers.pushes)
