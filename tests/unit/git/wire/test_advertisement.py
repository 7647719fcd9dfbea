"""What a client of protocol v0 or v1 sees first, beside what git itself would say."""

from collections.abc import Callable
from pathlib import Path

import pytest

from packhouse.git.oid import Oid, hash_object
from packhouse.git.refname import RefName
from packhouse.git.wire.advertisement import (
    AGENT,
    AdvertisedRef,
    RefView,
    Service,
    protocol_version,
    receive_advertisement,
    service_header,
    upload_advertisement,
)
from packhouse.git.wire.pktline import Packet, Special, iter_packets
from tests.support.clients.git import Git

pytestmark = pytest.mark.quick

ONE = hash_object("blob", b"1")
TWO = hash_object("blob", b"2")
MAIN = RefName(b"refs/heads/main")


class Source:
    """A repository of git's with branches and an annotated tag."""

    def __init__(self, git: Git, folder: Path) -> None:
        self.git = git
        self.work = git.init(folder)
        git.commit(self.work, {"a": b"1"})
        git.run("tag", "-a", "-m", "one", "v1", cwd=self.work)
        git.run("tag", "light", cwd=self.work)
        git.commit(self.work, {"a": b"2"})
        git.run("branch", "Topic/ä", cwd=self.work)

    def view(self) -> RefView:
        """Return its refs as a remote of ours would have them."""
        form = "%(refname) %(objectname) %(*objectname)"
        rows = self.git.run("for-each-ref", f"--format={form}", cwd=self.work).splitlines()
        refs = []
        for name, oid, *peeled in (row.split(" ") for row in rows):
            refs.append(
                AdvertisedRef(RefName(name.encode()), Oid(oid), Oid(peeled[0]) if peeled[0] else None)
            )
        refs.sort(key=lambda ref: ref.refname)
        return RefView(refs, MAIN)

    def advertised(self, program: str) -> list[Packet]:
        """Return the packets in which git's own program tells of its refs."""
        option = "--http-backend-info-refs"
        return list(iter_packets(self.git.try_run(program, option, ".", cwd=self.work).stdout))


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Source:
    return Source(Git(tmp_path_factory.mktemp("home")), tmp_path_factory.mktemp("work"))


def split(packets: list[Packet]) -> tuple[list[bytes], set[bytes]]:
    """Return the lines without capabilities, and the capabilities."""
    lines = [packet for packet in packets if isinstance(packet, bytes)]
    first, _, capabilities = lines[0].partition(b"\0")
    return [first, *(line.rstrip(b"\n") for line in lines[1:])], set(capabilities.split())


def test_a_fetch_sees_the_lines_that_git_would_send(source: Source) -> None:
    header, flush, *packets = iter_packets(upload_advertisement(source.view(), version=0))
    assert (header, flush, packets[-1]) == (b"# service=git-upload-pack\n", Special.FLUSH, Special.FLUSH)
    ours, capabilities = split(packets)
    theirs, known = split(source.advertised("upload-pack"))
    assert ours == theirs
    assert b"symref=HEAD:refs/heads/main" in capabilities
    assert {name.partition(b"=")[0] for name in capabilities} - {
        name.partition(b"=")[0] for name in known
    } <= {
        b"allow-tip-sha1-in-want",
        b"allow-reachable-sha1-in-want",
        b"filter",
    }


def test_a_push_sees_the_lines_that_git_would_send(source: Source) -> None:
    header, flush, *packets = iter_packets(receive_advertisement(source.view(), version=0))
    assert (header, flush, packets[-1]) == (b"# service=git-receive-pack\n", Special.FLUSH, Special.FLUSH)
    ours, capabilities = split(packets)
    theirs, known = split(source.advertised("receive-pack"))
    assert ours == theirs
    assert {name.partition(b"=")[0] for name in capabilities} - {
        name.partition(b"=")[0] for name in known
    } <= {b"push-options"}


@pytest.mark.parametrize("advertise", [upload_advertisement, receive_advertisement])
def test_a_repository_without_refs_still_names_its_capabilities(
    advertise: Callable[..., bytes],
) -> None:
    packets = list(iter_packets(advertise(RefView([], MAIN), version=0)))
    lines, capabilities = split(packets[2:])
    assert lines == [b"0" * 40 + b" capabilities^{}"]
    assert b"agent=" + AGENT in capabilities
    assert not any(name.startswith(b"symref") for name in capabilities)


def test_version_one_says_so_before_the_refs() -> None:
    view = RefView([AdvertisedRef(MAIN, ONE, None)], MAIN)
    for advertise in (upload_advertisement, receive_advertisement):
        old = list(iter_packets(advertise(view, version=0)))
        new = list(iter_packets(advertise(view, version=1)))
        assert new == [*old[:2], b"version 1\n", *old[2:]]


def test_an_annotated_tag_is_peeled_only_for_a_fetch() -> None:
    tag = AdvertisedRef(RefName(b"refs/tags/v1"), ONE, TWO)
    peeled = TWO.encode() + b" refs/tags/v1^{}"
    assert peeled in upload_advertisement(RefView([tag], None), version=0)
    assert peeled not in receive_advertisement(RefView([tag], None), version=0)


def test_head_is_the_branch_that_it_names() -> None:
    refs = [AdvertisedRef(RefName(b"refs/heads/dev"), ONE, None), AdvertisedRef(MAIN, TWO, None)]
    assert RefView(refs, MAIN).head() == refs[1]
    assert RefView(refs, RefName(b"refs/heads/unborn")).head() is None
    assert RefView(refs, None).head() is None


@pytest.mark.parametrize(
    ("header", "version"),
    [
        ("", 0),
        ("version=2", 2),
        ("version=1", 1),
        ("version=1:version=2", 2),
        ("version=2:version=0", 2),
        ("version=3", 0),
        ("version=02", 0),
        ("key=2", 0),
        ("other:version=2:x=y", 2),
        ("version=", 0),
    ],
)
def test_the_highest_version_that_both_sides_know_is_used(header: str, version: int) -> None:
    assert protocol_version(header) == version


def test_each_service_announces_itself() -> None:
    assert service_header(Service.UPLOAD_PACK) == b"001e# service=git-upload-pack\n0000"
    assert service_header(Service.RECEIVE_PACK) == b"001f# service=git-receive-pack\n0000"
