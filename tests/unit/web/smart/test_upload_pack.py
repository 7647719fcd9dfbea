"""A fetch from its wants to the last byte of its pack."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from random import Random

import pytest

from packhouse import limits
from packhouse.auth.principal import Principal
from packhouse.errors import Denied, TimedOut
from packhouse.git.oid import Oid
from packhouse.git.wire.pktline import FLUSH_PKT, Packet, PacketDecoder, ProtocolError, Special
from packhouse.node.node import Node
from packhouse.web.admission.admission import Admission
from packhouse.web.edge.body import BodyTooLarge, ClientGone
from packhouse.web.edge.responses import StreamResponse
from tests.support.builders.node_writes import commit_files
from tests.support.clients.git import Git
from tests.support.clients.git_wire import pkt
from tests.support.event_loop import in_event_loop, let_pass, settle
from tests.support.exchanges import Sent
from tests.support.servers.memory_edge import MemoryEdge
from tests.support.servers.processes import own_children
from tests.support.slots import has_free_slot
from tests.support.wire_requests import Client

pytestmark = pytest.mark.quick

LARGE = Random(3).randbytes(3_000_000)
DELIM = b"0001"
LS_REFS = pkt("command=ls-refs\n") + DELIM + FLUSH_PKT


@pytest.fixture
def tip(edge: MemoryEdge, node: Node, caller: Principal) -> Oid:
    """A commit of a large file and a small one, on main of `r`."""
    return commit_files(node, caller, "r", "main", {"large": LARGE, "a": b"1"}).commit


def fetch_of(*wants: str, done: bool = True) -> bytes:
    """Return a fetch command of protocol v2."""
    asked = b"".join(pkt(f"want {want}\n") for want in wants)
    return pkt("command=fetch\n") + DELIM + asked + (pkt("done\n") if done else b"") + FLUSH_PKT


def headers(edge: MemoryEdge) -> dict[str, str]:
    """Return the head of a request in protocol v2."""
    return {
        "authorization": f"Bearer {edge.token('r')}",
        "content_type": "application/x-git-upload-pack-request",
        "git_protocol": "version=2",
    }


async def ask(edge: MemoryEdge, body: bytes, *, path: str = "/r.git") -> Sent:
    """Send one request in protocol v2."""
    return await edge.ask("POST", f"{path}/git-upload-pack", Client([body]), **headers(edge))


async def begin(edge: MemoryEdge, body: bytes) -> StreamResponse:
    """Return an answer of which no byte has been sent."""
    response, _call = await edge.open("POST", "/r.git/git-upload-pack", Client([body]), **headers(edge))
    assert isinstance(response, StreamResponse)
    return response


def packets(body: bytes) -> list[Packet]:
    """Return the packets of a whole answer."""
    decoder = PacketDecoder()
    decoder.feed(body)
    found = []
    while (packet := decoder.next_packet()) is not None:
        found.append(packet)
    assert not decoder.pending_bytes
    return found


def pack_in(body: bytes) -> bytes:
    """Return the pack of an answer to a fetch."""
    found = packets(body)
    assert found[0] == b"packfile\n"
    assert found[-1] is Special.FLUSH
    return b"".join(one[1:] for one in found[1:-1] if isinstance(one, bytes) and one[0] == 1)


@in_event_loop
async def test_a_fetch_sends_a_pack_of_everything_wanted(
    edge: MemoryEdge, tip: Oid, git: Git, tmp_path: Path
) -> None:
    reply = await ask(edge, fetch_of(tip))
    assert (reply.status, reply.headers["content-type"]) == (200, "application/x-git-upload-pack-result")
    assert reply.headers["cache-control"] == "no-cache"
    work = git.init(tmp_path / "work")
    (tmp_path / "got.pack").write_bytes(pack_in(reply.body))
    git.run("index-pack", "--strict", tmp_path / "got.pack", cwd=work)
    listed = git.run("verify-pack", "-v", tmp_path / "got.idx", cwd=work)
    assert tip in str(listed)


@in_event_loop
async def test_refs_are_listed_without_a_slot(edge: MemoryEdge, tip: Oid, admission: Admission) -> None:
    async with admission.transfers.reads.slot((1, "r")):
        reply = await ask(edge, LS_REFS)
    assert packets(reply.body) == [
        f"{tip} HEAD\n".encode(),
        f"{tip} refs/heads/main\n".encode(),
        Special.FLUSH,
    ]


@in_event_loop
async def test_a_missing_want_is_reported_in_an_error_packet(edge: MemoryEdge, tip: Oid) -> None:
    reply = await ask(edge, fetch_of("1" * 40))
    assert reply.status == 200
    assert packets(reply.body) == [b"ERR upload-pack: not our ref " + b"1" * 40]


@in_event_loop
async def test_an_unknown_command_is_reported_in_an_error_packet(edge: MemoryEdge, tip: Oid) -> None:
    reply = await ask(edge, pkt("command=shout\n") + FLUSH_PKT)
    assert (reply.status, packets(reply.body)) == (200, [b"ERR unknown command 'shout'"])


@in_event_loop
async def test_a_client_that_is_done_gets_an_empty_answer(edge: MemoryEdge, tip: Oid) -> None:
    reply = await ask(edge, FLUSH_PKT)
    assert (reply.status, reply.body) == (200, b"")


@pytest.mark.parametrize("body", [b"", b"junk", fetch_of("1" * 40)[:-4], pkt("command=fetch\n")])
@in_event_loop
async def test_anything_but_a_whole_request_is_refused(edge: MemoryEdge, tip: Oid, body: bytes) -> None:
    with pytest.raises(ProtocolError):
        await ask(edge, body)


@in_event_loop
async def test_a_request_beyond_its_bound_is_refused(edge: MemoryEdge, tip: Oid) -> None:
    pieces = [b"0" * limits.MIB] * (limits.fetch_request_max_bytes // limits.MIB + 1)
    with pytest.raises(BodyTooLarge):
        await edge.ask("POST", "/r.git/git-upload-pack", Client(pieces), **headers(edge))


@in_event_loop
async def test_the_import_remote_cannot_be_fetched_from(edge: MemoryEdge, tip: Oid) -> None:
    with pytest.raises(Denied):
        await ask(edge, fetch_of(tip), path="/r+import.git")


@in_event_loop
async def test_a_fetch_keeps_its_slot_until_its_answer_has_been_sent(
    edge: MemoryEdge, tip: Oid, admission: Admission
) -> None:
    reads = admission.transfers.reads
    response = await begin(edge, fetch_of(tip))
    assert not await has_free_slot(reads)
    pieces = [piece async for piece in response.chunks]
    assert pack_in(b"".join(pieces))
    assert not await has_free_slot(reads), "its process may still run"
    await response.close()
    assert await has_free_slot(reads)


@in_event_loop
async def test_an_answer_that_nobody_reads_to_its_end_ends_its_process(
    edge: MemoryEdge, tip: Oid, admission: Admission
) -> None:
    before = own_children("upload-pack")
    response = await begin(edge, fetch_of(tip))
    assert await anext(response.chunks)
    assert own_children("upload-pack") != before
    await response.close()
    assert own_children("upload-pack") == before
    assert await has_free_slot(admission.transfers.reads)


@in_event_loop
async def test_an_answer_that_was_never_begun_ends_its_process(
    edge: MemoryEdge, tip: Oid, admission: Admission
) -> None:
    before = own_children("upload-pack")
    response = await begin(edge, fetch_of(tip))
    await response.close()
    assert own_children("upload-pack") == before
    assert await has_free_slot(admission.transfers.reads)


@in_event_loop
async def test_the_slot_of_a_slow_client_is_parked(edge: MemoryEdge, tip: Oid, admission: Admission) -> None:
    reads = admission.transfers.reads
    response = await begin(edge, fetch_of(tip))
    chunks: AsyncIterator[bytes] = response.chunks
    got = [await anext(chunks)]
    assert not await has_free_slot(reads)
    await let_pass(60)
    assert await has_free_slot(reads), "the client has taken nothing for a minute"
    got += [piece async for piece in chunks]
    assert pack_in(b"".join(got))
    await response.close()


@in_event_loop
async def test_no_process_starts_for_a_client_that_left_while_it_waited(
    edge: MemoryEdge, tip: Oid, admission: Admission
) -> None:
    client = Client([fetch_of(tip)])
    async with admission.transfers.reads.slot((1, "other")):
        waiting = asyncio.ensure_future(edge.ask("POST", "/r.git/git-upload-pack", client, **headers(edge)))
        await settle()
        client.leave()
    before = own_children("upload-pack")
    with pytest.raises(ClientGone):
        await waiting
    assert own_children("upload-pack") == before
    assert await has_free_slot(admission.transfers.reads)


@in_event_loop
async def test_a_fetch_cancelled_while_git_starts_leaves_no_process(
    edge: MemoryEdge, tip: Oid, admission: Admission
) -> None:
    before = own_children("upload-pack")
    for steps in (1, 10, 100, 1000):
        asking = asyncio.ensure_future(
            edge.ask("POST", "/r.git/git-upload-pack", Client([fetch_of(tip)]), **headers(edge))
        )
        for _ in range(steps):
            await asyncio.sleep(0)
        asking.cancel()
        await asyncio.wait({asking})
        assert own_children("upload-pack") == before
        assert await has_free_slot(admission.transfers.reads)


@in_event_loop
async def test_a_git_that_writes_nothing_for_long_is_given_up(edge: MemoryEdge, tip: Oid) -> None:
    before = own_children("upload-pack")
    response = await begin(edge, fetch_of(tip))
    (child,) = own_children("upload-pack") - before
    os.kill(child, signal.SIGSTOP)

    async def read_all() -> None:
        async for _ in response.chunks:
            continue

    reading = asyncio.ensure_future(read_all())
    await settle()
    await let_pass(limits.git_stall_max_s - 1)
    assert not reading.done()
    await let_pass(2)
    with pytest.raises(TimedOut):
        await reading
    await response.close()
    assert own_children("upload-pack") == before
