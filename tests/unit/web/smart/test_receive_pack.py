"""A push from its first pkt-line to its report."""

import asyncio
import shutil
from pathlib import Path
from random import Random

import pytest

from packhouse import limits
from packhouse.auth.principal import Principal
from packhouse.git.refname import PERSISTENT
from packhouse.git.wire.pktline import FLUSH_PKT, ProtocolError
from packhouse.node.node import Node
from packhouse.operations.catalog.lookup import lookup_repo
from packhouse.repository.view import RepoView
from packhouse.web.admission.admission import Admission
from packhouse.web.edge.body import ClientGone
from packhouse.web.smart.answers import UnsupportedMediaType
from tests.support.builders.node_writes import MAIN, commit_files
from tests.support.clients.git_runner import run_instead_of_git
from tests.support.clients.git_wire import ZERO, command, pack, pkt
from tests.support.clients.memory_pushes import (
    begin_push,
    history,
    push,
    push_by,
    read_bands,
    report_lines,
    tip_of_main,
)
from tests.support.event_loop import in_event_loop
from tests.support.servers.memory_edge import MemoryEdge
from tests.support.slots import has_free_slot
from tests.support.wire_requests import Client

pytestmark = pytest.mark.quick

COMMIT, TREE, BLOB = 1, 2, 3
BANDS = b"report-status side-band-64k"
EMPTY_PACK = pack()
NOISE = Random(7).randbytes(200_000)  # cannot be compressed


@in_event_loop
async def test_a_push_moves_its_ref_and_reports_it(edge: MemoryEdge, node: Node, caller: Principal) -> None:
    new, data = history()
    reply = await push(edge, command(MAIN, new) + FLUSH_PKT, data)
    assert (reply.status, reply.headers["content-type"]) == (200, "application/x-git-receive-pack-result")
    assert reply.headers["cache-control"] == "no-cache"
    assert report_lines(reply.body) == [b"unpack ok", b"ok refs/heads/main"]
    assert tip_of_main(node, caller) == new


@pytest.mark.parametrize("size", [1, 7, 64])
@in_event_loop
async def test_a_push_has_the_same_result_in_any_pieces(
    edge: MemoryEdge, node: Node, caller: Principal, size: int
) -> None:
    new, data = history()
    body = command(MAIN, new) + FLUSH_PKT + data
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    assert report_lines((await push(edge, *pieces)).body) == [b"unpack ok", b"ok refs/heads/main"]
    assert tip_of_main(node, caller) == new


@in_event_loop
async def test_a_pack_larger_than_what_is_read_before_the_slot_arrives_whole(
    edge: MemoryEdge, node: Node, caller: Principal
) -> None:
    new, data = history(NOISE)
    assert len(data) > 2 * limits.push_start_bytes
    pieces = [data[at : at + 10_000] for at in range(0, len(data), 10_000)]
    reply = await push(edge, command(MAIN, new) + FLUSH_PKT, *pieces)
    assert report_lines(reply.body) == [b"unpack ok", b"ok refs/heads/main"]
    assert tip_of_main(node, caller) == new


@in_event_loop
async def test_with_bands_the_report_is_data_and_a_flush_ends_the_answer(edge: MemoryEdge) -> None:
    new, data = history()
    said = read_bands((await push(edge, command(MAIN, new, capabilities=BANDS) + FLUSH_PKT, data)).body)
    assert report_lines(said[1]) == [b"unpack ok", b"ok refs/heads/main"]
    assert said[3] == b""


@in_event_loop
async def test_a_client_that_wants_no_report_gets_none(
    edge: MemoryEdge, node: Node, caller: Principal
) -> None:
    new, data = history()
    reply = await push(edge, command(MAIN, new, capabilities=b"quiet") + FLUSH_PKT, data)
    assert (reply.status, reply.body) == (200, b"")
    assert tip_of_main(node, caller) == new


@in_event_loop
async def test_a_probe_without_commands_gets_an_empty_answer(edge: MemoryEdge) -> None:
    reply = await push(edge, FLUSH_PKT)
    assert (reply.status, reply.body) == (200, b"")


@in_event_loop
async def test_a_deletion_needs_no_pack(edge: MemoryEdge, node: Node, caller: Principal) -> None:
    new, data = history()
    side = b"refs/heads/side"
    await push(edge, command(side, new) + FLUSH_PKT, data)
    reply = await push(edge, command(side, ZERO, new) + FLUSH_PKT)
    assert report_lines(reply.body) == [b"unpack ok", b"ok refs/heads/side"]
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
    report = report_lines((await push(edge, command(MAIN, new) + FLUSH_PKT, data[:-30])).body)
    assert report[0].startswith(b"unpack ")
    assert report[0] != b"unpack ok"
    assert report[1:] == [b"ng refs/heads/main unpacker error"]
    assert tip_of_main(node, caller) is None
    assert not node.store.survey(lookup_repo(node, caller, "r").public_id)


@in_event_loop
async def test_progress_of_a_failed_pack_does_not_tell_where_the_server_keeps_its_files(
    edge: MemoryEdge, node: Node
) -> None:
    new, data = history()
    body = command(MAIN, new, capabilities=BANDS) + FLUSH_PKT + data[:-30]
    said = read_bands((await push(edge, body)).body)
    assert b"unpacker error" in said[1]
    assert said[2], "git says why"
    assert str(node.config.data).encode() not in said[2]


@pytest.mark.parametrize("capabilities", [b"report-status", BANDS])
@in_event_loop
async def test_the_cause_at_the_end_of_very_long_messages_of_git_is_reported(
    edge: MemoryEdge, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capabilities: bytes
) -> None:
    """The client reads nothing before it has sent the pack, so all messages wait until then."""
    cause, count = f"object {'1' * 40}: badTree: cannot be parsed as a tree", limits.git_messages_max_bytes
    says = f"yes remark | head -n {count} >&2; echo 'error: {cause}' >&2; touch {tmp_path / 'said'}"
    script = f'case "$*" in *index-pack*) {says}; cat >/dev/null; exit 128;; esac; exec {find_git()} "$@"'
    run_instead_of_git(script, tmp_path, monkeypatch)
    new, data = history(NOISE)
    head = command(MAIN, new, capabilities=capabilities) + FLUSH_PKT
    client = Client([head + data], is_slow=True)
    pushing = asyncio.ensure_future(push_by(edge, client))
    while not (tmp_path / "said").exists():
        await asyncio.sleep(0)
    client.finish()
    report = (await pushing).body
    if capabilities == BANDS:
        said = read_bands(report)
        report = said[1]
        assert said[2].startswith(b"remark\nremark\n") and said[2].endswith(f"error: {cause}\n".encode())
        assert len(said[2]) < 2 * limits.git_messages_max_bytes
    assert report_lines(report) == [f"unpack {cause}".encode(), b"ng refs/heads/main unpacker error"]


def find_git() -> str:
    """Return the path of the real git."""
    path = shutil.which("git")
    assert path is not None
    return path


@in_event_loop
async def test_the_pack_of_a_refused_command_is_read_to_its_end(
    edge: MemoryEdge, node: Node, caller: Principal
) -> None:
    new, data = history()
    pieces = [data[at : at + 50] for at in range(0, len(data), 50)]
    reply = await push(edge, command(b"refs/odd/name", new) + FLUSH_PKT, *pieces)
    assert report_lines(reply.body) == [
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
    report = report_lines((await push(edge, command(MAIN, new, old="1" * 40) + FLUSH_PKT, data)).body)
    assert report[0] == b"unpack ok"
    assert report[1].startswith(b"ng refs/heads/main ")
    assert tip_of_main(node, caller) == there


@in_event_loop
async def test_a_push_waits_for_the_slot_and_gives_it_back(edge: MemoryEdge, admission: Admission) -> None:
    new, data = history()
    pushes = admission.transfers.pushes
    async with pushes.slot((1, "other")):
        pushing = asyncio.ensure_future(push(edge, command(MAIN, new) + FLUSH_PKT, data))
        for _ in range(500):
            await asyncio.sleep(0)
        assert not pushing.done()
    assert report_lines((await pushing).body)[0] == b"unpack ok"
    assert await has_free_slot(pushes)


@in_event_loop
async def test_a_push_whose_client_leaves_half_way_leaves_nothing(
    edge: MemoryEdge, node: Node, caller: Principal, admission: Admission
) -> None:
    new, data = history(NOISE)
    client = Client([command(MAIN, new) + FLUSH_PKT + data[: len(data) // 2]], leaves=True)
    with pytest.raises(ClientGone):
        await push_by(edge, client)
    assert tip_of_main(node, caller) is None
    assert not node.store.survey(lookup_repo(node, caller, "r").public_id)
    assert await has_free_slot(admission.transfers.pushes)


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
    response = await begin_push(edge, Client([command(MAIN, new) + FLUSH_PKT, data]))
    await response.close()
    assert tip_of_main(node, caller) is None
    assert not node.store.survey(lookup_repo(node, caller, "r").public_id)
    assert await has_free_slot(admission.transfers.pushes)


@in_event_loop
async def test_an_empty_pack_names_objects_that_are_there_already(
    edge: MemoryEdge, node: Node, caller: Principal
) -> None:
    there = commit_files(node, caller, "r", "main", {"a": b"1"}).commit
    reply = await push(edge, command(b"refs/heads/copy", there) + FLUSH_PKT, EMPTY_PACK)
    assert report_lines(reply.body) == [b"unpack ok", b"ok refs/heads/copy"]


@in_event_loop
async def test_push_options_stand_before_the_pack(edge: MemoryEdge) -> None:
    new, data = history()
    head = (
        command(MAIN, new, capabilities=b"report-status push-options")
        + FLUSH_PKT
        + pkt("ci.skip")
        + FLUSH_PKT
    )
    assert report_lines((await push(edge, head + data)).body) == [b"unpack ok", b"ok refs/heads/main"]
