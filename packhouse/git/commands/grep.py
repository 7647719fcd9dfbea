"""Matching lines from the output of `git grep --heading -n`.

With `-z` git says no longer which lines match and which are context, and with names on each line a name may
look like a line number (tried on git 2.39.5). A heading is known by the object id that it begins with, every
other line by its number. Source of the format: git-grep(1).
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from packhouse import limits
from packhouse.error_codes import Code
from packhouse.errors import Corrupt
from packhouse.git.commands.quoting import unquote_path
from packhouse.git.oid import Oid

_LINE: Final = re.compile(rb"([0-9]+)([:-])(.*)", re.DOTALL)
_HUNK_BREAK: Final = b"--"
_OUTPUT_LINE_MAX_BYTES: Final = 4 * limits.tree_path_max_bytes + limits.grep_line_max_bytes

_PATHSPEC_SPECIAL: Final = re.compile(rb"[*?\[\\:]")


class GrepUnreadable(Corrupt):
    """Git wrote another form than the one asked for."""

    code = Code.GREP_UNREADABLE


@dataclass(frozen=True, slots=True)
class GrepLine:
    """One line, a match or context. `text` has no newline and is cut at `limits.grep_line_max_bytes`."""

    path: bytes
    number: int
    text: bytes
    is_match: bool


@dataclass(frozen=True, slots=True)
class GrepQuery:
    """What to look for: an extended regular expression, context lines, matches of one file at most."""

    pattern: str
    case_sensitive: bool
    before: int
    after: int
    file_matches_max: int


def grep_arguments(
    query: GrepQuery, tree: Oid, prefixes: Sequence[bytes] = (), *, marker: str = ""
) -> list[str]:
    """Return git's arguments to search a commit or tree, or only the files whose path has one of the prefixes.

    With a `marker`, a text without special characters, lines that hold it match as well.
    """
    options = ["grep", "--heading", "--line-number", "--no-color", "--no-textconv", "-I", "-E"]
    options += [f"-B{query.before}", f"-A{query.after}", f"--max-count={query.file_matches_max}"]
    if not query.case_sensitive:
        options.append("--ignore-case")
    patterns = ["-e", query.pattern]
    if marker:
        # With one thread git's output waits in a buffer, and without --or every match would let git look through
        # the rest of its file for the other pattern (git 2.39, builtin/grep.c, work_done(); grep.c, look_ahead()).
        options.append(f"--threads={limits.grep_slow_threads}")
        patterns += ["--or", "-e", marker]
    # git 2.39's grep does not know --end-of-options; a full id and paths after `--` need none.
    return [*options, *patterns, tree, "--", *map(_pathspec, prefixes)]


def _pathspec(prefix: bytes) -> str:
    """Return the pathspec of what begins so: its star crosses slashes (gitglossary(7), pathspec)."""
    literal = _PATHSPEC_SPECIAL.sub(rb"\\\g<0>", prefix)
    return (literal + b"*").decode("utf-8", "surrogateescape")


def iter_grep_lines(pieces: Iterable[bytes], tree: Oid) -> Iterator[GrepLine]:
    """Yield matches and context in the order of paths and lines; raise Corrupt for other output."""
    heading = tree.encode("ascii") + b":"
    path: bytes | None = None
    for line in _iter_lines(pieces):
        if line.startswith(heading):
            path = unquote_path(line[len(heading) :])
        elif line != _HUNK_BREAK:
            match = _LINE.fullmatch(line)
            if match is None or path is None:
                raise GrepUnreadable()
            yield GrepLine(path, int(match[1]), match[3][: limits.grep_line_max_bytes], match[2] == b":")


def _iter_lines(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Yield lines without their newline; what a line has beyond the bound is dropped as it comes."""
    rest = b""
    for piece in pieces:
        first, *others = piece.split(b"\n")
        rest += first[: _OUTPUT_LINE_MAX_BYTES - len(rest)]
        for following in others:
            yield rest
            rest = following[:_OUTPUT_LINE_MAX_BYTES]
    if rest:
        yield rest
