"""A pattern that takes too long on one file loses that file alone, and the answer says so."""

import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from packhouse.auth.principal import Principal
from packhouse.config import Config
from packhouse.formats.globs import PathFilter, compile_globs
from packhouse.git.commands.grep import GrepLine, GrepQuery
from packhouse.git.commands.run import run_git
from packhouse.git.objects.tree_walk import PathEntry
from packhouse.git.oid import Oid
from packhouse.limits import Limits
from packhouse.node.node import Node, open_node
from packhouse.operations.catalog.lookup import lookup_repo
from packhouse.operations.reading.grep_files import GrepFiles, GrepPage, SkipReason, grep_files
from packhouse.operations.reading.grep_slow import write_flat_tree, write_marked_tree
from packhouse.repository.view import open_view
from packhouse.repository.write import Write
from tests.support.builders.histories import History, load_history
from tests.support.builders.seeds import seed_of
from tests.support.builders.text_histories import make_text_history
from tests.support.clients.git import Git

SLOW = b"w" * 100_000 + b"\n"  # a minute of processor time for NEEDLE
NEEDLE = r"\w+ needle"
PAGES_MAX = 60


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    """A node that soon goes on file by file, and has time for that also on a busy machine."""
    node = open_node(
        Config(data=tmp_path / "data"),
        limits=Limits(grep_max_s=120, grep_whole_max_s=0.5, grep_file_max_s=0.5),
    )
    yield node
    node.close()


def load(node: Node, caller: Principal, folder: Path, files: dict[str, bytes]) -> History:
    """Make the repository r with these files on main."""
    git = Git(folder / "home")
    work = git.init(folder / "work")
    git.commit(work, files)
    history = History(git, work / ".git", 0)
    load_history(node, caller, history, "r")
    return history


def grep(
    node: Node, caller: Principal, pattern: str, *, cursor: str | None = None, **options: Any
) -> GrepPage:
    """Ask for a page of main, by default for everything."""
    query: dict[str, Any] = {"case_sensitive": True, "before": 0, "after": 0, "file_matches_max": 10**6}
    query |= {name: options[name] for name in query.keys() & options.keys()}
    command = GrepFiles(
        "r",
        GrepQuery(pattern, **query),
        "main",
        files=options.get("files", PathFilter()),
        cursor=cursor,
        matches_max=options.get("matches_max", 10**9),
        lines_max=options.get("lines_max", 10**9),
    )
    return grep_files(node, caller, command)


def read_pages(node: Node, caller: Principal, pattern: str, **options: Any) -> list[GrepPage]:
    """Follow the cursors from the first page to the last."""
    pages = [grep(node, caller, pattern, **options)]
    while (cursor := pages[-1].cursor) is not None:
        assert len(pages) < PAGES_MAX, "the pages do not end"
        pages.append(grep(node, caller, pattern, cursor=cursor, **options))
    return pages


def paths(*pages: GrepPage) -> list[bytes]:
    return [line.path for page in pages for line in page.lines]


def test_a_slow_file_is_passed_over_and_all_others_are_searched(
    node: Node, caller: Principal, tmp_path: Path
) -> None:
    text = b"one\na needle\nthree\n"
    load(node, caller, tmp_path, {"a": text, "b/slow": text + SLOW, "c/d": text, "z": b"no\n"})
    page = grep(node, caller, NEEDLE, before=1)
    lines = [(b"one", 1, False), (b"a needle", 2, True)]
    assert page.lines == [GrepLine(path, n, t, m) for path in (b"a", b"c/d") for t, n, m in lines]
    assert page.skipped == [(b"b/slow", SkipReason.TOO_SLOW)]
    assert (page.cursor, page.is_out_of_time) == (None, False)


def test_pages_continue_after_a_slow_file(node: Node, caller: Principal, tmp_path: Path) -> None:
    text = b"a needle\n" * 3
    load(node, caller, tmp_path, {"a": text, "b": SLOW, "c": text, "d": SLOW, "e": b"no\n"})
    pages = read_pages(node, caller, NEEDLE, matches_max=2)
    assert paths(*pages) == [b"a"] * 3 + [b"c"] * 3
    assert [line.number for page in pages for line in page.lines] == [1, 2, 3, 1, 2, 3]
    assert {path for page in pages for path, _ in page.skipped} == {b"b", b"d"}
    assert all(len(page.lines) <= 2 for page in pages)


def test_filters_hold_file_by_file_too(node: Node, caller: Principal, tmp_path: Path) -> None:
    text = b"a needle\n"
    load(node, caller, tmp_path, {"src/a.c": text, "src/b.c": SLOW, "src/c.h": text, "srd": text, "t": text})
    for files, found in [
        (PathFilter(prefixes=(b"src",)), [b"src/a.c", b"src/c.h"]),
        (PathFilter(prefixes=(b"sr",), exclude=compile_globs(["*.h"])), [b"src/a.c", b"srd"]),
        (PathFilter(include=compile_globs(["*.c"])), [b"src/a.c"]),
    ]:
        page = grep(node, caller, NEEDLE, files=files)
        assert paths(page) == found
        assert page.skipped == [(b"src/b.c", SkipReason.TOO_SLOW)]
    assert not grep(node, caller, NEEDLE, files=PathFilter(prefixes=(b"t",))).skipped


def test_a_back_reference_without_end_loses_its_file_only(
    node: Node, caller: Principal, tmp_path: Path
) -> None:
    load(node, caller, tmp_path, {"a": b"aab\n", "b": b"a" * 100_000 + b"\n", "c": b"xaabx\n"})
    page = grep(node, caller, r"(a+)\1b")
    assert paths(page) == [b"a", b"c"]
    assert page.skipped == [(b"b", SkipReason.TOO_SLOW)]


def test_a_search_without_matches_lists_the_skipped_files(
    node: Node, caller: Principal, tmp_path: Path
) -> None:
    load(node, caller, tmp_path, {"a": SLOW})
    page = grep(node, caller, NEEDLE)
    assert (page.lines, page.cursor) == ([], None)
    assert page.skipped == [(b"a", SkipReason.TOO_SLOW)]


def test_many_slow_files_end_a_page_and_the_next_goes_on(
    node: Node, caller: Principal, tmp_path: Path
) -> None:
    node = replace(node, limits=replace(node.limits, grep_max_s=2))
    text = b"a needle\n"
    slow = {f"b{number:02}": text + SLOW for number in range(12)}
    load(node, caller, tmp_path, {"a": text, **slow, "c": text})
    pages = read_pages(node, caller, NEEDLE)
    assert paths(*pages) == [b"a", b"c"]
    assert pages[0].is_out_of_time
    assert all(page.is_out_of_time for page in pages[:-1])
    skipped = [path.decode() for page in pages for path, _ in page.skipped]
    assert skipped == sorted(slow)


@pytest.mark.parametrize("whole_s", [0, 0.02])
def test_file_by_file_finds_what_git_finds(
    node: Node,
    caller: Principal,
    request: pytest.FixtureRequest,
    tmp_path: Path,
    whole_s: float,
) -> None:
    history = make_text_history(Git(tmp_path / "home"), tmp_path / "src.git", seed_of(request), commits=12)
    load_history(node, caller, history, "r")
    patient = replace(node.limits, grep_file_max_s=60)
    whole = replace(node, limits=replace(patient, grep_whole_max_s=60))
    by_file = replace(node, limits=replace(patient, grep_whole_max_s=whole_s))
    rng = random.Random(history.seed)
    for pattern in rng.sample(["tax", "^x|tax.*cart", "[0-9]+$", ".", "größe", "o(n|w)"], 3):
        query: dict[str, Any] = {
            "before": rng.randrange(3),
            "after": rng.randrange(3),
            "file_matches_max": rng.choice([2, 99]),
        }
        expected = grep(whole, caller, pattern, **query)
        assert grep(by_file, caller, pattern, **query) == expected
        pages = read_pages(by_file, caller, pattern, matches_max=4, lines_max=7, **query)
        assert [line for page in pages for line in page.lines] == expected.lines
        assert not any(page.skipped or page.is_out_of_time for page in pages)


def test_the_trees_are_gits_and_keep_the_order(node: Node, caller: Principal, tmp_path: Path) -> None:
    history = load(node, caller, tmp_path, {"x": b"b", "y": b"a"})
    oids = [Oid(history.run("rev-parse", f"main:{name}")) for name in ("x", "y")]
    files = [PathEntry(b"x/y", 0o100755, oids[0]), PathEntry(b"z", 0o100644, oids[1])]
    with open_view(node, lookup_repo(node, caller, "r")) as view, Write(view, is_kept=False) as scratch:

        def git(*arguments: str, stdin: bytes = b"") -> str:
            return run_git(scratch.place(), *arguments, stdin=stdin).stdout.decode().rstrip()

        trees = [write_flat_tree(scratch, files), write_marked_tree(scratch, files, "packhouse0f")]
        marker = Oid(git("hash-object", "--stdin", stdin=b"packhouse0f\n"))
        orders = [oids, [marker, oids[0], marker, oids[1]]]
        for tree, order in zip(trees, orders, strict=True):
            assert git("ls-tree", tree).splitlines() == [
                f"100644 blob {oid}\t{number:09}" for number, oid in enumerate(order)
            ]
        assert not git("fsck", "--strict", "--no-dangling", *trees)
