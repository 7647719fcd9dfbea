"""pkt-lines: the frames of git's protocols, and the side-band that multiplexes a stream in them.

Sources: gitprotocol-common(5), "pkt-line Format"; gitprotocol-v2(5), "Packet-Line Framing"; gitprotocol-pack(5),
"Packfile Data" (side-band).
"""

from collections.abc import Iterator
from enum import Enum
from typing import Final

from packhouse import limits
from packhouse.errors import Code, Invalid

PAYLOAD_MAX_BYTES: Final = limits.pkt_line_max_bytes - 4

FLUSH_PKT: Final = b"0000"
DELIM_PKT: Final = b"0001"
RESPONSE_END_PKT: Final = b"0002"

BAND_DATA: Final = 1
BAND_PROGRESS: Final = 2
BAND_ERROR: Final = 3

KEEPALIVE: Final = b"0005\x01"
"""An empty packet of band 1. Clients skip it; it keeps proxies and clients with time limits waiting."""

_HEX: Final = frozenset(b"0123456789abcdefABCDEF")


class ProtocolError(Invalid):
    """Git's protocol does not allow these bytes here. `reason` says what was wrong, for the user."""

    code = Code.PROTOCOL_ERROR
    reason: str


class Special(Enum):
    """Frames without a payload. Only FLUSH exists outside protocol v2."""

    FLUSH = 0
    DELIM = 1
    RESPONSE_END = 2


Packet = bytes | Special


def encode_packet(payload: bytes) -> bytes:
    """Return the pkt-line of a payload of 1 to 65516 bytes."""
    assert 0 < len(payload) <= PAYLOAD_MAX_BYTES
    return b"%04x%b" % (len(payload) + 4, payload)


def encode_error(reason: str) -> bytes:
    """Return the packet that makes a client stop and show `reason`: `ERR <reason>`."""
    text = reason.replace("\n", " ").encode("utf-8", "replace")
    return encode_packet(b"ERR " + text[: PAYLOAD_MAX_BYTES - 4])


def encode_band(band: int, data: bytes, *, packet_max_bytes: int = limits.pkt_line_max_bytes) -> bytes:
    """Return `data` as packets of one band; no bytes for no data.

    `packet_max_bytes` is 65520 for `side-band-64k` and 1000 for the old `side-band`.
    """
    step = packet_max_bytes - 5
    mark = bytes((band,))
    return b"".join(encode_packet(mark + data[at : at + step]) for at in range(0, len(data), step))


def chomp(payload: bytes) -> bytes:
    """Return a text line without the one line feed that senders may add."""
    return payload[:-1] if payload.endswith(b"\n") else payload


class PacketDecoder:
    """Takes bytes as they arrive and gives packets. Keeps at most one incomplete packet and the fed bytes."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._at = 0

    def feed(self, data: bytes) -> None:
        """Add bytes that arrived."""
        if self._at:
            del self._buffer[: self._at]
            self._at = 0
        self._buffer += data

    def next_packet(self) -> Packet | None:
        """Return the next packet, or None until more bytes are fed.

        Raises ProtocolError on a length that is not hexadecimal, is 3 or is above 65520. An empty packet, `0004`, is
        b"": git sends it for an empty push option.
        """
        start = self._at
        if len(self._buffer) - start < 4:
            return None
        head = bytes(self._buffer[start : start + 4])
        if not _HEX.issuperset(head):
            raise ProtocolError("bad packet length")
        length = int(head, 16)
        if length <= Special.RESPONSE_END.value:
            self._at = start + 4
            return Special(length)
        if length < 4 or length > limits.pkt_line_max_bytes:
            raise ProtocolError("bad packet length")
        if len(self._buffer) - start < length:
            return None
        self._at = start + length
        return bytes(self._buffer[start + 4 : self._at])

    @property
    def pending_bytes(self) -> int:
        """The number of fed bytes that no packet has taken yet."""
        return len(self._buffer) - self._at

    def take_rest(self) -> bytes:
        """Return the bytes that no packet has taken, and forget them: a pack follows the packets."""
        rest = bytes(self._buffer[self._at :])
        self._buffer.clear()
        self._at = 0
        return rest


def iter_packets(data: bytes) -> Iterator[Packet]:
    """Yield the packets of a complete message. Raises ProtocolError also if the last one is cut short."""
    decoder = PacketDecoder()
    decoder.feed(data)
    while (packet := decoder.next_packet()) is not None:
        yield packet
    if decoder.pending_bytes:
        raise ProtocolError("the last packet is cut short")
