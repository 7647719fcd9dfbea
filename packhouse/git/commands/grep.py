"""git grep: the lines of a tree's files that match an expression.

With `-z`, git's output no longer tells matches from context, and with a name on each line a name may look like a line
number (tried on git 2.39.5). So names stand in headings. A heading begins with the object id, every other line with
its number. Source of the format: git-grep(1).
"""

import contextlib
import re
import signal
from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from packhouse import limits
from packhouse.errors import Code, Corrupt, Invalid, LimitExceeded, PackhouseError, TimedOut
from packhouse.git import Oid
from packhouse.git.commands.environment import UTF8
from packhouse.git.commands.quoting import unquote_path
from packhouse.git.commands.run import (
    GitFailed,
    GitResult,
    Runner,
    check_answer,
    iter_git_output,
    with_limits,
)

_LINE: Final = re.compile(rb"([0-9]+)([:-])(.*)", re.DOTALL)
_HUNK_BREAK: Final = b"--"
_OUTPUT_LINE_MAX_BYTES: Final = 4 * limits.tree_path_max_bytes + limits.grep_line_max_bytes

_PATHSPEC_SPECIAL: Final = re.compile(rb"[*?\[\\:]")


class BadPattern(Invalid):
    """The text is not an extended regular expression, or the expression is too complex."""

    code = Code.BAD_PATTERN
    reason: str


class PatternTooSlow(TimedOut):
    """The search has used up its processor time."""

    code = Code.PATTERN_TOO_SLOW


class SearchOutOfMemory(LimitExceeded):
    """Git found no more memory for the search: a file is too large, or the expression too costly."""

    code = Code.SEARCH_OUT_OF_MEMORY


class GrepUnreadable(Corrupt):
    """The output of git grep has another form than the one asked for."""

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
    """A search: an extended regular expression, the lines of context, and the most matches in one file."""

    pattern: str
    case_sensitive: bool
    before: int
    after: int
    file_matches_max: int


@dataclass(frozen=True, slots=True)
class GrepBounds:
    """Bounds of one git process: seconds in all, seconds without output, seconds of processor time, and memory."""

    all_s: float
    silence_max_s: float
    cpu_s: int
    memory_max_bytes: int


def grep_tree(
    runner: Runner,
    query: GrepQuery,
    tree: Oid,
    bounds: GrepBounds,
    *,
    prefixes: Sequence[bytes] = (),
    marker: str = "",
) -> Generator[GrepLine]:
    """Yield matching lines in the text files of a commit or tree, or only in files whose path has one of the prefixes.

    Lines that contain `marker`, a text without special characters, match as well. Closing the iterator ends git. Raises
    BadPattern, SearchOutOfMemory, PatternTooSlow, and GitTookTooLong or GitSilent as `bounds` say.
    """

    def check(messages: bytes) -> None:
        # Git leaves out unreadable files, and still exits with success.
        check_answer(runner, GitResult("grep", 0, b"", messages))

    output = iter_git_output(
        runner.place(),
        *grep_arguments(query, tree, prefixes, marker=marker),
        env=UTF8,
        ok_codes=frozenset({0, 1}),
        timeout_s=bounds.all_s,
        silence_max_s=bounds.silence_max_s,
        on_start=with_limits(cpu_s=bounds.cpu_s, memory_max_bytes=bounds.memory_max_bytes),
        on_messages=check,
    )
    with contextlib.closing(output):
        try:
            yield from iter_grep_lines(output, tree)
        except GitFailed as error:
            raise _explain(error) from error


def _explain(error: GitFailed) -> PackhouseError:
    """Return the meaning of a failed search: a bad or slow expression, a file beyond memory, or the error itself.

    Git's message about an expression names the option. A signal ends git when an expression needs more stack than there
    is.
    """
    code, text = error.exit_code, error.messages
    if code == -signal.SIGXCPU:
        return PatternTooSlow()
    if code is not None and code < 0:
        return BadPattern("it is too complex")
    if "fatal: -e option, " in text:
        is_whole = len(text) < limits.KIB  # a long expression leaves no room for git's message about it
        return BadPattern(text.rstrip().rpartition(": ")[2] if is_whole else "it cannot be read")
    return SearchOutOfMemory() if error.is_for_memory else error


def grep_arguments(
    query: GrepQuery, tree: Oid, prefixes: Sequence[bytes] = (), *, marker: str = ""
) -> list[str]:
    """Return git's arguments to search a commit or tree, or only the files whose path has one of the prefixes.

    Lines that contain `marker`, a text without special characters, match as well.
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
    """Return the pathspec for all paths with the prefix. Its star matches slashes, too (gitglossary(7), pathspec)."""
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
    """Yield lines without their newline. The bytes of a line beyond the bound are dropped as they arrive."""
    rest = b""
    for piece in pieces:
        first, *others = piece.split(b"\n")
        rest += first[: _OUTPUT_LINE_MAX_BYTES - len(rest)]
        for following in others:
            yield rest
            rest = following[:_OUTPUT_LINE_MAX_BYTES]
    if rest:
        yield rest
