"""pkt-lines: frames round-trip however they are cut, and nothing else passes for one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from packhouse import limits
from packhouse.git.wire.pktline import (
    DELIM_PKT,
    FLUSH_PKT,
    PAYLOAD_MAX_BYTES,
    RESPONSE_END_PKT,
    Packet,
    PacketDecoder,
    ProtocolError,
    Special,
    chomp,
    encode_band,
    encode_error,
    encode_packet,
    iter_packets,
)

pytestmark = pytest.mark.quick

SPECIALS = {Special.FLUSH: FLUSH_PKT, Special.DELIM: DELIM_PKT, Special.RESPONSE_END: RESPONSE_END_PKT}
PACKETS = st.lists(st.one_of(st.binary(min_size=1, max_size=300), st.sampled_from(Special)), max_size=20)


def encode(packets: list[Packet]) -> bytes:
    return b"".join(
        SPECIALS[packet] if isinstance(packet, Special) else encode_packet(packet) for packet in packets
    )


def test_a_text_line_is_framed_as_the_manual_shows() -> None:
    assert encode_packet(b"a\n") == b"0006a\n"
    assert encode_packet(b"foobar\n") == b"000bfoobar\n"


@given(PACKETS, st.integers(1, 50))
def test_frames_round_trip_however_the_bytes_arrive(packets: list[Packet], step: int) -> None:
    data = encode(packets)
    decoder = PacketDecoder()
    read: list[Packet] = []
    for at in range(0, len(data), step):
        decoder.feed(data[at : at + step])
        while (packet := decoder.next_packet()) is not None:
            read.append(packet)
    assert read == packets
    assert decoder.pending_bytes == 0


@given(st.binary(max_size=200))
def test_any_bytes_parse_as_packets_or_are_a_protocol_error(data: bytes) -> None:
    try:
        packets = list(iter_packets(data))
    except ProtocolError:
        return
    # Hexadecimal lengths may be written in either case, and an empty packet is legal although we write none.
    assert sum(len(p) + 4 if isinstance(p, bytes) else 4 for p in packets) == len(data)


@pytest.mark.parametrize("head", [b"0003", b"fff1", b"ffff", b"zzzz", b"-001", b"+00a", b" 00a", b"0x0a"])
def test_a_length_that_git_does_not_send_is_refused(head: bytes) -> None:
    with pytest.raises(ProtocolError):
        list(iter_packets(head + b"x" * 70_000))


def test_a_packet_cut_short_is_refused() -> None:
    with pytest.raises(ProtocolError):
        list(iter_packets(b"000bfoo"))


def test_an_empty_packet_is_an_empty_payload() -> None:
    assert list(iter_packets(b"00040000")) == [b"", Special.FLUSH]


def test_the_largest_packet_is_65520_bytes() -> None:
    packet = encode_packet(b"x" * PAYLOAD_MAX_BYTES)
    assert packet.startswith(b"fff0")
    assert list(iter_packets(packet)) == [b"x" * PAYLOAD_MAX_BYTES]


def test_the_bytes_after_the_packets_are_returned() -> None:
    decoder = PacketDecoder()
    decoder.feed(b"0006a\n0000PACK...")
    assert decoder.next_packet() == b"a\n"
    assert decoder.next_packet() is Special.FLUSH
    assert decoder.take_rest() == b"PACK..."
    assert decoder.pending_bytes == 0


@given(st.binary(max_size=200_000))
def test_a_band_carries_the_data_in_packets_that_fit(data: bytes) -> None:
    packets = list(iter_packets(encode_band(2, data)))
    assert all(
        isinstance(p, bytes) and p[0] == 2 and len(p) + 4 <= limits.pkt_line_max_bytes for p in packets
    )
    assert b"".join(p[1:] for p in packets if isinstance(p, bytes)) == data


def test_an_error_packet_is_one_line() -> None:
    assert encode_error("no\nsuch") == b"000fERR no such"


def test_only_one_line_feed_is_removed() -> None:
    assert chomp(b"a\n\n") == b"a\n"
    assert chomp(b"a") == b"a"
