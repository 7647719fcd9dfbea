"""Fetches: the advertised refs, the objects that may be wanted, and when git is started."""

import contextlib

import pytest

from packhouse.auth.principal import Principal
from packhouse.errors import NotFound
from packhouse.git.oid import Oid
from packhouse.git.refname import EPHEMERAL, branch_refname, tag_refname
from packhouse.git.wire.pktline import FLUSH_PKT, ProtocolError, encode_packet
from packhouse.git.wire.protocol_v2 import CAPABILITIES
from packhouse.node.node import Node
from packhouse.operations.refs.create_branch import CreateBranch, create_branch
from packhouse.operations.refs.create_tag import CreateTag, create_tag
from packhouse.operations.refs.delete_branch import DeleteBranch, delete_branch
from packhouse.operations.repos.delete_repo import DeleteRepo, delete_repo
from packhouse.operations.transport.advertise_fetch import AdvertiseFetch, advertise_fetch
from packhouse.operations.transport.open_fetch import FetchAnswer, OpenFetch, open_fetch
from packhouse.operations.transport.remotes import Remote
from tests.support.builders.node_writes import commit_files

pytestmark = pytest.mark.quick

DELIMITER = b"0001"
WAIT_S = 60


@pytest.fixture
def first(node: Node, caller: Principal, repo: str) -> Oid:
    """The first commit, on main."""
    return commit_files(node, caller, repo, "main", {"a": b"1\n"}).commit


def command(name: bytes, *arguments: bytes) -> bytes:
    """Return a request in protocol v2."""
    head = encode_packet(b"command=" + name + b"\n") + encode_packet(b"object-format=sha1")
    return head + DELIMITER + b"".join(encode_packet(argument + b"\n") for argument in arguments) + FLUSH_PKT


def fetch(node: Node, caller: Principal, body: bytes, *, version: int = 2, remote: str = "") -> FetchAnswer:
    """Return the answer to one request."""
    return open_fetch(node, caller, OpenFetch(Remote("r", remote), version, body))


def pack_of(node: Node, caller: Principal, body: bytes) -> bytes:
    """Return git's output for a request that is served."""
    with contextlib.closing(fetch(node, caller, body)) as answer:
        process = answer.process
        assert process is not None, answer.body
        process.stdin.write(answer.request)
        process.stdin.close()
        output = process.stdout.read()
        assert process.wait(WAIT_S) == 0
    return output


# Advertising


def test_version_2_advertises_no_refs_and_older_versions_all(
    node: Node, caller: Principal, first: Oid
) -> None:
    assert advertise_fetch(node, caller, AdvertiseFetch(Remote("r"), 2)) == CAPABILITIES
    for version in (0, 1):
        told = advertise_fetch(node, caller, AdvertiseFetch(Remote("r"), version))
        assert first.encode() + b" HEAD\0" in told
        assert b"symref=HEAD:refs/heads/main" in told
        assert (b"version 1" in told) is (version == 1)


def test_the_ephemeral_remote_has_no_head(node: Node, caller: Principal, first: Oid) -> None:
    create_branch(node, caller, CreateBranch("r", branch_refname("draft"), ephemeral=True, base_ref="main"))
    told = advertise_fetch(node, caller, AdvertiseFetch(Remote("r", EPHEMERAL), 0))
    assert b"refs/heads/draft" in told
    assert b"HEAD" not in told
    assert b"refs/heads/main" not in told


def test_a_foreign_or_deleted_repository_is_not_found(
    node: Node, caller: Principal, stranger: Principal, first: Oid
) -> None:
    for version in (0, 2):
        with pytest.raises(NotFound):
            advertise_fetch(node, stranger, AdvertiseFetch(Remote("r"), version))
    for body in (command(b"ls-refs"), command(b"fetch", b"want " + first.encode(), b"done"), b"0000"):
        with pytest.raises(NotFound):
            fetch(node, stranger, body)
    delete_repo(node, caller, DeleteRepo("r"))
    with pytest.raises(NotFound):
        fetch(node, caller, command(b"ls-refs"))


# Listing refs


def test_refs_are_listed_without_a_process(node: Node, caller: Principal, first: Oid) -> None:
    create_tag(node, caller, CreateTag("r", tag_refname("v1"), "main"))
    body = command(b"ls-refs", b"symrefs", b"ref-prefix HEAD", b"ref-prefix refs/heads/")
    assert OpenFetch(Remote("r"), 2, body).is_listing
    answer = fetch(node, caller, body)
    assert answer.process is None
    assert first.encode() + b" HEAD symref-target:refs/heads/main" in answer.body
    assert first.encode() + b" refs/heads/main" in answer.body
    assert b"refs/tags" not in answer.body


def test_only_a_request_for_refs_counts_as_a_listing(first: Oid) -> None:
    wants = command(b"fetch", b"want " + first.encode())
    assert not OpenFetch(Remote("r"), 2, wants).is_listing
    assert not OpenFetch(Remote("r"), 0, command(b"ls-refs")).is_listing


# Wants


def test_a_commit_that_a_ref_reaches_is_served(node: Node, caller: Principal, first: Oid) -> None:
    second = commit_files(node, caller, "r", "main", {"a": b"2\n"}).commit
    for oid in (first, second):
        assert b"PACK" in pack_of(node, caller, command(b"fetch", b"want " + oid.encode(), b"done"))


def test_a_commit_is_served_that_only_the_other_namespace_reaches(
    node: Node, caller: Principal, first: Oid
) -> None:
    draft = branch_refname("draft")
    second = commit_files(node, caller, "r", "main", {"a": b"2\n"}).commit
    create_branch(node, caller, CreateBranch("r", draft, ephemeral=True, base_ref=second))
    create_branch(node, caller, CreateBranch("r", branch_refname("main"), base_ref=first, force=True))
    wants = command(b"fetch", b"want " + second.encode(), b"done")
    assert b"PACK" in pack_of(node, caller, wants)
    delete_branch(node, caller, DeleteBranch("r", draft, ephemeral=True))
    assert f"not our ref {second}".encode() in fetch(node, caller, wants).body


def test_a_missing_object_is_refused_in_gits_words(node: Node, caller: Principal, first: Oid) -> None:
    absent = "1" * 40
    answer = fetch(node, caller, command(b"fetch", b"want " + absent.encode(), b"done"))
    assert (answer.process, answer.body[4:]) == (None, f"ERR upload-pack: not our ref {absent}".encode())


def test_in_an_empty_repository_every_want_is_refused(node: Node, caller: Principal, repo: str) -> None:
    answer = fetch(node, caller, command(b"fetch", b"want " + b"1" * 40, b"done"))
    assert b"not our ref" in answer.body


def test_history_cannot_be_cut_at_a_hidden_ref(node: Node, caller: Principal, first: Oid) -> None:
    body = command(
        b"fetch", b"want " + first.encode(), b"deepen-not namespaces/ephemeral/refs/heads/x", b"done"
    )
    assert b"deepen-not names a hidden ref" in fetch(node, caller, body).body


def test_a_client_that_wants_nothing_gets_nothing(node: Node, caller: Principal, first: Oid) -> None:
    answer = fetch(node, caller, FLUSH_PKT, version=0)
    assert (answer.process, answer.body) == (None, b"")
    answer.close()


def test_an_unknown_command_is_reported(node: Node, caller: Principal, first: Oid) -> None:
    assert b"ERR unknown command 'mirror'" in fetch(node, caller, command(b"mirror")).body


def test_a_request_outside_gits_protocol_is_refused(node: Node, caller: Principal, first: Oid) -> None:
    for version in (0, 2):
        with pytest.raises(ProtocolError):
            fetch(node, caller, b"zzzz", version=version)


def test_version_0_is_served_by_the_same_rules(node: Node, caller: Principal, first: Oid) -> None:
    good = encode_packet(b"want " + first.encode() + b" ofs-delta\n") + FLUSH_PKT + encode_packet(b"done\n")
    with contextlib.closing(fetch(node, caller, good, version=0)) as answer:
        assert answer.process is not None
        assert answer.request == good
    bad = good.replace(first.encode(), b"1" * 40)
    assert b"not our ref" in fetch(node, caller, bad, version=0).body
