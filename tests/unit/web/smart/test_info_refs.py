"""The advertisement that a client reads before it fetches or pushes."""

import pytest

from packhouse.auth.principal import Principal
from packhouse.errors import Denied, NotFound
from packhouse.git.wire.pktline import FLUSH_PKT
from packhouse.git.wire.protocol_v2 import CAPABILITIES
from packhouse.node.node import Node
from packhouse.web.admission.admission import Admission
from tests.support.builders.node_writes import commit_files
from tests.support.clients.git_wire import pkt
from tests.support.event_loop import in_event_loop
from tests.support.exchanges import Sent
from tests.support.servers.memory_edge import MemoryEdge

pytestmark = pytest.mark.quick


async def ask(edge: MemoryEdge, service: str, *, version: int = 0, repo: str = "r") -> Sent:
    """Ask for the advertisement of a service."""
    return await edge.ask(
        "GET",
        f"/{repo}.git/info/refs?service={service}",
        authorization=f"Bearer {edge.token(repo)}",
        git_protocol=f"version={version}",
    )


@pytest.mark.parametrize("service", ["git-upload-pack", "git-receive-pack"])
@in_event_loop
async def test_refs_are_shown_with_the_service_and_are_not_cached(
    edge: MemoryEdge, node: Node, caller: Principal, service: str
) -> None:
    tip = commit_files(node, caller, "r", "main", {"a": b"1"}).commit
    reply = await ask(edge, service)
    assert (reply.status, reply.headers["content-type"]) == (200, f"application/x-{service}-advertisement")
    assert reply.headers["cache-control"] == "no-cache"
    assert reply.body.startswith(pkt(f"# service={service}\n") + FLUSH_PKT)
    assert f"{tip} refs/heads/main".encode() in reply.body
    assert reply.body.endswith(FLUSH_PKT)


@in_event_loop
async def test_protocol_v2_shows_capabilities_and_no_ref(
    edge: MemoryEdge, node: Node, caller: Principal
) -> None:
    commit_files(node, caller, "r", "main", {"a": b"1"})
    assert (await ask(edge, "git-upload-pack", version=2)).body == CAPABILITIES


@in_event_loop
async def test_a_push_in_protocol_v2_is_answered_in_v0(edge: MemoryEdge) -> None:
    assert (await ask(edge, "git-receive-pack", version=2)).body == (await ask(edge, "git-receive-pack")).body


@in_event_loop
async def test_refs_are_shown_while_every_slot_is_taken(edge: MemoryEdge, admission: Admission) -> None:
    async with admission.transfers.reads.slot((1, "r")), admission.transfers.pushes.slot((1, "r")):
        assert (await ask(edge, "git-upload-pack")).status == 200
        assert (await ask(edge, "git-receive-pack")).status == 200


@in_event_loop
async def test_a_repository_that_does_not_exist_shows_nothing(edge: MemoryEdge) -> None:
    for service in ("git-upload-pack", "git-receive-pack"):
        with pytest.raises(NotFound):
            await ask(edge, service, repo="nowhere")


@pytest.mark.parametrize(
    "path",
    [
        "/r.git/info/refs",
        "/r.git/info/refs?service=git-upload-archive",
        "/r.git/HEAD",
        "/r.git/objects/info/packs",
        "/r.git/objects/pack/pack-1.idx",
        "/r.git/objects/00/1234",
    ],
)
@in_event_loop
async def test_the_dumb_protocol_is_refused_without_a_token(edge: MemoryEdge, path: str) -> None:
    with pytest.raises(Denied, match="smart protocol"):
        await edge.ask("GET", path)
