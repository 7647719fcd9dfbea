"""git apply: the files that a patch makes out of the files that it names.

It works on an index in a repository of its own that holds only those files. So the `index` line of a binary patch
cannot become a way to read objects by their ids. update-index fills the index, ls-files reads it.
"""

import re
import signal
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from packhouse.errors import Code, PackhouseError
from packhouse.git import Oid
from packhouse.git.commands.environment import GitPlace
from packhouse.git.commands.run import AtPlace, run_git
from packhouse.git.objects import PathEntry

_MALFORMED: Final = re.compile(
    r"No valid patches|unrecognized input|corrupt (binary )?patch|invalid path|patch with only garbage"
    r"|lacks filename information|inconsistent (old|new|file)|invalid mode|affects file .* beyond|beyond a symbolic"
    r"|unrecognized binary patch|patch fragment without header|No changes|has null sha1"
)
_ABOUT_A_PATH: Final = re.compile(
    r"error: (.+): (?:does not exist in index|already exists in index|patch does not apply)"
)
_PLACE: Final = re.compile(r" at (?:line |patch:)(\d{1,9})\b")
_ADVICE: Final = ' (allow with "--allow-empty")'  # advice that only a user of git can follow
_REASON_MAX_CHARS: Final = 300
_CRASHES: Final = frozenset({-signal.SIGABRT, -signal.SIGSEGV, -signal.SIGBUS, -signal.SIGFPE})
"""Exit codes of git apply after a crash on a malformed patch. For example an assertion fails when the header of a new
file has an unknown line (tried on 2.39.5)."""


class PatchNotTaken(PackhouseError, kw_only=True):
    """Git does not apply the patch. `reason` is in git's words.

    `is_malformed` tells that the patch fits no tree at all. `line` is the line of the patch that git complains about,
    if git names one. `paths` are the paths that the tree has, or lacks, contrary to the patch.
    """

    code = Code.PATCH_NOT_TAKEN
    reason: str
    is_malformed: bool
    line: int | None = None
    paths: tuple[str, ...] = ()


class ScratchIndex:
    """The index of the scratch repository in `git_dir`."""

    def __init__(self, git_dir: Path) -> None:
        self._place = GitPlace(git_dir)
        self.runner = AtPlace(self._place)

    def fill(self, entries: Iterable[PathEntry]) -> None:
        """Put files into the index."""
        rows = (b"%06o %s\t%s\0" % (e.mode, e.oid.encode("ascii"), e.path) for e in entries)
        run_git(self._place, "update-index", "-z", "--add", "--index-info", stdin=b"".join(rows))

    def apply(self, patch: Path) -> None:
        """Apply the patch to the index, or leave the index as it is and raise PatchNotTaken."""
        applied = run_git(
            self._place,
            *("apply", "--cached", "--binary", str(patch)),
            ok_codes=frozenset({0, 1, 128}) | _CRASHES,
        )
        if applied.code in _CRASHES:
            raise PatchNotTaken(reason="git cannot make sense of its headers", is_malformed=True)
        if applied.code != 0:
            raise _read_refusal(applied.text.replace(str(patch), "patch"))

    def read(self) -> Mapping[bytes, PathEntry]:
        """Return the entries of the index by path."""
        listed = run_git(self._place, "ls-files", "--stage", "-z").stdout
        return {entry.path: entry for entry in map(_parse_row, listed.split(b"\0")[:-1])}


def _read_refusal(messages: str) -> PatchNotTaken:
    errors = [line for line in messages.splitlines() if line.startswith(("error:", "fatal:"))]
    reason = "; ".join(line.partition(": ")[2] for line in errors)[:_REASON_MAX_CHARS].replace(_ADVICE, "")
    place = _PLACE.search(reason)
    about = (_ABOUT_A_PATH.fullmatch(line) for line in errors)
    return PatchNotTaken(
        reason=reason,
        is_malformed=any(_MALFORMED.search(line) for line in errors),
        line=None if place is None else int(place[1]),
        paths=tuple(match[1] for match in about if match is not None),
    )


def _parse_row(row: bytes) -> PathEntry:
    facts, _, path = row.partition(b"\t")
    mode, oid, _stage = facts.split(b" ")
    return PathEntry(path, int(mode, 8), Oid(oid.decode("ascii")))
