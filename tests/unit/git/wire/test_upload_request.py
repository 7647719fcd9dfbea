"""Wants: no request names an object to git that it did not name to us."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from packhouse.git.oid import Oid
from packhouse.git.wire.pktline import FLUSH_PKT, ProtocolError, encode_packet
from packhouse.git.wire.protocol_v2 import V2Request
from packhouse.git.wire.upload_request import parse_fetch_v2, parse_upload_v0

pytestmark = pytest.mark.quick

A, B = Oid("a" * 40), Oid("b" * 40)


def v0(*lines: bytes | None) -> bytes:
    return b"".join(FLUSH_PKT if line is None else encode_packet(line) for line in lines)


def v2(*arguments: bytes) -> V2Request:
    return V2Request("fetch", arguments, 0)


def test_wants_of_v0_are_read_with_capabilities_and_without_repeats() -> None:
    body = v0(
        b"want %b multi_ack_detailed ofs-delta\n" % A.encode(),
        b"want %b\n" % B.upper().encode(),
        b"want %b\n" % A.encode(),
        b"deepen-not refs/heads/old\n",
        None,
        b"have %b\n" % B.encode(),
        None,
        b"done\n",
    )
    asked = parse_upload_v0(body + b"trailing")
    assert asked.wants == (A, B)
    assert asked.deepen_not == (b"refs/heads/old",)
    assert asked.size_bytes == len(body)


def test_a_request_without_wants_is_not_an_error() -> None:
    assert parse_upload_v0(b"0000").wants == ()


def test_a_request_without_done_is_complete_at_its_end() -> None:
    body = v0(b"want %b\n" % A.encode(), b"deepen 1\n", None)
    assert parse_upload_v0(body).size_bytes == len(body)


@pytest.mark.parametrize(
    "body",
    [
        v0(b"want %b\n" % A.encode()),
        v0(b"want  %b\n" % A.encode(), None),
        v0(b"want %b\0x\n" % A.encode(), None),
        v0(b"want refs/heads/main\n", None),
        v0(b"want-ref refs/heads/main\n", None),
        v0(b"have %b\n" % A.encode(), None),
        v0(b"want %b\n" % A.encode(), None, b"want %b\n" % B.encode()),
        v0(b"want %b\n" % A.encode(), None) + b"0001",
        v0(b"want %b\n" % A.encode(), None) + b"00",
    ],
)
def test_lines_out_of_place_are_refused(body: bytes) -> None:
    with pytest.raises(ProtocolError):
        parse_upload_v0(body)


@given(st.binary(max_size=120))
def test_any_bytes_parse_as_a_request_or_are_a_protocol_error(body: bytes) -> None:
    try:
        parse_upload_v0(body)
    except ProtocolError:
        return


def test_wants_of_v2_are_read() -> None:
    asked = parse_fetch_v2(v2(b"thin-pack", b"want " + A.encode(), b"deepen-not x", b"have " + B.encode()))
    assert asked.wants == (A,)
    assert asked.deepen_not == (b"x",)


@pytest.mark.parametrize(
    "line", [b"want-ref refs/heads/main", b"want " + b"a" * 39, b"want %b " % A.encode()]
)
def test_a_want_that_is_not_an_object_id_is_refused_in_v2(line: bytes) -> None:
    with pytest.raises(ProtocolError):
        parse_fetch_v2(v2(line))
