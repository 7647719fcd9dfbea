"""A push on the wire: the commands before the pack, and the report after it.

Source: gitprotocol-pack(5), "Pushing Data To a Server" and "Report Status".
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from packhouse import limits
from packhouse.errors import Code, LimitExceeded
from packhouse.git import Oid, oid_from_wire, parse_oid
from packhouse.git.wire.pktline import (
    FLUSH_PKT,
    Packet,
    PacketDecoder,
    ProtocolError,
    Special,
    chomp,
    encode_packet,
)

_COMMAND: Final = re.compile(rb"([0-9a-fA-F]{40}) ([0-9a-fA-F]{40}) (.+)", re.DOTALL)
_SHALLOW: Final = re.compile(rb"shallow ([0-9a-fA-F]{40})")


class PushOptionsTooLong(LimitExceeded):
    """The push options together are too long."""

    code = Code.PUSH_OPTIONS_TOO_LONG
    max_bytes: int


class TooManyRefUpdates(LimitExceeded, kw_only=True):
    """A push has too many ref updates, or their list is too long. The field that is set names the bound."""

    code = Code.TOO_MANY_REF_UPDATES
    max_bytes: int | None = None
    max_commands: int | None = None


@dataclass(frozen=True, slots=True)
class RefCommand:
    """One ref update as the client wrote it. The name is unchecked bytes. None means "does not exist"."""

    name: bytes
    old_oid: Oid | None
    new_oid: Oid | None


@dataclass(frozen=True, slots=True)
class ReceiveRequest:
    """The request of a push. `shallow` are the commits at which the client's own history is cut off."""

    commands: tuple[RefCommand, ...] = ()
    capabilities: frozenset[str] = frozenset()
    shallow: tuple[Oid, ...] = ()
    push_options: tuple[bytes, ...] = ()

    @property
    def has_pack(self) -> bool:
        """Tell whether a pack follows: always, unless every command deletes."""
        return any(command.new_oid is not None for command in self.commands)

    @property
    def wants_report(self) -> bool:
        """Tell whether the client reads a report. Its two versions look the same as long as no hook rewrites."""
        return not self.capabilities.isdisjoint({"report-status", "report-status-v2"})

    @property
    def has_bands(self) -> bool:
        """Tell whether report and messages go in side-band packets. Without bands there is only the report."""
        return "side-band-64k" in self.capabilities


class _Stage(Enum):
    COMMANDS = "commands"
    PUSH_OPTIONS = "push options"
    COMPLETE = "complete"


@dataclass(slots=True)
class ReceiveRequestParser:
    """Reads commands and push options as the bytes arrive. The pack follows them."""

    _decoder: PacketDecoder = field(default_factory=PacketDecoder)
    _stage: _Stage = _Stage.COMMANDS
    _commands: list[RefCommand] = field(default_factory=list)
    _capabilities: frozenset[str] = frozenset()
    _shallow: list[Oid] = field(default_factory=list)
    _push_options: list[bytes] = field(default_factory=list)
    _push_options_bytes: int = 0
    _fed_bytes: int = 0

    @property
    def is_complete(self) -> bool:
        """Tell whether commands and push options have been read."""
        return self._stage is _Stage.COMPLETE

    def feed(self, data: bytes) -> None:
        """Take bytes. Raises ProtocolError or LimitExceeded on what a client may not send."""
        self._decoder.feed(data)
        self._fed_bytes += len(data)
        while not self.is_complete and (packet := self._decoder.next_packet()) is not None:
            self._take(packet)
        head_bytes = self._fed_bytes - self._decoder.pending_bytes
        if head_bytes > limits.push_commands_max_bytes:
            raise TooManyRefUpdates(max_bytes=limits.push_commands_max_bytes)

    def finish(self) -> tuple[ReceiveRequest, bytes]:
        """Return the request and the first bytes of the pack. Raises ProtocolError if the request is cut short."""
        if not self.is_complete:
            raise ProtocolError("the push ends before its commands do")
        request = ReceiveRequest(
            tuple(self._commands), self._capabilities, tuple(self._shallow), tuple(self._push_options)
        )
        return request, self._decoder.take_rest()

    def _take(self, packet: Packet) -> None:
        if packet is Special.FLUSH:
            asked = self._stage is _Stage.COMMANDS and "push-options" in self._capabilities
            self._stage = _Stage.PUSH_OPTIONS if asked else _Stage.COMPLETE
        elif isinstance(packet, Special):
            raise ProtocolError("unexpected special packet")
        elif self._stage is _Stage.PUSH_OPTIONS:
            self._take_push_option(chomp(packet))
        else:
            self._take_command(packet)

    def _take_push_option(self, option: bytes) -> None:
        self._push_options.append(option)
        # Count at least the frame of each option, so that empty options are bounded too.
        self._push_options_bytes += len(option) + 4
        if self._push_options_bytes > limits.push_options_max_bytes:
            raise PushOptionsTooLong(limits.push_options_max_bytes)

    def _take_command(self, packet: bytes) -> None:
        line, _, capabilities = packet.partition(b"\0")
        line = chomp(line)
        if shallow := _SHALLOW.fullmatch(line):
            self._shallow.append(parse_oid(shallow[1].decode("ascii")))
            return
        if line.startswith(b"push-cert"):
            raise ProtocolError("signed pushes are not supported")
        match = _COMMAND.fullmatch(line)
        if match is None:
            raise ProtocolError("expected old oid, new oid and ref name")
        if not self._commands:
            self._capabilities = _parse_capabilities(capabilities)
        if len(self._commands) >= limits.push_commands_max:
            raise TooManyRefUpdates(max_commands=limits.push_commands_max)
        old_oid, new_oid = (oid_from_wire(part.decode("ascii")) for part in (match[1], match[2]))
        self._commands.append(RefCommand(match[3], old_oid, new_oid))


def _parse_capabilities(text: bytes) -> frozenset[str]:
    words = chomp(text).decode("utf-8", "replace").split()
    formats = [word for word in words if word.startswith("object-format=")]
    if any(word != "object-format=sha1" for word in formats):
        raise ProtocolError("only the object format sha1 is served")
    return frozenset(words)


def encode_report(unpack_error: str | None, outcomes: Iterable[tuple[bytes, str | None]]) -> bytes:
    """Return the report-status of a push: the result of the pack, then each ref name with its error or None.

    Names are cut to the length of a refname. A longer name was refused and must only be recognisable.
    """
    parts = [encode_packet(b"unpack %b\n" % _one_line(unpack_error or "ok"))]
    for name, error in outcomes:
        shown = name[: limits.refname_max_bytes]
        line = b"ok %b\n" % shown if error is None else b"ng %b %b\n" % (shown, _one_line(error))
        parts.append(encode_packet(line))
    parts.append(FLUSH_PKT)
    return b"".join(parts)


def _one_line(text: str) -> bytes:
    return " ".join(text.split()).encode("utf-8", "replace")[: limits.KIB]
