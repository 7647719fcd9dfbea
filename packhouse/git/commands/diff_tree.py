"""git diff-tree: the differences of two trees, file by file, and the paths that each commit of a history changed.

The output of `--raw -p -z` comes in pieces and may be far larger than memory. A patch is kept up to a bound per file,
which the caller sets; of the rest only lines and bytes are counted. Source of the format: git-diff-tree(1), "Raw output
format" and "Generating patch text with -p".
"""

import contextlib
import re
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from packhouse import limits
from packhouse.errors import Code, Corrupt, LimitExceeded
from packhouse.git import Oid, oid_from_wire
from packhouse.git.commands.environment import LITERAL_PATHS
from packhouse.git.commands.quoting import quote_path
from packhouse.git.commands.run import GitFailed, Runner, iter_git_output, run_git, with_limits
from packhouse.git.objects import TreeTooLarge

_META: Final = re.compile(rb":([0-7]{6}) ([0-7]{6}) ([0-9a-f]{40}) ([0-9a-f]{40}) ([A-Z])([0-9]{0,3})")
_NEXT_PATCH: Final = b"\ndiff --git "
_FIRST_HUNK: Final = b"\n@@ "
_BINARY: Final = b"\nBinary files "

# A pass visits each tree many times. With the small cache of other calls, git would unpack them again each time.
_PASS_CONFIG: Final = {"core.deltaBaseCacheLimit": "128m"}


class DiffEndsEarly(Corrupt):
    """The output of git diff-tree ends within its list of paths."""

    code = Code.DIFF_ENDS_EARLY


class DiffUnreadable(Corrupt):
    """The output of git diff-tree has another form than the one asked for."""

    code = Code.DIFF_UNREADABLE


class DiffOfUnknownPath(Corrupt):
    """The output of git diff-tree has the patch of a path that its list of paths lacks."""

    code = Code.DIFF_OF_UNKNOWN_PATH


class DiffTooManyFiles(LimitExceeded):
    """More files differ than one answer shows."""

    code = Code.DIFF_TOO_MANY_FILES
    files_max: int


class DiffTooLarge(LimitExceeded):
    """Git would need more memory than one diff may use. Ask for single paths."""

    code = Code.DIFF_TOO_LARGE


@dataclass(frozen=True, slots=True)
class DiffEntry:
    """One changed path. `status` is A, M, D, R, C or T; `old_path` is empty unless renamed or copied.

    A side that does not exist has mode 0 and no id.
    """

    status: str
    path: bytes
    old_path: bytes
    old_mode: int
    new_mode: int
    old_oid: Oid | None
    new_oid: Oid | None

    @property
    def header(self) -> bytes:
        """The first line of the path's patch, without the newline. A type change has two patches with this line."""
        old, new = quote_path(b"a/" + (self.old_path or self.path)), quote_path(b"b/" + self.path)
        return b"diff --git %s %s" % (old, new)


@dataclass(frozen=True, slots=True)
class FilePatch:
    """The entry and the patch of one path. `raw` is None when the patch was longer than the caller wanted."""

    entry: DiffEntry
    raw: bytes | None
    size_bytes: int
    additions: int
    deletions: int
    is_binary: bool


def diff_trees(
    runner: Runner,
    *,
    old: Oid,
    new: Oid,
    paths: Sequence[bytes],
    ignore_space_change: bool,
    keep_max: Callable[[DiffEntry], int],
    memory_max_bytes: int,
) -> Generator[FilePatch]:
    """Yield the paths in which two commits or trees differ, all or those at or below `paths`: see iter_patches().

    Closing the iterator ends git. Raises DiffTooManyFiles, and DiffTooLarge when git needs more memory than allowed.
    """
    output = iter_git_output(
        runner.place(),
        *diff_arguments(old=old, new=new, paths=paths, ignore_space_change=ignore_space_change),
        env=LITERAL_PATHS,
        timeout_s=limits.diff_max_s,
        on_start=with_limits(memory_max_bytes=memory_max_bytes),
    )
    # Git must also end when an object proves unreadable half-way.
    with contextlib.closing(output):
        try:
            yield from iter_patches(output, keep_max)
        except GitFailed as error:
            if not error.is_for_memory:
                raise
            raise DiffTooLarge() from error


def diff_arguments(*, old: Oid, new: Oid, paths: Sequence[bytes], ignore_space_change: bool) -> list[str]:
    """Return git's arguments. To take `paths` literally, git needs LITERAL_PATHS in its environment."""
    arguments = ["diff-tree", "-r", "-M", "-C", f"-l{limits.diff_renames_max}", "--raw", "-p", "-z"]
    arguments += ["--no-ext-diff", "--no-textconv", "--no-color", "--src-prefix=a/", "--dst-prefix=b/"]
    arguments += ["--submodule=short", "--ignore-submodules=none"]
    if ignore_space_change:
        arguments.append("-b")
    return [
        *arguments,
        "--end-of-options",
        old,
        new,
        "--",
        *(path.decode("utf-8", "surrogateescape") for path in paths),
    ]


def iter_patches(pieces: Iterable[bytes], keep_max: Callable[[DiffEntry], int]) -> Iterator[FilePatch]:
    """Yield every changed path in git's order; `keep_max` tells how many bytes of its patch to keep.

    A path has an empty patch when git was told to ignore all of its changes. Raises LimitExceeded when more than
    `limits.diff_files_max` paths changed.
    """
    source = _Source(pieces)
    entries = _read_entries(source)
    waiting: _Patch | None = None
    position = 0
    for header in _iter_headers(source):
        if waiting is not None and waiting.entry.status == "T" and waiting.entry.header == header:
            source.sink = waiting.restart()
            continue
        if waiting is not None:
            yield waiting.finish()
        while position < len(entries) and entries[position].header != header:
            yield FilePatch(entries[position], b"", 0, 0, 0, False)
            position += 1
        if position == len(entries):
            raise DiffOfUnknownPath()
        waiting = _Patch(entries[position], keep_max(entries[position]))
        source.sink = waiting
        position += 1
    if waiting is not None:
        yield waiting.finish()
    for entry in entries[position:]:
        yield FilePatch(entry, b"", 0, 0, 0, False)


def read_first_parent_changes(
    runner: Runner,
    history: Iterable[tuple[Oid, tuple[Oid, ...]]],
    *,
    memory_max_bytes: int,
    entries_max: int,
) -> dict[Oid, list[bytes]]:
    """Return the paths in which each commit differs from its first parent.

    Commits without parents and commits without changes are left out. A rename counts as a deletion and an addition.
    Raises TreeTooLarge, which names `entries_max`, when the changes of one commit do not fit into `memory_max_bytes`.
    Source: git-diff-tree(1), "--stdin" and "Raw output format".
    """
    pairs = "".join(f"{oid} {parents[0]}\n" for oid, parents in history if parents).encode("ascii")
    try:
        output = run_git(
            runner.place(),
            *("diff-tree", "--stdin", "-r", "-z", "--raw", "--no-renames"),
            stdin=pairs,
            env={"GIT_FLUSH": "0"},  # otherwise git makes one write for each commit
            config=_PASS_CONFIG,
            timeout_s=limits.history_pass_max_s,
            output_max_bytes=limits.history_output_max_bytes,
            on_start=with_limits(memory_max_bytes=memory_max_bytes),
        ).stdout
    except GitFailed as error:
        if not error.is_for_memory:
            raise
        raise TreeTooLarge(entries_max) from error
    changes: dict[Oid, list[bytes]] = {}
    paths: list[bytes] = []
    is_path = False
    for token in output.split(b"\0")[:-1]:
        if is_path:
            paths.append(token)
            is_path = False
        elif token.startswith(b":"):
            is_path = True
        else:
            paths = changes.setdefault(Oid(token.decode("ascii")), [])
    return changes


class _Patch:
    """Collects the patch of one path, or only counts its lines and bytes."""

    def __init__(self, entry: DiffEntry, keep_max: int) -> None:
        self.entry = entry
        self._keep_max = keep_max
        self._kept: bytearray | None = bytearray()
        self._header: bytearray | None = bytearray()
        self._last = b""
        self._size_bytes = 0
        self._additions = 0
        self._deletions = 0
        self._is_binary = False

    def restart(self) -> "_Patch":
        """Go on with the second patch of a type change: the creation after the deletion."""
        self._end_header()
        self._header = bytearray()
        return self

    def add(self, data: bytes) -> None:
        self._size_bytes += len(data)
        if self._kept is not None:
            self._kept += data
            if len(self._kept) > self._keep_max:
                self._kept = None
        if self._header is None:
            self._count(data)
            return
        self._header += data
        hunk = self._header.find(_FIRST_HUNK)
        if hunk >= 0:
            body = bytes(self._header[hunk:])
            self._header, self._last = None, b""
            self._count(body)

    def _count(self, data: bytes) -> None:
        """Count the lines of hunks: each begins with a space, `+`, `-`, `\\` or `@@`."""
        self._additions += data.count(b"\n+") + (self._last == b"\n" and data[:1] == b"+")
        self._deletions += data.count(b"\n-") + (self._last == b"\n" and data[:1] == b"-")
        self._last = data[-1:]

    def _end_header(self) -> None:
        if self._header is not None and _BINARY in self._header:
            self._is_binary = True

    def finish(self) -> FilePatch:
        self._end_header()
        raw = None if self._kept is None else bytes(self._kept)
        return FilePatch(self.entry, raw, self._size_bytes, self._additions, self._deletions, self._is_binary)


class _Source:
    """The unread output, and the sink for the text of the current patch."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = iter(pieces)
        self.buffer = bytearray()
        self.sink: _Patch | None = None

    def fill(self) -> bool:
        """Read one more piece; False at the end."""
        piece = next(self._pieces, None)
        if piece is None:
            return False
        self.buffer += piece
        return True

    def take_until_nul(self) -> bytes:
        start = 0
        while (end := self.buffer.find(b"\0", start)) < 0:
            start = len(self.buffer)
            if not self.fill():
                raise DiffEndsEarly()
        taken = bytes(self.buffer[:end])
        del self.buffer[: end + 1]
        return taken

    def pass_on(self, count: int) -> None:
        assert self.sink is not None
        if count > 0:
            self.sink.add(bytes(self.buffer[:count]))
            del self.buffer[:count]


def _read_entries(source: _Source) -> list[DiffEntry]:
    """Read the list of paths, up to the start of the patches."""
    entries: list[DiffEntry] = []
    while source.buffer or source.fill():
        if source.buffer[:1] != b":":
            del source.buffer[:1]  # one more NUL separates the list from the patches
            break
        match = _META.fullmatch(source.take_until_nul())
        if match is None:
            raise DiffUnreadable()
        status = match[5].decode("ascii")
        first = source.take_until_nul()
        old_path, path = (first, source.take_until_nul()) if status in "RC" else (b"", first)
        entries.append(
            DiffEntry(
                status,
                path,
                old_path,
                int(match[1], 8),
                int(match[2], 8),
                oid_from_wire(match[3].decode("ascii")),
                oid_from_wire(match[4].decode("ascii")),
            )
        )
        if len(entries) > limits.diff_files_max:
            raise DiffTooManyFiles(limits.diff_files_max)
    return entries


def _iter_headers(source: _Source) -> Iterator[bytes]:
    """Yield the first line of each patch. The text after it goes to the sink that the caller sets next."""
    while True:
        while (end := source.buffer.find(b"\n")) < 0:
            if not source.fill():
                return
        yield bytes(source.buffer[:end])
        scanned = 0
        while (end := source.buffer.find(_NEXT_PATCH, scanned)) < 0:
            source.pass_on(len(source.buffer) - len(_NEXT_PATCH) + 1)
            scanned = 0
            if not source.fill():
                source.pass_on(len(source.buffer))
                return
        source.pass_on(end + 1)
