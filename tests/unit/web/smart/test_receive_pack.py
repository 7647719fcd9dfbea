"""A push from its first pkt-line to its report."""

import asyncio
from random import Random

import pytest

from packhouse import limits
from packhouse.auth.principal import Principal
from packhouse.git.objects.codec import MODE_FILE, TreeEntry, encode_commit, encode_tree
from packhouse.git.oid import Oid, hash_object
from packhouse.git.refname import PERSISTENT
from packhouse.git.wire.pktline import FLUSH_PKT, PacketDecoder, ProtocolError, Special
from packhouse.node.node import Node
from packhouse.operations.catalog.lookup import lookup_repo
from packhouse.repository.view import RepoView
from packhouse.web.admission.admission import Admission
from packhouse.web.edge.body import ClientGone
from packhouse.web.edge.responses import StreamResponse
from packhouse.web.errors import UnsupportedMediaType
from tests.support.builders.node_writes import ADA, MAIN, commit_files
from tests.support.clients.git_wire import ZERO, command, pack, pkt
from tests.support.event_loop import in_event_loop, let_pass
from tests.support.servers.memory_edge import Client, MemoryEdge, Reply

pytestmark = pytest.mark.quick

COMMIT, TREE, BLOB = 1, 2, 3
BANDS = b"report-status side-band-64k"
EMPTY_PACK = pack()
NOISE = Random(7).randbytes(200_000)  # that no deflating makes small


def history(content: bytes = b"content\n") -> tuple[Oid, bytes]:
    """Return the id of a commit with one file, and a pack of it."""
    tree = encode_tree([TreeEntry(MODE_FILE, b"file", hash_object("blob", content))])
    commit = encode_commit(
        tree=hash_object("tree", tree), parents=(), author=ADA, committer=ADA, message=b"m\n"
    )
    return hash_object("commit", commit), pack((BLOB, content), (TREE, tree), (COMMIT, commit))


async def push(edge: MemoryEdge, *pieces: bytes) -> Reply:
    """Push a body that arrives in these pieces."""
    return await push_by(edge, Client(pieces))


async def push_by(edge: MemoryEdge, client: Client) -> Reply:
    """Push what a client sends."""
    return await edge.ask(
        "POST",
        "/r.git/git-receive-pack",
        client,
        authorization=f"Bearer {edge.token('r')}",
        content_type="application/x-git-receive-pack-request",
    )


def tip(node: Node, caller: Principal) -> Oid | None:
    """Return where main is."""
    with RepoView(node, lookup_repo(node, caller, "r")) as view:
        ref = view.get_ref(PERSISTENT, MAIN)
    return None if ref is None else ref.oid


def lines(report: bytes) -> list[bytes]:
    """Return the lines of a report."""
    decoder = PacketDecoder()
    decoder.feed(report)
    found = []
    while (packet := decoder.next_packet()) is not Special.FLUSH:
        assert isinstance(packet, bytes), report
        found.append(packet.rstrip(b"\n"))
    assert not decoder.pending_bytes
    return found


def bands(body: bytes) -> dict[int, bytes]:
    """Return what each band says in a body that a flush-pkt ends."""
    said = {1: b"", 2: b"", 3: b""}
    decoder = PacketDecoder()
    decoder.feed(body)
    while (packet := decoder.next_packet()) is not Special.FLUSH:
        assert isinstance(packet, bytes), body
        said[packet[0]] += packet[1:]
    assert not decoder.pending_bytes
    return said


@in_event_loop
async def test_a_push_moves_its_ref_and_reports_it(edge: MemoryEdge, node: Node, caller: Principal) -> None:
    new, data = history()
    reply = await push(edge, command(MAIN, new) + FLUSH_PKT, data)
    assert (reply.status, reply.headers["content-type"]) == (200, "application/x-git-receive-pack-result")
    assert reply.headers["cache-control"] == "no-cache"
    assert lines(reply.body) == [b"unpack ok", b"ok refs/heads/main"]
    assert tip(node, caller) == new


@pytest.mark.parametrize("size", [1, 7, 64])
@in_event_loop
async def test_a_push_means_the_same_in_whatever_pieces_it_comes(
    edge: MemoryEdge, node: Node, caller: Principal, size: int
) -> None:
    new, data = history()
    body = command(MAIN, new) + FLUSH_PKT + data
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    assert lines((await push(edge, *pieces)).body) == [b"unpack ok", b"ok refs/heads/main"]
    assert tip(node, caller) == new


@in_event_loop
async def test_a_pack_larger_than_what_is_read_before_the_slot_arrives_whole(
    edge: MemoryEdge, node: Node, caller: Principal
) -> None:
    new, data = history(NOISE)
    assert len(data) > 2 * limits.push_start_bytes
    pieces = [data[at : at + 10_000] for at in range(0, len(data), 10_000)]
    reply = await push(edge, command(MAIN, new) + FLUSH_PKT, *pieces)
    assert lines(reply.body) == [b"unpack ok", b"ok refs/heads/main"]
    assert tip(node, caller) == new


@in_event_loop
async def test_with_bands_the_report_is_data_and_a_flush_ends_the_answer(edge: MemoryEdge) -> None:
    new, data = history()
    said = bands((await push(edge, command(MAIN, new, capabilities=BANDS) + FLUSH_PKT, data)).body)
    assert lines(said[1]) == [b"unpack ok", b"ok refs/heads/main"]
    assert said[3] == b""


@in_event_loop
async def test_a_client_that_wants_no_report_gets_none(
    edge: MemoryEdge, node: Node, caller: Principal
) -> None:
    new, data = history()
    reply = await push(edge, command(MAIN, new, capabilities=b"quiet") + FLUSH_PKT, data)
    assert (reply.status, reply.body) == (200, b"")
    assert tip(node, caller) == new


@in_event_loop
async def test_a_probe_without_commands_is_answered_with_nothing(edge: MemoryEdge) -> None:
    reply = await push(edge, FLUSH_PKT)
    assert (reply.status, reply.body) == (200, b"")


@in_event_loop
async def test_a_deletion_needs_no_pack(edge: MemoryEdge, node: Node, caller: Principal) -> None:
    new, data = history()
    side = b"refs/heads/side"
    await push(edge, command(side, new) + FLUSH_PKT, data)
    reply = await push(edge, command(side, ZERO, new) + FLUSH_PKT)
    assert lines(reply.body) == [b"unpack ok", b"ok refs/heads/side"]
    with RepoView(node, lookup_repo(node, caller, "r")) as view:
        assert view.is_empty or view.get_ref(PERSISTENT, MAIN) is None


@pytest.mark.parametrize("data", [b"", b"PACK", b"junk that is long enough for a header"])
@in_event_loop
async def test_anything_but_a_pack_is_refused_before_a_process_starts(
    edge: MemoryEdge, admission: Admission, data: bytes
) -> None:
    new, _ = history()
    async with admission.transfers.pushes.slot((1, "r")):  # the only slot: a push that wants one would wait
        with pytest.raises(ProtocolError, match="git protocol error"):
            await push(edge, command(MAIN, new) + FLUSH_PKT, data)


@in_event_loop
async def test_a_pack_that_breaks_off_fails_every_command_and_leaves_nothing(
    edge: MemoryEdge, node: Node, caller: Principal
) -> None:
    new, data = history()
    report = lines((await push(edge, command(MAIN, new) + FLUSH_PKT, data[:-30])).body)
    assert report[0].startswith(b"unpack ")
    assert report[0] != b"unpack ok"
    assert report[1:] == [b"ng refs/heads/main unpacker error"]
    assert tip(node, caller) is None
    assert not node.store.survey(lookup_repo(node, caller, "r").public_id)


@in_event_loop
async def test_progress_of_a_failed_pack_does_not_tell_where_the_server_keeps_its_files(
    edge: MemoryEdge, node: Node
) -> None:
    new, data = history()
    body = command(MAIN, new, capabilities=BANDS) + FLUSH_PKT + data[:-30]
    said = bands((await push(edge, body)).body)
    assert b"unpacker error" in said[1]
    assert said[2], "git says why"
    assert str(node.config.data).encode() not in said[2]


@in_event_loop
async def test_the_pack_of_a_refused_command_is_read_to_its_end(
    edge: MemoryEdge, node: Node, caller: Principal
) -> None:
    new, data = history()
    pieces = [data[at : at + 50] for at in range(0, len(data), 50)]
    reply = await push(edge, command(b"refs/odd/name", new) + FLUSH_PKT, *pieces)
    assert lines(reply.body) == [
        b"unpack ok",
        b"ng refs/odd/name only branches, tags and notes can be pushed",
    ]
    assert not node.store.survey(lookup_repo(node, caller, "r").public_id)


@in_event_loop
async def test_an_update_from_another_value_is_refused(
    edge: MemoryEdge, node: Node, caller: Principal
) -> None:
    there = commit_files(node, caller, "r", "main", {"a": b"1"}).commit
    new, data = history()
    report = lines((await push(edge, command(MAIN, new, old="1" * 40) + FLUSH_PKT, data)).body)
    assert report[0] == b"unpack ok"
    assert report[1].startswith(b"ng refs/heads/main ")
    assert tip(node, caller) == there


@in_event_loop
async def test_a_push_waits_for_the_slot_and_gives_it_back(edge: MemoryEdge, admission: Admission) -> None:
    new, data = history()
    pushes = admission.transfers.pushes
    async with pushes.slot((1, "other")):
        pushing = asyncio.ensure_future(push(edge, command(MAIN, new) + FLUSH_PKT, data))
        for _ in range(500):
            await asyncio.sleep(0)
        assert not pushing.done()
    assert lines((await pushing).body)[0] == b"unpack ok"
    async with pushes.slot((1, "other")):
        pass


@in_event_loop
async def test_a_push_whose_client_leaves_half_way_leaves_nothing(
    edge: MemoryEdge, node: Node, caller: Principal, admission: Admission
) -> None:
    new, data = history(NOISE)
    client = Client([command(MAIN, new) + FLUSH_PKT + data[: len(data) // 2]], leaves=True)
    with pytest.raises(ClientGone):
        await push_by(edge, client)
    assert tip(node, caller) is None
    assert not node.store.survey(lookup_repo(node, caller, "r").public_id)
    async with admission.transfers.pushes.slot((1, "other")):
        pass


@in_event_loop
async def test_another_media_type_is_refused(edge: MemoryEdge) -> None:
    with pytest.raises(UnsupportedMediaType):
        await edge.ask(
            "POST",
            "/r.git/git-receive-pack",
            authorization=f"Bearer {edge.token('r')}",
            content_type="application/x-git-upload-pack-request",
        )


@in_event_loop
async def test_an_answer_that_is_not_sent_ends_its_push(
    edge: MemoryEdge, node: Node, caller: Principal, admission: Admission
) -> None:
    """The request arrived whole, and its connection broke before the first byte of the answer."""
    new, data = history()
    response, _call = await edge.open(
        "POST",
        "/r.git/git-receive-pack",
        Client([command(MAIN, new) + FLUSH_PKT, data]),
        authorization=f"Bearer {edge.token('r')}",
        content_type="application/x-git-receive-pack-request",
    )
    assert isinstance(response, StreamResponse)
    await response.close()
    assert tip(node, caller) is None
    assert not node.store.survey(lookup_repo(node, caller, "r").public_id)
    async with admission.transfers.pushes.slot((1, "other")):
        pass


@in_event_loop
async def test_an_empty_pack_names_objects_that_are_there_already(
    edge: MemoryEdge, node: Node, caller: Principal
) -> None:
    there = commit_files(node, caller, "r", "main", {"a": b"1"}).commit
    reply = await push(edge, command(b"refs/heads/copy", there) + FLUSH_PKT, EMPTY_PACK)
    assert lines(reply.body) == [b"unpack ok", b"ok refs/heads/copy"]


@in_event_loop
async def test_push_options_stand_before_the_pack(edge: MemoryEdge) -> None:
    new, data = history()
    head = (
        command(MAIN, new, capabilities=b"report-status push-options")
        + FLUSH_PKT
        + pkt("ci.skip")
        + FLUSH_PKT
    )
    assert lines((await push(edge, head + data)).body) == [b"unpack ok", b"ok refs/heads/main"]


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
    assert lines((await pushing).body) == [b"unpack ok", b"ok refs/heads/main"]
    assert tip(node, caller) == new
