"""Searching the files of a commit for a regular expression, page by page.

All matches and their context form one sequence of lines, ordered by path and number; a page is a slice of it. A cursor
names the commit and the last line of its page, so pages fit together while branches move.
"""

import contextlib
import math
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum, auto
from typing import Final

from packhouse import limits
from packhouse.auth import Principal
from packhouse.cursors import BadCursor, decode_cursor, decode_number, encode_cursor
from packhouse.errors import TimedOut
from packhouse.formats import PathFilter, regex_cpu_s, repeats_too_often
from packhouse.git import Oid, is_oid, parse_oid
from packhouse.git.commands.grep import BadPattern, GrepBounds, GrepLine, GrepQuery, SearchOutOfMemory
from packhouse.git.objects import PathEntry, find_path, iter_leaves, parse_commit
from packhouse.node import Node
from packhouse.operations.catalog.lookup import open_repo
from packhouse.operations.reading.grep_slow import (
    Passage,
    iter_file_by_file,
    write_flat_tree,
    write_marked_tree,
)
from packhouse.repository import RepoView, Write, is_reachable, resolve_ref


class SkipReason(Enum):
    """Why a file was not searched."""

    TOO_SLOW = auto()
    TOO_LARGE = auto()


@dataclass(frozen=True, slots=True)
class GrepPage:
    """Lines in order. `ref` is the name for the answer; `cursor` is that of the next page, None on the last one.

    `skipped` has the files that were skipped in this part of the search. With `is_out_of_time`, the page ended before
    it was full, and `cursor` leads to the first unsearched file.
    """

    ref: str
    commit: Oid
    lines: list[GrepLine]
    cursor: str | None
    skipped: list[tuple[bytes, SkipReason]]
    is_out_of_time: bool


@dataclass(frozen=True, slots=True)
class _Position:
    """The place after a line of a path; line 0 is before the first. `is_slow`: the search goes file by file there."""

    commit: Oid
    path: bytes
    line: int
    is_slow: bool


@dataclass(frozen=True, slots=True)
class GrepFiles:
    """The pattern, the files of a ref (None: the default branch) to search, and the page.

    The page holds at most `matches_max` matches, and at most `lines_max` lines with context. It starts after `cursor`,
    or with the first match (None).
    """

    repo: str
    query: GrepQuery
    ref: str | None = None
    ephemeral: bool = False
    files: PathFilter = field(default_factory=PathFilter)
    cursor: str | None = None
    matches_max: int = limits.grep_matches_max
    lines_max: int = limits.grep_lines_max


def grep_files(node: Node, caller: Principal, command: GrepFiles) -> GrepPage:
    """Return one page of the matching lines in text files. Symlinks and submodules are not searched.

    A file is skipped when the pattern takes too much time or memory on it. Raises RepoNotFound, RefNotFound,
    BadPattern, BadCursor, and TimedOut when the whole time is spent on compiling the pattern.
    """
    query, ref, ephemeral = command.query, command.ref, command.ephemeral
    _check_pattern(query.pattern)
    start = None if command.cursor is None else _parse_cursor(command.cursor)
    page = _PageBuilder(command)
    with open_repo(node, caller, command.repo, ref=ref, ephemeral=ephemeral) as view:
        resolved = resolve_ref(view, ref, ephemeral=ephemeral)
        commit = resolved.commit
        if start is not None:
            if not is_reachable(view, start.commit):
                raise BadCursor()
            commit = start.commit
        is_slow = _Search(view, commit, query, command.files, page).run(start)
    following = page.find_end(commit, is_slow=is_slow)
    return GrepPage(
        resolved.name,
        commit,
        page.lines,
        None if following is None else _make_cursor(following),
        [item for item in page.skipped.items() if following is None or item[0] <= following.path],
        page.unreached is not None,
    )


class _PageBuilder:
    """A page while it is filled, by one search or by several in a row."""

    def __init__(self, command: GrepFiles) -> None:
        self.lines: list[GrepLine] = []
        self.skipped: dict[bytes, SkipReason] = {}
        self.unreached: bytes | None = None
        self.has_more = False
        self._matches_max = command.matches_max
        self._lines_max = command.lines_max
        self._after = command.query.after
        self._matches = 0
        self._last_match: GrepLine | None = None

    @property
    def is_full(self) -> bool:
        """Tell whether the page has no room for another match."""
        return len(self.lines) == self._lines_max or self._matches == self._matches_max

    def take(self, lines: Iterator[GrepLine]) -> None:
        """Add lines until they end or the page is full. `has_more` tells whether lines are left.

        A page with all its matches still takes the context after the last match.
        """
        for line in lines:
            if self.is_full and (len(self.lines) == self._lines_max or not self._follows(line)):
                self.has_more = True
                return
            if line.is_match:
                self._matches += 1
                self._last_match = line
            self.lines.append(line)

    def _follows(self, line: GrepLine) -> bool:
        match = self._last_match
        return (
            match is not None
            and not line.is_match
            and line.path == match.path
            and line.number <= match.number + self._after
        )

    def find_end(self, commit: Oid, *, is_slow: bool) -> _Position | None:
        """Return the place where the next page begins, None when this is the last page."""
        last = self.lines[-1] if self.lines else None
        if self.unreached is not None and (last is None or last.path != self.unreached):
            return _Position(commit, self.unreached, 0, is_slow)
        if last is not None and (self.has_more or self.unreached is not None):
            return _Position(commit, last.path, last.number, is_slow)
        return None


@dataclass(frozen=True, slots=True)
class _Search:
    view: RepoView
    commit: Oid
    query: GrepQuery
    files: PathFilter
    page: _PageBuilder

    def run(self, start: _Position | None) -> bool:
        """Fill the page, and end git as soon as it is full. Tell whether the search went file by file.

        First git searches all files at once. If it runs out of memory, large files are left out. If it runs out of
        time, the search goes on file by file after the last line that was found.
        """
        deadline = self.view.node.monotonic() + self.view.node.limits.grep_max_s
        is_slow = start is not None and start.is_slow
        size_max: int | None = None
        while True:
            try:
                with self.view.telling_damage():
                    self._search(start, deadline, is_slow=is_slow, size_max=size_max)
                return is_slow
            except SearchOutOfMemory:
                if size_max is not None:
                    raise BadPattern("it takes too much memory") from None
                size_max = self.view.node.limits.grep_file_max_bytes
            except TimedOut:
                if is_slow and not self.page.lines:
                    raise
                if is_slow:
                    self.page.unreached = self.page.lines[-1].path
                    return True
                is_slow = True
            if self.page.is_full:
                self.page.has_more = True  # the next page may be empty
                return is_slow
            if self.page.lines:
                last = self.page.lines[-1]
                start = _Position(self.commit, last.path, last.number, is_slow)

    def _search(
        self, start: _Position | None, deadline: float, *, is_slow: bool, size_max: int | None
    ) -> None:
        with contextlib.ExitStack() as stack:
            if is_slow:
                scratch = stack.enter_context(Write(self.view, is_kept=False))
                lines = self._iter_slowly(scratch, self._choose_files(start, size_max), deadline)
            elif self.files.takes_all and start is None and size_max is None:
                lines = self._iter_commit(deadline)
            else:
                scratch = stack.enter_context(Write(self.view, is_kept=False))
                lines = self._iter_chosen(scratch, self._choose_files(start, size_max), deadline)
            stack.enter_context(contextlib.closing(lines))
            self.page.take(_iter_after(lines, start))

    def _iter_commit(self, deadline: float) -> Generator[GrepLine]:
        """Search all files, or the files with the prefixes. Git can do both by itself."""
        yield from self.view.git.grep_tree(
            self.query, self.commit, self._whole_time(deadline), prefixes=self.files.prefixes
        )

    def _iter_chosen(
        self, scratch: Write, chosen: Sequence[PathEntry], deadline: float
    ) -> Generator[GrepLine]:
        """Search files that were chosen here: git gets a tree of only these files, named by their numbers.

        Git's own pathspecs have other rules for globs, and thousands of them take far longer than the search.
        """
        if not chosen:
            return
        tree = write_flat_tree(scratch, chosen)
        with contextlib.closing(scratch.git.grep_tree(self.query, tree, self._whole_time(deadline))) as lines:
            for line in lines:
                yield replace(line, path=chosen[int(line.path)].path)

    def _whole_time(self, deadline: float) -> GrepBounds:
        left = deadline - self.view.node.monotonic()
        return GrepBounds(
            min(self.view.node.limits.grep_whole_max_s, left),
            math.inf,
            regex_cpu_s(self.query.pattern),
            self.view.node.limits.regex_memory_max_bytes,
        )

    def _iter_slowly(
        self, scratch: Write, chosen: Sequence[PathEntry], deadline: float
    ) -> Generator[GrepLine]:
        """Search file by file. Skip files that take too long, and stop when the time is over."""
        marker = f"packhouse{self.view.node.random_bytes(16).hex()}"
        file_s = min(self.view.node.limits.grep_file_max_s, regex_cpu_s(self.query.pattern))
        passage = Passage()

        def search(files: Sequence[PathEntry]) -> Generator[GrepLine]:
            tree = write_marked_tree(scratch, files, marker)
            bounds = GrepBounds(
                deadline - self.view.node.monotonic(),
                file_s,
                limits.regex_cpu_max_s,
                self.view.node.limits.regex_memory_max_bytes,
            )
            yield from scratch.git.grep_tree(self.query, tree, bounds, marker=marker)

        try:
            yield from iter_file_by_file(chosen, search, passage)
        finally:
            self.page.skipped.update((file.path, SkipReason.TOO_SLOW) for file in passage.skipped)
            self.page.unreached = None if passage.unreached is None else passage.unreached.path

    def _choose_files(self, start: _Position | None, size_max: int | None) -> list[PathEntry]:
        chosen = [
            entry
            for entry in self._iter_files(start)
            if entry.kind == "blob" and self.files.takes(entry.path)
        ]
        if size_max is None:
            return chosen
        sizes = [(entry, self.view.kind_and_size(entry.oid)) for entry in chosen]
        too_large = [entry for entry, header in sizes if header is not None and header[1] > size_max]
        self.page.skipped.update((entry.path, SkipReason.TOO_LARGE) for entry in too_large)
        return [entry for entry, header in sizes if header is not None and header[1] <= size_max]

    def _iter_files(self, start: _Position | None) -> Iterator[PathEntry]:
        """Yield the commit's files, beginning with the one in which the page starts."""
        read_tree = self.view.read_tree
        root = parse_commit(self.view.read_kept(self.commit, "commit")).tree
        after = b""
        if start is not None:
            after = start.path
            first = find_path(read_tree, root, after)
            if first is not None:
                yield first
        yield from iter_leaves(
            read_tree, root, after=after, entries_max=self.view.node.limits.tree_entries_max
        )


def _iter_after(lines: Iterator[GrepLine], start: _Position | None) -> Iterator[GrepLine]:
    for line in lines:
        if start is None or line.path != start.path or line.number > start.line:
            yield line


def _check_pattern(pattern: str) -> None:
    if "\0" in pattern:
        raise BadPattern("it holds a NUL character")
    try:
        size = len(pattern.encode("utf-8"))
    except UnicodeEncodeError:  # half a surrogate pair, which JSON can spell
        raise BadPattern("it is not valid Unicode") from None
    if size > limits.grep_pattern_max_bytes:
        raise BadPattern(f"it is longer than {limits.grep_pattern_max_bytes} bytes")
    if repeats_too_often(pattern):
        raise BadPattern("it is too complex")


_SLOWLY: Final = b"file by file"


def _make_cursor(position: _Position) -> str:
    parts = (position.commit.encode("ascii"), position.path, str(position.line).encode("ascii"))
    return encode_cursor(*parts, *((_SLOWLY,) if position.is_slow else ()))


def _parse_cursor(cursor: str) -> _Position:
    commit, path, line, *rest = decode_cursor(cursor, parts=(3, 4))
    text = commit.decode("ascii", "replace")
    if not is_oid(text) or not path or rest not in ([], [_SLOWLY]):
        raise BadCursor()
    return _Position(parse_oid(text), path, decode_number(line), bool(rest))
