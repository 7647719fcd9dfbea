"""Corrects hunk headers whose counts differ from the lines that follow, as in patches by language models.

git apply trusts the counts. With too large counts the patch is corrupt; with too small ones git silently drops the rest
of the hunk. `git apply --recount` trusts the lines. But it takes the signature of a mail for a deletion, and silently
drops everything behind a line that is not part of a hunk. So this module counts the lines and corrects the headers, and
git apply checks the rest. Source: git's apply.c, parse_fragment() and recount_diff().
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from packhouse import limits
from packhouse.errors import Code, Invalid, LimitExceeded

_HEADER: Final = re.compile(rb"@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@")
_SIGNATURE: Final = re.compile(rb"--[ \t]*\r?\n?\Z")
_CHANGES: Final = (b" ", b"+", b"-")
_NEXT_FILE: Final = (b"diff ", b"Index: ")
_BASE85_LINE: Final = re.compile(rb"([A-Za-z])((?:[0-9A-Za-z!#$%&()*+;<=>?@^_`{|}~-]{5})+)\Z")
_NEWLINES: Final = (b"\n", b"\r\n")
_SHOWN_MAX_BYTES: Final = 100
_DIGITS_MAX: Final = 9


class HunkHeaderUnreadable(Invalid):
    """A hunk header has another form than git's. `line` is its number, from 1."""

    code = Code.HUNK_HEADER_UNREADABLE
    line: int
    header: str


class LineOutsideHunk(Invalid, kw_only=True):
    """A line is no part of its hunk, although it stands where one could. The hunk begins at `header_line`."""

    code = Code.LINE_OUTSIDE_HUNK
    line: int
    header_line: int
    header: str


class HunkCutOff(Invalid):
    """A hunk lacks lines that its header announces. The patch seems to have lost its end."""

    code = Code.HUNK_CUT_OFF
    line: int
    header: str


class TooManyWrongHunks(LimitExceeded):
    """The patch has more wrong hunk headers than the server corrects."""

    code = Code.TOO_MANY_WRONG_HUNKS
    max_hunks: int


@dataclass(frozen=True, slots=True)
class WrongCounts:
    """A hunk with a wrong header: the number and text of its header, and the count of the lines that follow.

    The last `blank_lines` lines before `end` are blank. They are context of the hunk, or separate it from the next
    part; `counted` does not include them. `is_filled` tells that the announced lines came, and then further ones. git
    apply uses only the announced ones.
    """

    line: int
    header: str
    counted: tuple[int, int]
    blank_lines: int
    end: int
    is_filled: bool

    def __str__(self) -> str:
        old, new = self.counted
        return f"the hunk header of line {self.line} ({self.header}) is followed by {old} old and {new} new lines"


@dataclass(slots=True)
class _Hunk:
    """A hunk while it is read. `left` counts the announced lines that are missing, `counted` those that came."""

    line: int
    header: str
    announced: tuple[int, int]
    left: list[int]
    counted: list[int]
    blank_lines: int = 0
    has_rest: bool = False
    last: bytes = b""
    is_plain: bool = False

    @property
    def is_filled(self) -> bool:
        """Whether exactly the announced lines have come, now or earlier."""
        return self.left == [0, 0]

    def take(self, line: bytes) -> None:
        """Count one line of the hunk."""
        self.last = line
        if line.startswith(b"\\"):
            return
        old, new = not line.startswith(b"+"), not line.startswith(b"-")
        if self.is_filled:
            self.has_rest = self.has_rest or line not in _NEWLINES
        else:
            self.left = [self.left[0] - old, self.left[1] - new]
        self.counted = [self.counted[0] + old, self.counted[1] + new]
        self.blank_lines = self.blank_lines + 1 if line in _NEWLINES else 0

    def drop_signature(self) -> None:
        """Uncount the line that began a mail's signature."""
        self.counted[0] -= 1

    def wrong_counts(self, end: int, *, is_last: bool) -> WrongCounts | None:
        """Return the fault, if any. Raises Invalid if so few lines came that the patch may be cut off.

        Blank lines behind a hunk with right counts are a fault too if another hunk of the file follows.
        """
        if self.is_filled and not self.has_rest and (is_last or self.counted == list(self.announced)):
            return None
        old, new = (count - self.blank_lines for count in self.counted)
        if (self.announced[0] and not old) or (self.announced[1] and not new):
            raise HunkCutOff(line=self.line, header=self.header)
        return WrongCounts(self.line, self.header, (old, new), self.blank_lines, end, self.is_filled)


def find_wrong_counts(lines: Iterable[bytes]) -> list[WrongCounts]:
    """Return the hunks of a patch whose headers have wrong counts. The lines may be cut short.

    Raises Invalid, with header and line, if it is not clear which lines a hunk has: one of them begins neither with a
    blank, `+`, `-` nor a backslash. Raises LimitExceeded for too many wrong headers.
    """
    found: list[WrongCounts] = []
    for fault in _iter_wrong_counts(lines):
        found.append(fault)
        if len(found) > limits.patch_recounts_max:
            raise TooManyWrongHunks(limits.patch_recounts_max)
    return found


def _iter_wrong_counts(lines: Iterable[bytes]) -> Iterator[WrongCounts]:
    hunk: _Hunk | None = None
    behind: tuple[_Hunk, int] | None = None
    is_git, in_file = False, False
    source = _LookAhead(lines)
    number = 0
    for number, line in source:
        if hunk is not None:
            if _ends_hunk(hunk, line, source):
                yield from _close(hunk, number, line)
                behind = (hunk, number) if hunk.last not in _NEWLINES and not _SIGNATURE.match(line) else None
                hunk = None
            else:
                hunk.take(line)
                continue
        if behind is not None:
            behind = _look_behind(*behind, number, line)
        if line.startswith(b"diff --git "):
            is_git, in_file = True, False
        elif line.startswith((b"--- ", b"+++ ")):
            in_file = True
        elif line.startswith(b"@@") and in_file:
            hunk = _open(number, line, is_plain=not is_git)
        elif line not in _NEWLINES:
            in_file = False
    if hunk is not None:
        yield from _close(hunk, number + 1, b"")


class _LookAhead:
    """Lines with their numbers, from 1. The next two lines can be read in advance."""

    def __init__(self, lines: Iterable[bytes]) -> None:
        self._lines = iter(lines)
        self._ahead: list[bytes] = []
        self._number = 0

    def __iter__(self) -> Iterator[tuple[int, bytes]]:
        while self.peek(0):
            self._number += 1
            yield self._number, self._ahead.pop(0)

    def peek(self, distance: int) -> bytes:
        """Return the line `distance` lines further on; empty after the end."""
        while len(self._ahead) <= distance:
            line = next(self._lines, b"")
            if not line:
                return b""
            self._ahead.append(line)
        return self._ahead[distance]


def _open(number: int, line: bytes, *, is_plain: bool) -> _Hunk:
    shown = _show(line)
    match = _HEADER.match(line)
    if match is None or any(len(digits or b"") > _DIGITS_MAX for digits in match.groups()):
        raise HunkHeaderUnreadable(line=number, header=shown)
    old, new = (1 if count is None else int(count) for count in (match[2], match[4]))
    return _Hunk(number, shown, (old, new), [old, new], [0, 0], is_plain=is_plain)


def _ends_hunk(hunk: _Hunk, line: bytes, source: _LookAhead) -> bool:
    """Tell whether `line` is not part of the hunk. While the counts are right, they decide it."""
    if line[:1] not in b" +-\\\n" and line != b"\r\n":
        return True
    if hunk.is_filled and _SIGNATURE.match(line) and source.peek(0)[:1] not in _CHANGES:
        return True
    if not (hunk.is_filled or hunk.is_plain) or not line.startswith(b"--- "):
        return False
    return source.peek(0).startswith(b"+++ ") and source.peek(1).startswith(b"@@ -")


def _close(hunk: _Hunk, number: int, line: bytes) -> Iterator[WrongCounts]:
    """Yield the fault of a hunk that `line` ended. An empty line is the end of the patch."""
    is_text = bool(line) and not line.startswith((b"@@", b"--- ", *_NEXT_FILE)) and not _SIGNATURE.match(line)
    is_signed = is_text and _SIGNATURE.match(hunk.last) is not None
    if is_signed and not hunk.is_filled:
        hunk.drop_signature()
        is_text = False
    if is_text and not (hunk.is_filled and not hunk.has_rest):
        raise LineOutsideHunk(line=number, header_line=hunk.line, header=hunk.header)
    fault = hunk.wrong_counts(number, is_last=not line.startswith(b"@@ -"))
    if fault is not None:
        yield fault


def _look_behind(hunk: _Hunk, place: int, number: int, line: bytes) -> tuple[_Hunk, int] | None:
    """Raise Invalid if a change follows text that comes directly after a hunk.

    Such text looks like a line of the hunk without its blank. An empty line or a header ends this check.
    """
    if line in _NEWLINES or line.startswith((b"@@", b"--- ", b"+++ ", *_NEXT_FILE)):
        return None
    if number > place and line[:1] in (b"+", b"-") and not _SIGNATURE.match(line):
        raise LineOutsideHunk(line=place, header_line=hunk.line, header=hunk.header)
    return hunk, place


def with_right_counts(
    lines: Iterable[bytes], faults: Iterable[WrongCounts], *, keeps_blank_lines: bool
) -> Iterator[bytes]:
    """Yield the lines of the patch with corrected headers of `faults`.

    Blank lines behind those hunks are counted with `keeps_blank_lines`, else left out.
    """
    by_line = {fault.line: fault for fault in faults}
    blanks: range | tuple[int, ...] = ()
    for number, line in enumerate(lines, 1):
        fault = by_line.get(number)
        match = _HEADER.match(line) if fault else None
        if fault is None or match is None:
            if number not in blanks:
                yield line
            continue
        old, new = fault.counted
        if keeps_blank_lines:
            old, new = old + fault.blank_lines, new + fault.blank_lines
        else:
            blanks = range(fault.end - fault.blank_lines, fault.end)
        yield b"@@ -%s,%d +%s,%d @@%s" % (match[1], old, match[3], new, line[match.end() :])


def missing_end(tail: bytes) -> bytes:
    """Return what a patch with the last bytes `tail` lacks: a line feed, and the empty line after binary data."""
    end = b"" if tail.endswith(b"\n") else b"\n"
    last_line = tail.rstrip(b"\n").rpartition(b"\n")[2] if not tail.endswith(b"\n\n") else b""
    data = _BASE85_LINE.match(last_line)
    # The first character is the number of bytes that the rest of the line encodes, in groups of four.
    is_binary = data is not None and len(data[2]) == -(-_count_bytes(data[1]) // 4) * 5
    return end + b"\n" if is_binary else end


def _count_bytes(letter: bytes) -> int:
    """Return the number of bytes in a line of base85: A to Z are 1 to 26, a to z 27 to 52 (git's binary patches)."""
    return ord(letter) - ord("A") + 1 if letter.isupper() else ord(letter) - ord("a") + 27


def find_header(lines: Iterable[bytes], number: int) -> tuple[int, str] | None:
    """Return line and text of the last hunk header at or before the line `number`; None if there is none."""
    found = None
    for place, line in enumerate(lines, 1):
        if place > number:
            break
        if line.startswith(b"@@ -"):
            found = place, _show(line)
    return found


def _show(header: bytes) -> str:
    """Return a header as errors quote it."""
    return header[:_SHOWN_MAX_BYTES].decode("utf-8", "replace").strip()
