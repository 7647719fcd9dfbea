"""Who last changed each line, from the output of `git blame --incremental`.

Source of the format: git-blame(1), "Incremental output": groups of lines, each with the commit's id, the line
numbers there and here, and how many; then headers, up to `filename`.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from packhouse.error_codes import Code
from packhouse.errors import Corrupt
from packhouse.git.commands.quoting import unquote_path
from packhouse.git.oid import Oid

_GROUP: Final = re.compile(rb"([0-9a-f]{40}) ([0-9]+) ([0-9]+) ([0-9]+)")


class BlameUnreadable(Corrupt):
    """Git wrote another form than the one asked for."""

    code = Code.BLAME_UNREADABLE


@dataclass(frozen=True, slots=True)
class BlameGroup:
    """Lines next to each other that one commit brought: `count` lines from `line` on, the first being 1.

    There they began at `original_line` of `original_path`. `previous` is the commit that has an earlier version
    of the file, None when there is none.
    """

    commit: Oid
    line: int
    original_line: int
    count: int
    original_path: bytes
    previous: Oid | None


def blame_arguments(commit: Oid, path: str, *, ranges: Sequence[str], detect_moves: bool) -> list[str]:
    """Return git's arguments. A range is part of its option's word, so that it is never one of its own."""
    options = ["blame", "--incremental", "--no-textconv"]
    if detect_moves:
        options += ["-M", "-C"]
    # git 2.39's blame does not know --end-of-options; a full id and a path after `--` need none.
    return [*options, *(f"-L{text}" for text in ranges), commit, "--", path]


def parse_blame(output: bytes) -> list[BlameGroup]:
    """Return the groups in the order of their lines; raise Corrupt for other output."""
    groups: list[BlameGroup] = []
    head: re.Match[bytes] | None = None
    previous: Oid | None = None
    for line in output.split(b"\n")[:-1]:
        if head is None:
            head, previous = _GROUP.fullmatch(line), None
            if head is None:
                raise BlameUnreadable()
        elif line.startswith(b"previous "):
            previous = Oid(line[9:49].decode("ascii"))
        elif line.startswith(b"filename "):
            groups.append(_make_group(head, unquote_path(line[9:]), previous))
            head = None
    return sorted(groups, key=lambda group: group.line)


def _make_group(head: re.Match[bytes], path: bytes, previous: Oid | None) -> BlameGroup:
    original_line, line, count = (int(number) for number in head.groups()[1:])
    return BlameGroup(Oid(head[1].decode("ascii")), line, original_line, count, path, previous)
