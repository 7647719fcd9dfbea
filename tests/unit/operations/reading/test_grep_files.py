"""Searching files: matches, pages that fit together, and searches that end early."""

from dataclasses import replace
from itertools import count
from typing import Any

import pytest

from packhouse import limits
from packhouse.auth.principal import Principal
from packhouse.cursors import BadCursor, encode_cursor
from packhouse.db.repos import RepoNotFound
from packhouse.errors import LimitExceeded, TimedOut
from packhouse.formats.globs import PathFilter, compile_globs
from packhouse.git.commands.grep import BadPattern, GrepLine, GrepQuery
from packhouse.git.objects.codec import MODE_FILE, MODE_GITLINK, MODE_SYMLINK
from packhouse.git.oid import Oid
from packhouse.limits import Limits
from packhouse.node.node import Node
from packhouse.operations.reading.grep_files import GrepFiles, GrepPage, grep_files
from packhouse.repository.refs.resolve import RefNotFound
from tests.support.builders.node_writes import commit_files
from tests.unit.operations.reading.entries import commit_entries, make_ephemeral

pytestmark = pytest.mark.quick


@pytest.fixture
def lines(node: Node, caller: Principal, repo: str) -> Oid:
    """Three files on main, in which `x` stands in every other line."""
    content = b"".join(b"%s%d\n" % (b"x" if number % 2 else b"y", number) for number in range(1, 8))
    files: dict[str, bytes | None] = {"a.py": content, "b/c.py": content, "b/d.txt": content}
    return commit_files(node, caller, repo, "main", files).commit


def query(pattern: str, *, around: int = 0, file_matches_max: int = 100) -> GrepQuery:
    """Return a search with `around` lines of context on each side."""
    return GrepQuery(pattern, True, before=around, after=around, file_matches_max=file_matches_max)


def grep(node: Node, caller: Principal, pattern: str, **options: Any) -> GrepPage:
    """Search r."""
    return grep_files(node, caller, GrepFiles("r", query(pattern), **options))


def found(page: GrepPage) -> list[tuple[bytes, int]]:
    """Return path and number of each line."""
    return [(line.path, line.number) for line in page.lines]


def test_matching_lines_have_their_path_and_number(node: Node, caller: Principal, lines: Oid) -> None:
    page = grep(node, caller, "x[13]")
    assert page.lines == [
        GrepLine(path, number, b"x%d" % number, True)
        for path in (b"a.py", b"b/c.py", b"b/d.txt")
        for number in (1, 3)
    ]
    assert (page.ref, page.commit, page.cursor, page.skipped) == ("main", lines, None, [])
    assert not page.is_out_of_time


def test_nothing_is_found_where_nothing_matches(node: Node, caller: Principal, lines: Oid) -> None:
    assert (grep(node, caller, "absent").lines, grep(node, caller, "X1").lines) == ([], [])
    loud = GrepQuery("X1", False, before=0, after=0, file_matches_max=9)
    assert len(grep_files(node, caller, GrepFiles("r", loud)).lines) == 3


def test_context_is_distinguished_from_matches_and_shown_once(
    node: Node, caller: Principal, lines: Oid
) -> None:
    files = PathFilter(prefixes=(b"a.py",))
    page = grep_files(node, caller, GrepFiles("r", query("x[35]", around=1), files=files))
    assert [(line.number, line.is_match) for line in page.lines] == [
        (2, False),
        (3, True),
        (4, False),
        (5, True),
        (6, False),
    ]


def test_the_matches_of_one_file_are_bounded(node: Node, caller: Principal, lines: Oid) -> None:
    page = grep_files(node, caller, GrepFiles("r", query("x", file_matches_max=1)))
    assert found(page) == [(b"a.py", 1), (b"b/c.py", 1), (b"b/d.txt", 1)]


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (PathFilter(prefixes=(b"b/",)), [b"b/c.py", b"b/d.txt"]),
        (PathFilter(prefixes=(b"b/c", b"a")), [b"a.py", b"b/c.py"]),
        (PathFilter(prefixes=(b"*",)), []),
        (PathFilter(include=compile_globs(["**/*.py"])), [b"a.py", b"b/c.py"]),
        (PathFilter(exclude=compile_globs(["b/*"])), [b"a.py"]),
        (PathFilter(extensions=(b".txt",)), [b"b/d.txt"]),
        (PathFilter(prefixes=(b"b/",), extensions=(b".py",)), [b"b/c.py"]),
        (PathFilter(extensions=(b".absent",)), []),
    ],
)
def test_only_the_requested_files_are_searched(
    node: Node, caller: Principal, lines: Oid, files: PathFilter, expected: list[bytes]
) -> None:
    assert [line.path for line in grep(node, caller, "x1", files=files).lines] == expected


@pytest.mark.parametrize("files", [PathFilter(), PathFilter(exclude=compile_globs(["absent"]))])
@pytest.mark.parametrize("bound", ["matches_max", "lines_max"])
@pytest.mark.parametrize("size", [1, 4, 5, 12])
def test_pages_are_the_whole_search_cut_in_pieces(
    node: Node, caller: Principal, lines: Oid, files: PathFilter, bound: str, size: int
) -> None:
    whole = found(grep(node, caller, "x"))
    assert len(whole) == 12
    seen: list[tuple[bytes, int]] = []
    cursor, is_last = None, False
    while not is_last:
        page = grep(node, caller, "x", files=files, cursor=cursor, **{bound: size})
        assert len(page.lines) <= size
        seen += found(page)
        assert len(seen) <= len(whole)
        cursor = page.cursor
        is_last = cursor is None
    assert seen == whole


def test_a_page_that_has_all_its_matches_ends_with_their_context(
    node: Node, caller: Principal, lines: Oid
) -> None:
    page = grep_files(node, caller, GrepFiles("r", query("x1", around=1), matches_max=1))
    assert found(page) == [(b"a.py", 1), (b"a.py", 2)]
    rest = grep_files(node, caller, GrepFiles("r", query("x1", around=1), cursor=page.cursor))
    assert found(rest) == [(b"b/c.py", 1), (b"b/c.py", 2), (b"b/d.txt", 1), (b"b/d.txt", 2)]


def test_a_cursor_stays_at_its_commit_while_the_branch_moves(
    node: Node, caller: Principal, lines: Oid
) -> None:
    page = grep(node, caller, "x1", matches_max=1)
    commit_files(node, caller, "r", "main", {"b/c.py": b"nothing\n", "a0": b"x1\n"})
    rest = grep(node, caller, "x1", cursor=page.cursor)
    assert (found(rest), rest.commit) == ([(b"b/c.py", 1), (b"b/d.txt", 1)], lines)


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "no cursor",
        encode_cursor(b"1" * 40, b"a.py", b"1"),
        encode_cursor(b"x" * 40, b"a.py", b"1"),
        encode_cursor(b"1" * 40, b"", b"1"),
        encode_cursor(b"1" * 40, b"a.py", b"one"),
        encode_cursor(b"1" * 40, b"a.py", b"1", b"other"),
    ],
)
def test_a_cursor_that_no_page_of_this_search_gave_is_refused(
    node: Node, caller: Principal, lines: Oid, cursor: str
) -> None:
    with pytest.raises(BadCursor):
        grep(node, caller, "x", cursor=cursor)


@pytest.mark.parametrize(
    "pattern",
    ["(", "[a", "a\0b", "\ud800", "x" * (limits.grep_pattern_max_bytes + 1), "((a{1,200}){1,200}){1,200}"],
)
def test_a_malformed_expression_is_refused(node: Node, caller: Principal, lines: Oid, pattern: str) -> None:
    with pytest.raises(BadPattern):
        grep(node, caller, pattern)


def test_symlinks_submodules_and_binary_files_are_not_searched(
    node: Node, caller: Principal, repo: str
) -> None:
    entries = {
        b"binary": (MODE_FILE, b"needle\n\0\n"),
        b"link": (MODE_SYMLINK, b"needle"),
        b"module": (MODE_GITLINK, b""),
        b"n\xe9": (MODE_FILE, b"needle\n"),
    }
    commit_entries(node, caller, entries)
    for files in (PathFilter(), PathFilter(exclude=compile_globs(["absent"]))):
        assert found(grep(node, caller, "needle", files=files)) == [(b"n\xe9", 1)]


def test_a_long_line_is_cut(node: Node, caller: Principal, repo: str) -> None:
    commit_files(node, caller, repo, "main", {"f": b"needle" + b"x" * limits.grep_line_max_bytes + b"\n"})
    (line,) = grep(node, caller, "needle").lines
    assert len(line.text) == limits.grep_line_max_bytes


def test_a_search_ends_when_the_clock_of_the_node_says_so(node: Node, caller: Principal, lines: Oid) -> None:
    node.monotonic = count(0, node.limits.grep_max_s + 1).__next__
    with pytest.raises(TimedOut):
        grep(node, caller, "x")


def test_a_walk_over_too_many_files_is_refused(node: Node, caller: Principal, lines: Oid) -> None:
    few = replace(node, limits=Limits(tree_entries_max=2))
    with pytest.raises(LimitExceeded):
        grep(few, caller, "x", files=PathFilter(extensions=(b".py",)))


def test_an_ephemeral_branch_is_searched_in_its_own_namespace_only(
    node: Node, caller: Principal, lines: Oid
) -> None:
    make_ephemeral(node, caller, "try")
    assert grep(node, caller, "x1", ref="try", ephemeral=True).commit == lines
    with pytest.raises(RefNotFound):
        grep(node, caller, "x1", ref="try")


def test_an_empty_repository_and_a_stranger_get_no_matches(
    node: Node, caller: Principal, stranger: Principal, repo: str
) -> None:
    with pytest.raises(RefNotFound):
        grep(node, caller, "x")
    for who, name in ((stranger, "r"), (caller, "other")):
        with pytest.raises(RepoNotFound):
            grep_files(node, who, GrepFiles(name, query("x")))
