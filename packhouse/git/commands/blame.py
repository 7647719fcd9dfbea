"""git blame: which commit last changed each line.

Source of the format: git-blame(1), "Incremental output": groups of lines, each with the commit's id, the line's number
in that commit, its number in the file, and the number of lines; then headers, up to `filename`.
"""

import re
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from packhouse import limits
from packhouse.errors import Code, Corrupt, Invalid
from packhouse.formats import regex_cpu_s
from packhouse.git import Oid
from packhouse.git.commands.quoting import unquote_path
from packhouse.git.commands.run import GitFailed, Runner, check_answer, run_git, with_limits

_GROUP: Final = re.compile(rb"([0-9a-f]{40}) ([0-9]+) ([0-9]+) ([0-9]+)")
_USAGE: Final = 129


class BlameUnreadable(Corrupt):
    """The output of git blame has another form than the one asked for."""

    code = Code.BLAME_UNREADABLE


class BadRange(Invalid):
    """The range is unreadable, or the file has no such lines. `reason` is in git's words or in our own."""

    code = Code.BAD_RANGE
    reason: str


@dataclass(frozen=True, slots=True)
class BlameGroup:
    """Adjacent lines that one commit brought: `count` lines from `line` on, counted from 1.

    In that commit they began at `original_line` of `original_path`. `previous` is the commit with an earlier version of
    the file, None when there is none.
    """

    commit: Oid
    line: int
    original_line: int
    count: int
    original_path: bytes
    previous: Oid | None


def blame_lines(
    runner: Runner,
    commit: Oid,
    path: bytes,
    *,
    ranges: Sequence[str],
    detect_moves: bool,
    regex_memory_max_bytes: int,
) -> list[BlameGroup]:
    """Return the commits that last changed the lines of the file at `path`, in the order of lines.

    `ranges` have the form of the option -L and choose lines. Without ranges, all lines are looked at and
    `regex_memory_max_bytes` has no effect. With `detect_moves`, moved or copied lines count for the commit that first
    wrote them. Raises BadRange.
    """
    limit = None
    if ranges:
        cpu_s = min(map(regex_cpu_s, ranges))
        limit = with_limits(cpu_s=cpu_s, memory_max_bytes=regex_memory_max_bytes)
    options = ["--incremental", "--no-textconv"]
    if detect_moves:
        options += ["-M", "-C"]
    # The word after -L is always its argument, even when it is empty or looks like an option.
    options += [word for text in ranges for word in ("-L", text)]
    # git 2.39's blame does not know --end-of-options; a full id and a path after `--` need none.
    file = path.decode("utf-8", "surrogateescape")
    try:
        done = run_git(
            runner.place(),
            *("blame", *options, commit, "--", file),
            timeout_s=limits.blame_max_s,
            on_start=limit,
        )
    except GitFailed as error:
        reason = _find_range_fault(error) if ranges else None
        if reason is None:
            raise
        raise BadRange(reason) from None
    check_answer(runner, done)  # blame treats an unreadable parent as no parent
    return parse_blame(done.stdout)


def _find_range_fault(error: GitFailed) -> str | None:
    """Return git's reason for refusing a range; None when git failed for another reason.

    Git exits with 129 and its usage for a range of an unknown form. A signal ends git when a regular expression needs
    more memory or stack than there is.
    """
    if error.exit_code == -signal.SIGXCPU:
        return "expression takes too long; do without back-references"
    if error.exit_code is not None and error.exit_code < 0:
        return "expression is too complex"
    if error.exit_code == _USAGE:
        return "it has no form that git blame -L knows"
    for line in error.messages.splitlines():
        if line.startswith(("fatal: -L ", "fatal: file ")):
            return line.removeprefix("fatal: ")
        if "memory" in line:
            return "expression is too complex"
    return None


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
