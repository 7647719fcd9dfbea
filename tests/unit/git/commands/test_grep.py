"""Searching a tree: matches, their context, and searches that fail."""

import math
import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest

from packhouse import limits
from packhouse.errors import TimedOut
from packhouse.git.commands.grep import (
    BadPattern,
    GrepBounds,
    GrepLine,
    GrepQuery,
    PatternTooSlow,
    SearchOutOfMemory,
    grep_tree,
)
from packhouse.git.commands.pump import GitSilent, GitTookTooLong
from packhouse.git.commands.run import GitFailed
from packhouse.git.oid import Oid
from tests.support.clients.git_runner import DamageTold, FakeGit, WorkTree

pytestmark = pytest.mark.quick

UNKNOWN = Oid("1" * 40)
AMPLE = GrepBounds(60.0, math.inf, 60, limits.git_memory_max_bytes)
QUERY = GrepQuery("needle", case_sensitive=True, before=0, after=0, file_matches_max=100)


def search(
    work: WorkTree,
    query: GrepQuery = QUERY,
    *,
    tree: Oid | None = None,
    bounds: GrepBounds = AMPLE,
    prefixes: tuple[bytes, ...] = (),
    marker: str = "",
) -> list[GrepLine]:
    return list(grep_tree(work, query, tree or work.oid(), bounds, prefixes=prefixes, marker=marker))


def places(lines: list[GrepLine]) -> list[tuple[bytes, int]]:
    return [(line.path, line.number) for line in lines]


def test_matching_lines_come_by_path_and_number(work: WorkTree) -> None:
    work.commit({"b": b"needle\nhay\nneedles\n", "a/z": b"a needle", "c": b"hay\n"})
    assert search(work) == [
        GrepLine(b"a/z", 1, b"a needle", True),
        GrepLine(b"b", 1, b"needle", True),
        GrepLine(b"b", 3, b"needles", True),
    ]


def test_a_tree_and_a_commit_are_searched_alike(work: WorkTree) -> None:
    work.commit({"a": b"needle\n", "sub/b": b"needle\n"})
    assert search(work, tree=work.oid("HEAD^{tree}")) == search(work)
    assert places(search(work, tree=work.oid("HEAD:sub"))) == [(b"b", 1)]


def test_a_search_without_matches_is_not_a_failure(work: WorkTree) -> None:
    work.commit({"a": b"hay\n"})
    assert search(work) == []


def test_context_lines_are_distinguished_from_matches(work: WorkTree) -> None:
    work.commit({"a": b"1\n2\nneedle\n4\n5\n6\n7\n8\nneedle\n"})
    lines = search(work, replace(QUERY, before=1, after=2))
    assert [(line.number, line.is_match) for line in lines] == [
        (2, False),
        (3, True),
        (4, False),
        (5, False),
        (8, False),
        (9, True),
    ]


def test_lines_that_look_like_gits_output_are_read_correctly(work: WorkTree) -> None:
    tip = work.commit({"a": b"--\n12:needle\n34-needle\n"})
    tip = work.commit({"b": f"{tip}:needle\n--needle\n".encode()})
    assert [line.text for line in search(work)] == [
        b"12:needle",
        b"34-needle",
        f"{work.oid('HEAD~')}:needle".encode(),
        b"--needle",
    ]
    assert tip == work.oid()


def test_letters_match_in_any_case_on_request(work: WorkTree) -> None:
    work.commit({"a": "NEEDLE\nÜBER\nüber\n".encode()})
    assert search(work) == []
    assert len(search(work, replace(QUERY, case_sensitive=False))) == 1
    assert len(search(work, replace(QUERY, pattern="über", case_sensitive=False))) == 2


def test_a_dot_is_a_character_and_not_a_byte(work: WorkTree) -> None:
    work.commit({"a": "aüb\n".encode()})
    assert len(search(work, replace(QUERY, pattern="^a.b$"))) == 1


def test_the_matches_of_one_file_are_bounded(work: WorkTree) -> None:
    work.commit({"a": b"needle\n" * 10, "b": b"needle\n" * 2})
    assert places(search(work, replace(QUERY, file_matches_max=3))) == [
        (b"a", 1),
        (b"a", 2),
        (b"a", 3),
        (b"b", 1),
        (b"b", 2),
    ]


def test_binary_files_are_passed_over(work: WorkTree) -> None:
    work.commit({"a": b"needle\0\n", "b": b"needle\n"})
    assert places(search(work)) == [(b"b", 1)]


def test_a_long_line_is_cut(work: WorkTree) -> None:
    work.commit({"a": b"needle" + b"x" * (2 * limits.grep_line_max_bytes) + b"\nneedle\n"})
    first, second = search(work)
    assert len(first.text) == limits.grep_line_max_bytes
    assert second == GrepLine(b"a", 2, b"needle", True)


@pytest.mark.parametrize("name", ["-x", 'q"uote', "n\nl", "tab\t", "\udcff\udcfe", "ü", "a:1:b", "--"])
def test_any_path_is_read_back(work: WorkTree, name: str) -> None:
    work.commit({name: b"needle\n"})
    assert places(search(work)) == [(name.encode("utf-8", "surrogateescape"), 1)]


def test_prefixes_are_taken_literally_and_cross_folders(work: WorkTree) -> None:
    names = ("src/a", "src/deep/b", "srcx", "doc/c", "*", "[a]", ":x", "\\n", "a")
    work.commit(dict.fromkeys(names, b"needle\n"))

    def found(*prefixes: bytes) -> set[bytes]:
        return {line.path for line in search(work, prefixes=prefixes)}

    assert found(b"src/") == {b"src/a", b"src/deep/b"}
    assert found(b"src") == {b"src/a", b"src/deep/b", b"srcx"}
    assert found(b"*", b"[a]", b":x", b"\\n") == {b"*", b"[a]", b":x", b"\\n"}
    assert found(b"none") == set()


def test_a_marker_is_found_beside_the_pattern(work: WorkTree) -> None:
    work.commit({"a": b"marked\n", "b": b"needle\n", "c": b"hay\n"})
    assert places(search(work, marker="marked")) == [(b"a", 1), (b"b", 1)]


def test_a_pattern_is_never_an_option(work: WorkTree) -> None:
    work.commit({"a": b"--open-files-in-pager=x\n"})
    assert len(search(work, replace(QUERY, pattern="--open-files-in-pager=x"))) == 1


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        ("(", "Unmatched ( or \\("),
        ("[a", "Unmatched [, [^, [:, [., or [="),
        ("a{2,1}", "Invalid content of \\{\\}"),
        ("*(", "Invalid preceding regular expression"),
        ("(" * 1100, "it cannot be read"),
    ],
)
def test_a_bad_pattern_is_refused_in_gits_words(work: WorkTree, pattern: str, reason: str) -> None:
    work.commit({"a": b"needle\n"})
    with pytest.raises(BadPattern) as refused:
        search(work, replace(QUERY, pattern=pattern))
    assert refused.value.reason == reason


@pytest.mark.parametrize(
    ("ends", "error"),
    [
        (f"kill -{int(signal.SIGXCPU)} $$", PatternTooSlow),
        ("kill -SEGV $$", BadPattern),
        ("echo 'fatal: Out of memory, malloc failed' >&2; exit 128", SearchOutOfMemory),
        ("echo 'fatal: mmap failed' >&2; exit 128", SearchOutOfMemory),
        ("echo 'fatal: bad object' >&2; exit 128", GitFailed),
    ],
)
def test_the_way_git_ends_decides_the_error_of_a_search(
    work: WorkTree, fake_git: FakeGit, ends: str, error: type[Exception]
) -> None:
    fake_git(ends)
    with pytest.raises(error):
        search(work, tree=UNKNOWN)


def test_a_search_beyond_its_memory_is_reported_as_out_of_memory(work: WorkTree) -> None:
    work.commit({"a": b"x" * 30_000_000 + b"needle\n"})
    with pytest.raises(SearchOutOfMemory):
        search(work, bounds=replace(AMPLE, memory_max_bytes=40_000_000))


def test_a_search_that_takes_too_long_is_ended(work: WorkTree, fake_git: FakeGit) -> None:
    fake_git(f"exec cat {fifo(work)}")
    with pytest.raises(GitTookTooLong) as late:
        search(work, tree=UNKNOWN, bounds=replace(AMPLE, all_s=0.1))
    assert not isinstance(late.value, GitSilent)


def fifo(work: WorkTree) -> Path:
    path = work.folder.parent / "never-written"
    os.mkfifo(path)
    return path


def test_a_search_that_works_in_silence_is_ended(work: WorkTree, fake_git: FakeGit) -> None:
    fake_git("while :; do :; done")
    with pytest.raises(GitSilent):
        search(work, tree=UNKNOWN, bounds=replace(AMPLE, silence_max_s=0.05))


def test_the_lines_before_a_timeout_are_returned(work: WorkTree, fake_git: FakeGit) -> None:
    fake_git(f"printf '%s:a\\n1:needle\\n' {UNKNOWN}; while :; do :; done")
    lines: list[GrepLine] = []
    with pytest.raises(TimedOut):
        lines.extend(grep_tree(work, QUERY, UNKNOWN, replace(AMPLE, silence_max_s=0.3)))
    assert lines == [GrepLine(b"a", 1, b"needle", True)]


def test_closing_a_search_ends_git(work: WorkTree) -> None:
    tip = work.commit({"a": b"needle\n" * 1_000_000})
    lines = grep_tree(work, replace(QUERY, file_matches_max=10**6), tip, AMPLE)
    assert next(lines).number == 1
    lines.close()
    with pytest.raises(StopIteration):
        next(lines)


def test_files_that_git_left_out_are_reported_as_damage(work: WorkTree) -> None:
    work.commit({"a": b"needle in a\n", "b": b"needle in b\n"})
    blob = work.oid("HEAD:a")
    work.remove(blob)
    assert places(search(work)) == [(b"b", 1)]
    assert [complaint.objects for complaint, _ in work.complaints] == [[blob]]
    work.is_strict = True
    with pytest.raises(DamageTold):
        search(work)
