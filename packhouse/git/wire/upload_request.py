"""The request of a fetch, read before git sees it. Git itself would serve any object.

This reader is stricter than git's, so that git never sees a request for an object that we did not see. Sources:
gitprotocol-pack(5), "Packfile Negotiation"; gitprotocol-v2(5), "fetch".
"""

import re
from dataclasses import dataclass
from typing import Final

from packhouse.git import Oid
from packhouse.git.wire.pktline import Packet, PacketDecoder, ProtocolError, Special, chomp
from packhouse.git.wire.protocol_v2 import V2Request

_WANT_V0: Final = re.compile(rb"want ([0-9a-fA-F]{40})( [^\0]*)?")
_WANT_V2: Final = re.compile(rb"want ([0-9a-fA-F]{40})")


@dataclass(frozen=True, slots=True)
class UploadRequest:
    """The part of a fetch request that decides which objects may be served. Git reads the rest.

    `wants` has the order of the request, without repeats. `deepen_not` are the refs at which a shallow client wants its
    history cut off. `size_bytes` is the length of the request in the body. `negotiates_only` is set if the client asks
    only for the commits that both sides have, and no pack (git-fetch(1), `--negotiate-only`); `has_haves` only then.
    """

    wants: tuple[Oid, ...]
    deepen_not: tuple[bytes, ...]
    size_bytes: int
    negotiates_only: bool = False
    has_haves: bool = False


def parse_upload_v0(body: bytes) -> UploadRequest:
    """Return the wants of a protocol v0 or v1 request. A request without wants is from a client that left.

    Raises ProtocolError on lines that do not belong there.
    """
    decoder = PacketDecoder()
    decoder.feed(body)
    wants: dict[Oid, None] = {}
    deepen_not: list[bytes] = []
    in_haves = False
    while (packet := decoder.next_packet()) is not None:
        if packet is Special.FLUSH:
            in_haves = True
            if not wants:
                break
            continue
        line = _text(packet)
        if in_haves:
            _check_have(line)
            if line == b"done":
                break
        elif line.startswith(b"want"):
            wants[_read_want(line, _WANT_V0)] = None
        elif line.startswith(b"deepen-not "):
            deepen_not.append(line.removeprefix(b"deepen-not "))
        elif not line.startswith((b"shallow ", b"deepen ", b"deepen-since ", b"filter ")):
            raise ProtocolError("expected a want line")
    else:
        _check_end(decoder, in_haves)
    return UploadRequest(tuple(wants), tuple(deepen_not), len(body) - decoder.pending_bytes)


def parse_fetch_v2(request: V2Request) -> UploadRequest:
    """Return the wants of a `fetch` command. Raises ProtocolError on a want that is not an object id.

    `want-ref` is refused: the advertisement does not offer it.
    """
    wants: dict[Oid, None] = {}
    deepen_not: list[bytes] = []
    for line in request.arguments:
        if line.startswith(b"want"):
            wants[_read_want(line, _WANT_V2)] = None
        elif line.startswith(b"deepen-not "):
            deepen_not.append(line.removeprefix(b"deepen-not "))
    negotiates_only = not wants and b"wait-for-done" in request.arguments
    has_haves = negotiates_only and any(line.startswith(b"have ") for line in request.arguments)
    return UploadRequest(tuple(wants), tuple(deepen_not), request.size_bytes, negotiates_only, has_haves)


def _text(packet: Packet) -> bytes:
    if isinstance(packet, Special):
        raise ProtocolError("unexpected special packet")
    return chomp(packet)


def _read_want(line: bytes, form: re.Pattern[bytes]) -> Oid:
    match = form.fullmatch(line)
    if match is None:
        raise ProtocolError("expected a want line with an object id")
    return Oid(match[1].decode("ascii").lower())


def _check_have(line: bytes) -> None:
    if line != b"done" and not line.startswith(b"have "):
        raise ProtocolError("expected a have line or done")


def _check_end(decoder: PacketDecoder, in_haves: bool) -> None:
    if decoder.pending_bytes:
        raise ProtocolError("the last packet is cut short")
    if not in_haves:
        raise ProtocolError("the list of wants does not end with a flush packet")
