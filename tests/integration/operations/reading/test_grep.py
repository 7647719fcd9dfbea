"""Grep finds what git grep finds, whole and in pages, with and without filters."""

import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from packhouse import limits
from packhouse.auth.principal import Principal
from packhouse.config import Config
from packhouse.cursors import BadCursor, encode_cursor
from packhouse.errors import TimedOut
from packhouse.formats.globs import PathFilter, compile_globs, parse_extensions
from packhouse.git.commands.grep import BadPattern, GrepLine, GrepQuery
from packhouse.limits import Limits
from packhouse.node.node import Node, open_node
from packhouse.operations.catalog.lookup import lookup_repo
from packhouse.operations.reading.grep_files import GrepFiles, GrepPage, SkipReason, grep_files
from tests.support.builders.histories import History, load_history, make_history, move_refs_to
from tests.support.builders.seeds import seed_of
from tests.support.builders.text_histories import make_text_history
from tests.support.clients.git import Git

PATTERNS = ["tax", "^x|tax.*cart", "[0-9]+$", "Gr..e", ".", "größe", "--dash", "\\.", "o(n|w)", "12:34"]

EMPTY_TREE = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    """A node on SQLite: nothing here depends on the database."""
    node = open_node(Config(data=tmp_path / "data"))
    yield node
    node.close()


@pytest.fixture(params=["mixed", "text"])
def history(request: pytest.FixtureRequest, tmp_path: Path, node: Node, caller: Principal) -> History:
    """A random history, in the node's repository r."""
    make = make_history if request.param == "mixed" else make_text_history
    history = make(Git(tmp_path / "home"), tmp_path / "src.git", seed_of(request), commits=12)
    history.run("branch", "-f", "topic", max(history.commits(), key=lambda c: len(history.files(c))))
    load_history(node, caller, history, "r")
    return history


@pytest.fixture
def text(request: pytest.FixtureRequest, tmp_path: Path, node: Node, caller: Principal) -> History:
    """A history of text files, in the node's repository r; its branch topic is main, later one commit on."""
    history = make_text_history(Git(tmp_path / "home"), tmp_path / "src.git", seed_of(request), commits=3)
    history.run("branch", "-f", "topic", "main")
    history.run("branch", "later", history.run("commit-tree", "-p", "main", "-m", "later", EMPTY_TREE))
    load_history(node, caller, history, "r")
    return history


def grep(
    node: Node,
    caller: Principal,
    pattern: str,
    *,
    files: PathFilter | None = None,
    ref: str = "topic",
    cursor: str | None = None,
    matches_max: int = 10**9,
    lines_max: int = 10**9,
    **query: Any,
) -> GrepPage:
    """Ask for a page, by default for everything."""
    defaults: dict[str, Any] = {"case_sensitive": True, "before": 0, "after": 0, "file_matches_max": 10**6}
    command = GrepFiles(
        "r",
        GrepQuery(pattern, **{**defaults, **query}),
        ref,
        files=files or PathFilter(),
        cursor=cursor,
        matches_max=matches_max,
        lines_max=lines_max,
    )
    return grep_files(node, caller, command)


def git_grep(
    history: History, pattern: str, *options: str, ref: str = "topic"
) -> list[tuple[bytes, int, bytes]]:
    """Return (path, line, text) of what git itself finds."""
    done = history.git.try_run(
        *("grep", "-I", "-n", "-z", "-E", *options, "-e", pattern, ref), cwd=history.folder
    )
    found = []
    rest = done.stdout
    while rest:
        if rest.startswith(b"--\n"):
            rest = rest[3:]
            continue
        name, number, after = rest.split(b"\0", 2)
        text, _, rest = after.partition(b"\n")
        found.append((name.removeprefix(ref.encode() + b":"), int(number), text))
    return found


def expected_lines(
    history: History, pattern: str, *options: str, context: tuple[int, int] = (0, 0), ref: str = "topic"
) -> list[GrepLine]:
    """Return what git finds, each line with its sort."""
    matches = {(path, number) for path, number, _ in git_grep(history, pattern, *options, ref=ref)}
    before, after = context
    lines = git_grep(history, pattern, *options, f"-B{before}", f"-A{after}", ref=ref)
    return [GrepLine(path, number, text, (path, number) in matches) for path, number, text in lines]


def read_pages(node: Node, caller: Principal, pattern: str, **options: Any) -> list[GrepPage]:
    """Follow the cursors from the first page to the last."""
    pages = [grep(node, caller, pattern, **options)]
    while pages[-1].cursor is not None:
        assert pages[-1].lines
        pages.append(grep(node, caller, pattern, cursor=pages[-1].cursor, **options))
    return pages


def test_lines_and_context_are_gits(node: Node, caller: Principal, history: History) -> None:
    for pattern in PATTERNS:
        assert grep(node, caller, pattern).lines == expected_lines(history, pattern), pattern
        folded = grep(node, caller, pattern.upper(), case_sensitive=False).lines
        assert folded == expected_lines(history, pattern.upper(), "-i"), pattern
        around = grep(node, caller, pattern, before=2, after=1).lines
        assert around == expected_lines(history, pattern, context=(2, 1)), pattern


def test_pages_neither_repeat_nor_miss_a_line(node: Node, caller: Principal, history: History) -> None:
    rng = random.Random(history.seed)
    for pattern in rng.sample(PATTERNS, 4):
        before, after = rng.choice([(0, 0), (1, 1), (3, 0), (0, 4), (2, 5)])
        bounds = {"matches_max": rng.randint(1, 6), "lines_max": rng.choice([1, 3, 7, 10**6])}
        query = {"before": before, "after": after, "file_matches_max": rng.choice([2, 5, 10**6])}
        per_file = f"--max-count={query['file_matches_max']}"
        pages = read_pages(node, caller, pattern, **bounds, **query)
        together = [line for page in pages for line in page.lines]
        assert together == expected_lines(history, pattern, per_file, context=(before, after)), bounds
        for page in pages:
            assert len(page.lines) <= bounds["lines_max"]
            assert sum(line.is_match for line in page.lines) <= bounds["matches_max"]


def test_pages_stay_on_the_commit_they_began_with(node: Node, caller: Principal, text: History) -> None:
    first = text.run("rev-parse", "topic")
    page = grep(node, caller, ".", matches_max=1)
    assert (page.commit, page.ref) == (first, "topic")
    text.run("update-ref", "refs/heads/topic", "later")
    move_refs_to(node, lookup_repo(node, caller, "r"), text)
    following = grep(node, caller, ".", matches_max=1, cursor=page.cursor)
    assert (following.commit, following.ref) == (first, "topic")
    assert page.lines + following.lines == expected_lines(text, ".", ref=first)[:2]


def test_filters_choose_files(node: Node, caller: Principal, history: History) -> None:
    everything = expected_lines(history, ".")
    filters = [
        PathFilter(prefixes=(b"src",)),
        PathFilter(prefixes=(b"src/",)),
        PathFilter(prefixes=(b"src/ca",)),
        PathFilter(prefixes=(b"s", b"RE")),
        PathFilter(prefixes=(b"src/cart.py", b"docs", b"a")),
        PathFilter(prefixes=(b"nowhere",)),
        PathFilter(include=compile_globs(["*.py", "docs/**"])),
        PathFilter(exclude=compile_globs(["src/"])),
        PathFilter(prefixes=(b"src",), include=compile_globs(["*a*"]), exclude=compile_globs(["**/b*"])),
        PathFilter(extensions=parse_extensions(["md", ".txt"])),
        PathFilter(include=compile_globs(["no*where"])),
    ]
    for files in filters:
        expected = [line for line in everything if files.takes(line.path)]
        assert grep(node, caller, ".", files=files).lines == expected, files
        pages = read_pages(node, caller, ".", files=files, matches_max=7)
        assert [line for page in pages for line in page.lines] == expected, files


def test_prefixes_are_literal_bytes(node: Node, caller: Principal, tmp_path: Path) -> None:
    git = Git(tmp_path / "home")
    work = git.init(tmp_path / "work")
    names = [
        b"*",
        b"a*b/c",
        b"aXb/c",
        b":(glob)x",
        b"[a]/b",
        b"\\a",
        b"a/b",
        b"a\xff\xfe",
        b"a.py",
        b"src",
        b"srcs/x",
    ]
    blob = git.run("hash-object", "-w", "--stdin", cwd=work, stdin=b"text\n").encode()
    script = b"".join(b"100644 %s\t%s\0" % (blob, name) for name in names)
    git.run("update-index", "-z", "--index-info", cwd=work, stdin=script)
    commit = git.run("commit-tree", "-m", "x", git.run("write-tree", cwd=work), cwd=work)
    git.run("update-ref", "refs/heads/topic", commit, cwd=work)
    load_history(node, caller, History(git, work / ".git", 0), "r")
    for prefixes in (
        *((name[:end],) for name in names for end in (1, 2, len(name))),
        tuple(names),
        (b"src/",),
    ):
        expected = sorted(name for name in names if name.startswith(prefixes))
        found = grep(node, caller, "text", files=PathFilter(prefixes=prefixes))
        assert [line.path for line in found.lines] == expected, prefixes
        pages = read_pages(node, caller, "text", files=PathFilter(prefixes=prefixes), matches_max=1)
        assert [line.path for page in pages for line in page.lines] == expected, prefixes


def test_files_beyond_memory_are_left_out(node: Node, caller: Principal, tmp_path: Path) -> None:
    node = replace(
        node, limits=Limits(regex_memory_max_bytes=200 * limits.MIB, grep_file_max_bytes=limits.MIB)
    )
    git = Git(tmp_path / "home")
    work = git.init(tmp_path / "work")
    git.run("config", "core.bigFileThreshold", "1m", cwd=work)
    content = b"needle\n" + b"x" * 99 + b"\n"
    big = content + b"0123456789abcde\n" * 12 * limits.MIB
    # Several, as git may have begun with the first ones before its memory is limited.
    git.commit(work, {"small": content, **{f"big{number}": big for number in range(6)}})
    git.run("branch", "big", cwd=work)
    load_history(node, caller, History(git, work / ".git", 0), "big")
    query = GrepQuery("needle", True, 0, 0, 10)
    page = grep_files(node, caller, GrepFiles("big", query, "big", matches_max=10, lines_max=10))
    assert [line.path for line in page.lines] == [b"small"]
    assert page.skipped == [(f"big{number}".encode(), SkipReason.TOO_LARGE) for number in range(6)]
    assert page.cursor is None


@pytest.mark.parametrize(
    "pattern",
    [
        "(a{1,30000}){1,30000}",
        "(((a{1,255}){1,255}){1,255}){1,255}",
        "a(",
        "[z",
        "a{2,1}",
        "(" * 2000,
        "*(",
        "\0",
        "a\0b",
        "x" * 5000,
        "\\",
    ],
)
def test_a_malformed_pattern_is_refused_at_once(
    node: Node, caller: Principal, text: History, pattern: str
) -> None:
    with pytest.raises(BadPattern):  # and not TimedOut
        grep(node, caller, pattern)


@pytest.mark.parametrize("length", [900, 950, 1000, 1500, 4096])
def test_a_long_malformed_pattern_is_not_repeated_to_the_caller(
    node: Node, caller: Principal, text: History, length: int
) -> None:
    with pytest.raises(BadPattern) as caught:
        grep(node, caller, "(" * length)
    assert caught.value.reason in ("Unmatched ( or \\(", "it cannot be read")


@pytest.mark.parametrize("pattern", ["(a{1,30000}){1,33}", "((((a|b)?){99}){99}){99}"])
def test_a_pattern_that_needs_too_much_memory_or_time_is_stopped(
    node: Node, caller: Principal, text: History, pattern: str
) -> None:
    node = replace(node, limits=Limits(grep_max_s=2, regex_memory_max_bytes=256 * limits.MIB))
    with pytest.raises((BadPattern, TimedOut)):
        grep(node, caller, pattern)


@pytest.mark.parametrize("cursor", ["", "x", "!!", encode_cursor(b"a"), encode_cursor(b"0" * 40, b"a", b"1")])
def test_a_cursor_that_no_page_ended_with_is_refused(
    node: Node, caller: Principal, text: History, cursor: str
) -> None:
    with pytest.raises(BadCursor):
        grep(node, caller, "x", cursor=cursor)
