"""Protocol v2 requests and ls-refs, and the advertisement of v0 and v1."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from packhouse import limits
from packhouse.git.oid import Oid
from packhouse.git.refname import RefName
from packhouse.git.wire.advertisement import (
    AdvertisedRef,
    RefView,
    protocol_version,
    receive_advertisement,
    upload_advertisement,
)
from packhouse.git.wire.pktline import (
    DELIM_PKT,
    FLUSH_PKT,
    ProtocolError,
    encode_packet,
    iter_packets,
)
from packhouse.git.wire.protocol_v2 import LsRefs, encode_ls_refs, parse_ls_refs, parse_v2_request

pytestmark = pytest.mark.quick

A, B, C = (Oid(digit * 40) for digit in "abc")
MAIN = RefName(b"refs/heads/main")
BRANCH = AdvertisedRef(MAIN, A, None)
TAG = AdvertisedRef(RefName(b"refs/tags/v1"), B, C)
FULL = RefView([BRANCH, TAG], MAIN)
EMPTY = RefView([], MAIN)


def request(command: bytes, *arguments: bytes) -> bytes:
    lines = b"".join(encode_packet(line + b"\n") for line in arguments)
    return encode_packet(command) + encode_packet(b"agent=git/2.39.5") + DELIM_PKT + lines + FLUSH_PKT


def lines(data: bytes) -> list[bytes]:
    return [packet if isinstance(packet, bytes) else b"<flush>" for packet in iter_packets(data)]


def ask(*arguments: bytes) -> LsRefs:
    return parse_ls_refs(arguments)


def test_a_command_is_read_with_its_arguments() -> None:
    body = request(b"command=ls-refs\n", b"peel", b"symrefs")
    parsed = parse_v2_request(body + b"0000")
    assert parsed is not None
    assert (parsed.command, parsed.arguments) == ("ls-refs", (b"peel", b"symrefs"))
    assert parsed.size_bytes == len(body)


def test_a_lone_flush_ends_the_conversation() -> None:
    assert parse_v2_request(FLUSH_PKT) is None


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"0001",
        b"0002",
        encode_packet(b"command=fetch"),
        encode_packet(b"command=fetch") + DELIM_PKT + encode_packet(b"done"),
        encode_packet(b"command=fetch") + DELIM_PKT + DELIM_PKT + FLUSH_PKT,
        encode_packet(b"command=fetch") + encode_packet(b"command=ls-refs") + FLUSH_PKT,
        encode_packet(b"command=fetch") + encode_packet(b"object-format=sha256") + FLUSH_PKT,
        DELIM_PKT + encode_packet(b"peel") + FLUSH_PKT,
    ],
)
def test_half_a_command_or_two_are_refused(body: bytes) -> None:
    with pytest.raises(ProtocolError):
        parse_v2_request(body)


@given(st.binary(max_size=120))
def test_any_bytes_parse_as_a_request_or_are_a_protocol_error(body: bytes) -> None:
    try:
        parse_v2_request(body)
    except ProtocolError:
        return


def test_ls_refs_shows_head_symref_and_peeled_tags_when_asked() -> None:
    plain = encode_ls_refs(FULL, ask())
    assert lines(plain) == [
        b"%b HEAD\n" % A.encode(),
        b"%b refs/heads/main\n" % A.encode(),
        b"%b refs/tags/v1\n" % B.encode(),
        b"<flush>",
    ]
    full = encode_ls_refs(FULL, ask(b"peel", b"symrefs"))
    assert lines(full)[0] == b"%b HEAD symref-target:refs/heads/main\n" % A.encode()
    assert lines(full)[2] == b"%b refs/tags/v1 peeled:%b\n" % (B.encode(), C.encode())


def test_ls_refs_shows_only_what_a_prefix_asks_for() -> None:
    assert lines(encode_ls_refs(FULL, ask(b"ref-prefix refs/tags/"))) == [
        b"%b refs/tags/v1\n" % B.encode(),
        b"<flush>",
    ]
    assert lines(encode_ls_refs(FULL, ask(b"ref-prefix nothing"))) == [b"<flush>"]


def test_an_unborn_head_is_named_only_to_clients_that_ask() -> None:
    assert lines(encode_ls_refs(EMPTY, ask(b"symrefs"))) == [b"<flush>"]
    assert lines(encode_ls_refs(EMPTY, ask(b"symrefs", b"unborn"))) == [
        b"unborn HEAD symref-target:refs/heads/main\n",
        b"<flush>",
    ]


def test_a_remote_without_head_shows_no_head() -> None:
    asked = ask(b"symrefs", b"unborn")
    assert lines(encode_ls_refs(RefView([BRANCH], None), asked)) == [
        b"%b refs/heads/main\n" % A.encode(),
        b"<flush>",
    ]


def test_too_many_prefixes_show_every_ref() -> None:
    many = tuple(b"ref-prefix x%d" % n for n in range(limits.ref_prefixes_max + 1))
    assert parse_ls_refs(many).prefixes == ()


def test_an_unknown_line_in_ls_refs_is_refused() -> None:
    with pytest.raises(ProtocolError):
        ask(b"everything")


@pytest.mark.parametrize(
    ("header", "version"),
    [
        ("", 0),
        ("version=1", 1),
        ("version=2", 2),
        ("version=1:version=2", 2),
        ("version=3", 0),
        ("x=y:version=2:z", 2),
        ("version=2x", 0),
    ],
)
def test_the_highest_known_version_is_used(header: str, version: int) -> None:
    assert protocol_version(header) == version


def test_a_fetch_advertisement_lists_head_peels_tags_and_ends_with_a_flush() -> None:
    head, *rest = lines(upload_advertisement(FULL, version=0))[2:]
    first, _, capabilities = head.partition(b"\0")
    assert first == b"%b HEAD" % A.encode()
    assert {b"symref=HEAD:refs/heads/main", b"filter", b"shallow", b"no-done"} <= set(capabilities.split())
    assert rest == [
        b"%b refs/heads/main\n" % A.encode(),
        b"%b refs/tags/v1\n" % B.encode(),
        b"%b refs/tags/v1^{}\n" % C.encode(),
        b"<flush>",
    ]


def test_version_1_says_so_after_the_announcement() -> None:
    assert lines(upload_advertisement(EMPTY, version=1))[:3] == [
        b"# service=git-upload-pack\n",
        b"<flush>",
        b"version 1\n",
    ]


def test_an_empty_repository_advertises_capabilities_only() -> None:
    advertised = lines(receive_advertisement(EMPTY, version=0))[2:]
    assert advertised[0].startswith(b"0" * 40 + b" capabilities^{}\0report-status ")
    assert advertised[1:] == [b"<flush>"]


def test_a_push_advertisement_has_neither_head_nor_peeled_tags() -> None:
    names = [line.split(b"\0")[0] for line in lines(receive_advertisement(FULL, version=0))[2:-1]]
    assert names == [b"%b refs/heads/main" % A.encode(), b"%b refs/tags/v1\n" % B.encode()]
