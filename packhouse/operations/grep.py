"""Searching the files of a commit for a regular expression, page by page.

All matches and their context make one sequence of lines, ordered by path and number; a page is a slice of it.
A cursor names the commit and the last line of its page, so that pages fit together while branches move.
"""

import contextlib
import signal
import zlib
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import cast

from packhouse import limits
from packhouse.auth.principal import Principal
from packhouse.db.repos import Repo
from packhouse.errors import Invalid
from packhouse.git.globs import PathFilter
from packhouse.git.grep_stream import ENVIRONMENT, GrepLine, GrepQuery, grep_arguments, iter_grep_lines
from packhouse.git.objects import parse_commit
from packhouse.git.oid import Oid, hash_object, is_oid
from packhouse.git.process import GitFailed, GitResult, iter_git_output
from packhouse.git.regex_cost import limit_regex_cost, regex_cpu_s, repeats_too_often
from packhouse.git.tree_walk import PathEntry, find_path, iter_leaves
from packhouse.operations.cursors import BadCursor, decode_cursor, decode_number, encode_cursor
from packhouse.operations.damage import check_answer
from packhouse.operations.lookup import lookup_repo
from packhouse.operations.node import Node
from packhouse.operations.reachability import is_reachable
from packhouse.operations.read_files import tree_reader
from packhouse.operations.resolve import resolve_ref
from packhouse.operations.stored_objects import hold_packs, open_reader, read_object
from packhouse.storage.quarantine import Quarantine


class BadPattern(Invalid):
    """The text is no extended regular expression, or too complex a one. Field: reason."""

    def __init__(self, reason: str) -> None:
        super().__init__("invalid pattern", reason=reason)


class _TooLargeToSearch(Exception):
    """A file is so large that git ran out of memory."""


@dataclass(frozen=True, slots=True)
class GrepPage:
    """Lines in order. `ref` is the name to echo; `cursor` leads on, None on the last page."""

    ref: str
    commit: Oid
    lines: list[GrepLine]
    cursor: str | None


@dataclass(frozen=True, slots=True)
class PageBounds:
    """Where a page starts (None: at the first line), and how much it holds at most."""

    cursor: str | None
    matches_max: int
    lines_max: int


@dataclass(frozen=True, slots=True)
class _Position:
    commit: Oid
    path: bytes
    line: int


def grep_files(
    node: Node,
    caller: Principal,
    name: str,
    *,
    ref: str | None,
    ephemeral: bool,
    query: GrepQuery,
    files: PathFilter,
    bounds: PageBounds,
) -> GrepPage:
    """Return one page of the lines that match in text files; symlinks and submodules are not searched.

    Raises RepoNotFound, RefNotFound, BadPattern, BadCursor, and TimedOut after `limits.grep_max_s`.
    """
    _check_pattern(query.pattern)
    start = None if bounds.cursor is None else _parse_cursor(bounds.cursor)
    repo = lookup_repo(node, caller, name)
    resolved = resolve_ref(node, repo, ref, ephemeral=ephemeral)
    commit = resolved.commit
    if start is not None:
        if not is_reachable(node, repo, start.commit):
            raise BadCursor
        commit = start.commit
    search = _Search(node, repo, commit, query, files, start)
    try:
        page, has_more = search.read_page(bounds, size_max=None)
    except _TooLargeToSearch:
        page, has_more = search.read_page(bounds, size_max=limits.grep_file_max_bytes)
    cursor = _make_cursor(commit, page[-1]) if has_more else None
    return GrepPage(resolved.name, commit, page, cursor)


@dataclass(frozen=True, slots=True)
class _Search:
    node: Node
    repo: Repo
    commit: Oid
    query: GrepQuery
    files: PathFilter
    start: _Position | None

    def read_page(self, bounds: PageBounds, *, size_max: int | None) -> tuple[list[GrepLine], bool]:
        """Return a page, and whether lines follow; git is ended as soon as the page is full."""
        with contextlib.ExitStack() as stack:
            stack.enter_context(hold_packs(self.node, self.repo))
            if self.files.takes_all and self.start is None and size_max is None:
                lines = self._iter_commit()
            else:
                quarantine = stack.enter_context(self.node.store.new_scratch())
                lines = self._iter_chosen(quarantine, size_max)
            stack.enter_context(contextlib.closing(lines))
            return _take_page(self._iter_after_start(lines), self.query, bounds)

    def _iter_commit(self) -> Generator[GrepLine]:
        """Search everything, or what has the prefixes: git does both without help."""
        yield from self._run(self.commit, self.files.prefixes, {})

    def _iter_chosen(self, quarantine: Quarantine, size_max: int | None) -> Generator[GrepLine]:
        """Search files chosen here: git is given a tree that holds just those, named by their numbers.

        Git's own pathspecs know other globs, and thousands of them take far longer than the search.
        """
        chosen = self._choose_files(size_max)
        if not chosen:
            return
        tree = _write_flat_tree(quarantine.object_dir, chosen)
        environment = {"GIT_ALTERNATE_OBJECT_DIRECTORIES": str(quarantine.object_dir.absolute())}
        for line in self._run(tree, (), environment):
            yield GrepLine(chosen[int(line.path)].path, line.number, line.text, line.is_match)

    def _choose_files(self, size_max: int | None) -> list[PathEntry]:
        chosen = [
            entry for entry in self._iter_files() if entry.kind == "blob" and self.files.takes(entry.path)
        ]
        if size_max is None:
            return chosen
        with open_reader(self.node, self.repo) as reader:
            sizes = [(entry, reader.kind_and_size(entry.oid)) for entry in chosen]
        return [entry for entry, header in sizes if header is not None and header[1] <= size_max]

    def _iter_files(self) -> Iterator[PathEntry]:
        """Yield the commit's files from the one on that the page starts in."""
        read_tree = tree_reader(self.node, self.repo)
        root = parse_commit(read_object(self.node, self.repo, self.commit, "commit")).tree
        after = b""
        if self.start is not None:
            after = self.start.path
            first = find_path(read_tree, root, after)
            if first is not None:
                yield first
        yield from iter_leaves(read_tree, root, after=after)

    def _iter_after_start(self, lines: Iterator[GrepLine]) -> Iterator[GrepLine]:
        start = self.start
        for line in lines:
            if start is None or line.path != start.path or line.number > start.line:
                yield line

    def _run(self, tree: Oid, prefixes: Sequence[bytes], environment: dict[str, str]) -> Iterator[GrepLine]:
        output = iter_git_output(
            self.node.store.repo_path(self.repo.public_id),
            *grep_arguments(self.query, tree, prefixes),
            env={**ENVIRONMENT, **environment},
            ok_codes=frozenset({0, 1}),
            timeout_s=limits.grep_max_s,
            on_start=partial(limit_regex_cost, cpu_s=regex_cpu_s(self.query.pattern)),
            on_messages=self._check_messages,
        )
        with contextlib.closing(cast("Generator[bytes]", output)):
            try:
                yield from iter_grep_lines(output, tree)
            except GitFailed as error:
                raise _explain(error) from error

    def _check_messages(self, messages: bytes) -> None:
        """Raise RepositoryDamaged where git left out files that it could not read, which it calls success."""
        check_answer(self.node, self.repo, GitResult(0, b"", messages))


def _take_page(
    lines: Iterator[GrepLine], query: GrepQuery, bounds: PageBounds
) -> tuple[list[GrepLine], bool]:
    """Return the first lines, and whether there are more.

    A page that has all its matches ends with what is context after the last of them.
    """
    page: list[GrepLine] = []
    matches = 0
    last_match: GrepLine | None = None
    for line in lines:
        if len(page) == bounds.lines_max:
            return page, True
        if matches == bounds.matches_max and not _follows(line, last_match, query.after):
            return page, True
        if line.is_match:
            matches += 1
            last_match = line
        page.append(line)
    return page, False


def _follows(line: GrepLine, match: GrepLine | None, after: int) -> bool:
    return (
        match is not None
        and not line.is_match
        and line.path == match.path
        and line.number <= match.number + after
    )


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


def _explain(error: GitFailed) -> Exception:
    """Return what a failed search means: a bad expression, a file beyond memory, or the error itself.

    Git names the option in what it says of an expression, and dies of a signal when one takes more stack than
    there is.
    """
    code, text = error.fields.get("code"), str(error.fields.get("text"))
    if code == -signal.SIGXCPU:
        return BadPattern("it takes too long; do without back-references")
    if isinstance(code, int) and code < 0:
        return BadPattern("it is too complex")
    if "fatal: -e option, " in text:
        is_whole = len(text) < limits.KIB  # a long expression leaves no room for what git says of it
        return BadPattern(text.rstrip().rpartition(": ")[2] if is_whole else "it cannot be read")
    if "memory" in text.lower() or "mmap" in text:
        return _TooLargeToSearch()
    return error


def _write_flat_tree(object_dir: Path, files: Sequence[PathEntry]) -> Oid:
    """Write a tree whose entries are the files in their order, each named by its number."""
    rows = (b"100644 %09d\0%s" % (number, bytes.fromhex(file.oid)) for number, file in enumerate(files))
    content = b"".join(rows)
    oid = hash_object("tree", content)
    folder = object_dir / oid[:2]
    folder.mkdir(exist_ok=True)
    (folder / oid[2:]).write_bytes(zlib.compress(b"tree %d\0%s" % (len(content), content), 1))
    return oid


def _make_cursor(commit: Oid, last: GrepLine) -> str:
    return encode_cursor(commit.encode("ascii"), last.path, str(last.number).encode("ascii"))


def _parse_cursor(cursor: str) -> _Position:
    commit, path, line = decode_cursor(cursor, parts=3)
    text = commit.decode("ascii", "replace")
    if not is_oid(text) or not path:
        raise BadCursor
    return _Position(Oid(text), path, decode_number(line))
