"""Pushes written by hand, sent through the handlers in memory, and readers of their answers."""

from packhouse.auth.principal import Principal
from packhouse.git.objects.codec import MODE_FILE, TreeEntry, encode_commit, encode_tree
from packhouse.git.oid import Oid, hash_object
from packhouse.git.refname import PERSISTENT
from packhouse.git.wire.pktline import PacketDecoder, Special
from packhouse.node.node import Node
from packhouse.operations.catalog.lookup import lookup_repo
from packhouse.repository.view import RepoView
from packhouse.web.edge.responses import StreamResponse
from tests.support.builders.node_writes import ADA, MAIN
from tests.support.clients.git_wire import pack
from tests.support.exchanges import Sent
from tests.support.servers.memory_edge import MemoryEdge
from tests.support.wire_requests import Client

COMMIT, TREE, BLOB = 1, 2, 3
_TARGET = "/r.git/git-receive-pack"


def history(content: bytes = b"content\n") -> tuple[Oid, bytes]:
    """Return the id of a commit with one file, and a pack of it."""
    tree = encode_tree([TreeEntry(MODE_FILE, b"file", hash_object("blob", content))])
    commit = encode_commit(
        tree=hash_object("tree", tree), parents=(), author=ADA, committer=ADA, message=b"m\n"
    )
    return hash_object("commit", commit), pack((BLOB, content), (TREE, tree), (COMMIT, commit))


async def push(edge: MemoryEdge, *pieces: bytes) -> Sent:
    """Push a body that arrives in these pieces."""
    return await push_by(edge, Client(pieces))


async def push_by(edge: MemoryEdge, client: Client) -> Sent:
    """Push the bytes that a client sends."""
    return await edge.ask("POST", _TARGET, client, **_headers(edge))


async def begin_push(edge: MemoryEdge, client: Client) -> StreamResponse:
    """Return the answer to a push before any of it was sent."""
    response, _call = await edge.open("POST", _TARGET, client, **_headers(edge))
    assert isinstance(response, StreamResponse)
    return response


def _headers(edge: MemoryEdge) -> dict[str, str]:
    return {
        "authorization": f"Bearer {edge.token('r')}",
        "content_type": "application/x-git-receive-pack-request",
    }


def tip_of_main(node: Node, caller: Principal) -> Oid | None:
    """Return the value of main."""
    with RepoView(node, lookup_repo(node, caller, "r")) as view:
        ref = view.get_ref(PERSISTENT, MAIN)
    return None if ref is None else ref.oid


def report_lines(report: bytes) -> list[bytes]:
    """Return the lines of a report."""
    decoder = PacketDecoder()
    decoder.feed(report)
    found = []
    while (packet := decoder.next_packet()) is not Special.FLUSH:
        assert isinstance(packet, bytes), report
        found.append(packet.rstrip(b"\n"))
    assert not decoder.pending_bytes
    return found


def read_bands(body: bytes) -> dict[int, bytes]:
    """Return the content of each band in a body that ends with a flush-pkt."""
    said = {1: b"", 2: b"", 3: b""}
    decoder = PacketDecoder()
    decoder.feed(body)
    while (packet := decoder.next_packet()) is not Special.FLUSH:
        assert isinstance(packet, bytes), body
        said[packet[0]] += packet[1:]
    assert not decoder.pending_bytes
    return said
