"""Pushes on the wire: commands are read however they arrive, and the report is what git parses."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from packhouse import limits
from packhouse.errors import LimitExceeded
from packhouse.git.oid import Oid
from packhouse.git.wire.pktline import FLUSH_PKT, ProtocolError, Special, encode_packet, iter_packets
from packhouse.git.wire.receive_request import ReceiveRequest, ReceiveRequestParser, RefCommand, encode_report

pytestmark = pytest.mark.quick

A, B = Oid("a" * 40), Oid("b" * 40)
ZERO = "0" * 40


def command(name: bytes, old: str = A, new: str = B, capabilities: bytes = b"") -> bytes:
    tail = b"\0" + capabilities if capabilities else b""
    return encode_packet(b"%b %b %b%b" % (old.encode(), new.encode(), name, tail))


def parse(data: bytes, step: int = 1000) -> tuple[ReceiveRequest, bytes]:
    parser = ReceiveRequestParser()
    for at in range(0, len(data), step):
        parser.feed(data[at : at + step])
    return parser.finish()


@given(st.integers(1, 200))
def test_commands_options_and_the_start_of_the_pack_are_separated(step: int) -> None:
    data = (
        encode_packet(b"shallow " + A.encode())
        + command(b"refs/heads/main", capabilities=b" report-status side-band-64k push-options atomic")
        + command(b"refs/heads/new", old=ZERO)
        + command(b"refs/heads/gone", new=ZERO)
        + FLUSH_PKT
        + encode_packet(b"ci.skip")
        + b"0004"
        + FLUSH_PKT
    )
    request, rest = parse(data + b"PACK1234", step)
    assert request.commands == (
        RefCommand(b"refs/heads/main", A, B),
        RefCommand(b"refs/heads/new", None, B),
        RefCommand(b"refs/heads/gone", A, None),
    )
    assert request.shallow == (A,)
    assert request.push_options == (b"ci.skip", b"")
    assert request.has_pack
    assert request.has_bands
    assert request.wants_report
    assert rest == b"PACK1234"


def test_a_push_of_deletions_alone_has_no_pack() -> None:
    request, _ = parse(command(b"refs/heads/gone", new=ZERO, capabilities=b"report-status") + FLUSH_PKT)
    assert not request.has_pack


def test_the_probe_has_no_commands() -> None:
    request, rest = parse(FLUSH_PKT)
    assert request.commands == ()
    assert rest == b""


@pytest.mark.parametrize(
    "data",
    [
        b"",
        command(b"refs/heads/main"),
        encode_packet(b"hello") + FLUSH_PKT,
        encode_packet(b"%b %b " % (A.encode(), B.encode())) + FLUSH_PKT,
        encode_packet(b"push-cert\0report-status") + FLUSH_PKT,
        command(b"refs/heads/main", capabilities=b"object-format=sha256") + FLUSH_PKT,
        command(b"refs/heads/main") + b"0001",
        b"not a packet at all",
    ],
)
def test_bytes_that_are_not_a_push_are_refused(data: bytes) -> None:
    with pytest.raises(ProtocolError):
        parse(data)


@given(st.binary(max_size=120))
def test_any_bytes_parse_as_a_push_or_are_a_protocol_error(data: bytes) -> None:
    try:
        parse(data)
    except ProtocolError:
        return


def test_the_number_of_commands_is_bounded() -> None:
    line = command(b"refs/heads/main")
    parser = ReceiveRequestParser()
    parser.feed(line * limits.push_commands_max)
    with pytest.raises(LimitExceeded):
        parser.feed(line)


def test_push_options_are_bounded() -> None:
    parser = ReceiveRequestParser()
    parser.feed(command(b"refs/heads/main", capabilities=b"push-options") + FLUSH_PKT)
    with pytest.raises(LimitExceeded):
        parser.feed(encode_packet(b"x" * 60_000) * 2)


def test_the_report_names_every_ref() -> None:
    report = encode_report(None, [(b"refs/heads/a", None), (b"refs/heads/b", "moved\nmeanwhile")])
    assert list(iter_packets(report)) == [
        b"unpack ok\n",
        b"ok refs/heads/a\n",
        b"ng refs/heads/b moved meanwhile\n",
        Special.FLUSH,
    ]


def test_a_report_line_fits_a_packet_whatever_the_name_was() -> None:
    report = encode_report("index-pack failed", [(b"refs/" + b"\xff" * 60_000, "invalid name")])
    assert len(list(iter_packets(report))) == 3
