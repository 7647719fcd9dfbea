"""Reading index-pack's messages about faulty objects of a pack while it works.

Source: git's fsck.c, fsck_error_function(): `warning: object <oid>: <fault>: <text>`, one line, one write(2), with
control characters replaced (usage.c, vreportf()). Progress shares the stream; its lines end in CR.
"""

import re
from dataclasses import dataclass, field
from typing import Final

from packhouse import limits
from packhouse.git import Oid
from packhouse.git.commands.index_pack import REFUSABLE, find_unread_files

_TOLD: Final = b"warning: object "
_LINE: Final = re.compile(rb"^warning: object ([0-9a-f]{40}): ([A-Za-z0-9]+): (.*)$", re.DOTALL)
_LINES: Final = re.compile(rb"[^\r\n]*[\r\n]?")
_TEXT_MAX_BYTES: Final = 200


@dataclass(frozen=True, slots=True)
class ObjectFault:
    """A fault of an object, in git's words. `name` is the fault's name."""

    oid: Oid
    name: str
    text: str


@dataclass(slots=True)
class FaultLog:
    """The faulty objects that index-pack has reported so far, with the first fault of each.

    `is_incomplete` is true until finish() was called. It stays true when there are too many faults or a line cannot be
    read.
    """

    faults: dict[Oid, ObjectFault] = field(default_factory=dict)
    is_incomplete: bool = True
    _broken: bool = False
    _rest: bytes = b""

    def take(self, piece: bytes) -> bytes:
        """Read a piece of the messages; return the text to show to the client, which leaves out the faults."""
        data = self._rest + piece
        end = max(data.rfind(b"\n"), data.rfind(b"\r")) + 1
        lines, self._rest = data[:end], data[end:]
        shown = self._read(lines)
        if not (self._rest.startswith(_TOLD) or _TOLD.startswith(self._rest)):
            shown, self._rest = shown + self._rest, b""
        elif len(self._rest) > limits.git_messages_max_bytes:
            self._broken, self._rest = True, b""
        return shown

    def finish(self) -> bytes:
        """Note that the messages have ended; return the rest of the text to show."""
        shown = self._read(self._rest)
        self._rest = b""
        self.is_incomplete = self._broken
        return shown

    def add(self, fault: ObjectFault) -> None:
        """Note a fault, unless the object has one already or there are too many."""
        if len(self.faults) >= limits.push_faults_max:
            self._broken = self.is_incomplete = True
        else:
            self.faults.setdefault(fault.oid, fault)

    def take_unread_files(self, output: bytes) -> None:
        """Read index-pack's output: the `.gitmodules` that it could not read, which cannot be judged harmless."""
        for oid in find_unread_files(output):
            self.add(ObjectFault(oid, "gitmodulesMissing", "cannot be looked into"))

    def _read(self, lines: bytes) -> bytes:
        if _TOLD not in lines:
            return lines
        return b"".join(line for line in _LINES.findall(lines) if not self._is_fault(line))

    def _is_fault(self, line: bytes) -> bool:
        if not line.startswith(_TOLD):
            self._broken = self._broken or _TOLD in line
            return False
        match = _LINE.match(line.rstrip(b"\r\n"))
        if match is None:
            self._broken = True
            return False
        name = match[2].decode("ascii")
        if name not in REFUSABLE:  # git only warns of this fault, whatever our options say
            return False
        text = match[3][:_TEXT_MAX_BYTES].decode("utf-8", "replace")
        self.add(ObjectFault(Oid(match[1].decode("ascii")), name, text))
        return True
