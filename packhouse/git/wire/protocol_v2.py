"""Protocol v2: the capability advertisement, the request frame, and `ls-refs`.

Source: gitprotocol-v2(5).
"""

from dataclasses import dataclass
from typing import Final

from packhouse import limits
from packhouse.git import HEAD, Oid, RefName
from packhouse.git.wire.advertisement import AGENT, AdvertisedRef, RefView
from packhouse.git.wire.pktline import (
    FLUSH_PKT,
    PacketDecoder,
    ProtocolError,
    Special,
    chomp,
    encode_packet,
)

CAPABILITIES: Final = b"".join(
    [
        encode_packet(b"version 2\n"),
        encode_packet(b"agent=" + AGENT + b"\n"),
        encode_packet(b"ls-refs=unborn\n"),
        encode_packet(b"fetch=shallow wait-for-done filter\n"),
        encode_packet(b"server-option\n"),
        encode_packet(b"object-format=sha1\n"),
        FLUSH_PKT,
    ]
)
"""The answer of `info/refs` to a client that speaks v2. Unlike v0 it has no `# service=` announcement."""

NOTHING_IN_COMMON: Final = encode_packet(b"acknowledgments\n") + encode_packet(b"NAK\n") + FLUSH_PKT
"""The answer to a client that only negotiates, if the two sides have nothing in common."""

_REF_PREFIXES_MAX: Final = limits.ref_prefixes_max


@dataclass(frozen=True, slots=True)
class V2Request:
    """One command. `size_bytes` is the size of its packets. Over HTTP nothing may follow it."""

    command: str
    arguments: tuple[bytes, ...]
    size_bytes: int


@dataclass(frozen=True, slots=True)
class LsRefs:
    """The request of an `ls-refs`. No prefixes means every ref."""

    peel: bool
    symrefs: bool
    unborn: bool
    prefixes: tuple[bytes, ...]

    def wants(self, name: bytes) -> bool:
        """Tell whether a ref with this name belongs in the answer."""
        return not self.prefixes or name.startswith(self.prefixes)


def parse_v2_request(body: bytes) -> V2Request | None:
    """Return the command in `body`; None for a lone flush-pkt, by which a client says that it is done.

    Raises ProtocolError on anything else that is not one complete command, and on an object format other than sha1.
    Other capability lines (agent, server-option) are ignored.
    """
    decoder = PacketDecoder()
    decoder.feed(body)
    command = ""
    arguments: list[bytes] = []
    in_arguments = False
    while (packet := decoder.next_packet()) is not None:
        if packet is Special.FLUSH:
            size_bytes = len(body) - decoder.pending_bytes
            if command:
                return V2Request(command, tuple(arguments), size_bytes)
            if size_bytes == len(FLUSH_PKT):
                return None
            raise ProtocolError("no command requested")
        if packet is Special.DELIM and not in_arguments:
            in_arguments = True
        elif isinstance(packet, Special):
            raise ProtocolError("unexpected special packet")
        elif in_arguments:
            arguments.append(chomp(packet))
        else:
            command = _read_capability(chomp(packet), command)
    raise ProtocolError("the request does not end with a flush packet")


def _read_capability(line: bytes, command: str) -> str:
    """Return the command named so far. Raises ProtocolError if the line contradicts the advertisement."""
    name, _, value = line.partition(b"=")
    if name == b"command":
        if command:
            raise ProtocolError("more than one command")
        return value.decode("ascii", "replace")
    if name == b"object-format" and value != b"sha1":
        raise ProtocolError("only the object format sha1 is served")
    return command


def parse_ls_refs(arguments: tuple[bytes, ...]) -> LsRefs:
    """Return the parsed arguments of `ls-refs`. Raises ProtocolError on an argument that git would refuse.

    Too many prefixes mean every ref, as in git: matching them would cost more than a full answer. Clients must cope
    with refs that they did not ask for.
    """
    prefixes: list[bytes] = []
    flags = set()
    for argument in arguments:
        name, _, value = argument.partition(b" ")
        if name == b"ref-prefix":
            if len(prefixes) <= _REF_PREFIXES_MAX:
                prefixes.append(value)
        elif argument in (b"peel", b"symrefs", b"unborn"):
            flags.add(argument)
        else:
            raise ProtocolError("unexpected line in ls-refs")
    kept = tuple(prefixes) if len(prefixes) <= _REF_PREFIXES_MAX else ()
    return LsRefs(
        peel=b"peel" in flags, symrefs=b"symrefs" in flags, unborn=b"unborn" in flags, prefixes=kept
    )


def encode_ls_refs(view: RefView, asked: LsRefs) -> bytes:
    """Return the whole answer: HEAD first, then the refs in order, then a flush-pkt.

    An unborn HEAD is named only to a client that asked for it. Then a clone of an empty repository takes the server's
    default branch.
    """
    parts = []
    if view.head_target is not None and asked.wants(HEAD):
        parts.append(_head_line(view.head(), view.head_target, asked))
    parts.extend(_ref_line(ref, asked) for ref in view.refs if asked.wants(ref.refname))
    parts.append(FLUSH_PKT)
    return b"".join(parts)


def _head_line(head: AdvertisedRef | None, target: RefName, asked: LsRefs) -> bytes:
    symref = b" symref-target:" + target if asked.symrefs else b""
    if head is not None:
        return encode_packet(_oid(head.oid) + b" HEAD" + symref + b"\n")
    return encode_packet(b"unborn HEAD" + symref + b"\n") if asked.unborn else b""


def _ref_line(ref: AdvertisedRef, asked: LsRefs) -> bytes:
    line = _oid(ref.oid) + b" " + ref.refname
    if asked.peel and ref.peeled_oid is not None:
        line += b" peeled:" + _oid(ref.peeled_oid)
    return encode_packet(line + b"\n")


def _oid(oid: Oid) -> bytes:
    return oid.encode("ascii")
