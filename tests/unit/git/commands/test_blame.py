"""Who last changed each line, and what a range of lines may be."""

import signal

import pytest

from packhouse import limits
from packhouse.git.commands.blame import BadRange, BlameGroup, BlameUnreadable, blame_lines, parse_blame
from packhouse.git.commands.run import GitFailed
from packhouse.git.oid import Oid
from tests.support.clients.git_runner import DamageTold, FakeGit, WorkTree

pytestmark = pytest.mark.quick

UNKNOWN = Oid("1" * 40)
MEMORY = limits.git_memory_max_bytes


def blame(
    work: WorkTree,
    path: bytes,
    *ranges: str,
    detect_moves: bool = False,
    memory_max_bytes: int = MEMORY,
) -> list[BlameGroup]:
    return blame_lines(
        work,
        work.oid(),
        path,
        ranges=ranges,
        detect_moves=detect_moves,
        regex_memory_max_bytes=memory_max_bytes,
    )


def text(*lines: int) -> bytes:
    return b"".join(b"line number %d of the file\n" % number for number in lines)


def test_each_line_belongs_to_the_commit_that_last_changed_it(work: WorkTree) -> None:
    one = work.commit({"a": text(1, 2, 3, 4)})
    two = work.commit({"a": text(1, 22, 3, 4, 5)})
    assert blame(work, b"a") == [
        BlameGroup(one, 1, 1, 1, b"a", None),
        BlameGroup(two, 2, 2, 1, b"a", one),
        BlameGroup(one, 3, 3, 2, b"a", None),
        BlameGroup(two, 5, 5, 1, b"a", one),
    ]


def test_ranges_choose_lines(work: WorkTree) -> None:
    one = work.commit({"a": text(*range(1, 10))})
    assert [(g.line, g.count) for g in blame(work, b"a", "2,3", "7,+2")] == [(2, 2), (7, 2)]
    assert [(g.line, g.count) for g in blame(work, b"a", "/number 4/,/number 6/")] == [(4, 3)]
    assert {group.commit for group in blame(work, b"a", "9")} == {one}
    assert [(g.line, g.count) for g in blame(work, b"a", "")] == [(1, 9)]


def test_a_renamed_file_keeps_its_lines(work: WorkTree) -> None:
    one = work.commit({"old\tname": text(*range(20))})
    work.run("mv", "old\tname", "new")
    work.commit({})
    assert blame(work, b"new") == [BlameGroup(one, 1, 1, 20, b"old\tname", None)]


def test_with_detect_moves_moved_lines_belong_to_their_first_commit(work: WorkTree) -> None:
    moved = b"".join(b"a long enough line, number %d, to be found again\n" % n for n in range(5))
    one = work.commit({"from": moved + text(1)})
    two = work.commit({"from": text(1), "to": moved})
    assert {group.commit for group in blame(work, b"to")} == {two}
    found = blame(work, b"to", detect_moves=True)
    assert [(group.commit, group.original_path, group.count) for group in found] == [(one, b"from", 5)]


@pytest.mark.parametrize("name", ["-x", "*", ":(top)a", "--contents", "n\nl", "\udcff", "ü"])
def test_a_path_may_have_any_bytes(work: WorkTree, name: str) -> None:
    commit = work.commit({name: b"one\n"})
    path = name.encode("utf-8", "surrogateescape")
    assert blame(work, path) == [BlameGroup(commit, 1, 1, 1, path, None)]


def test_an_empty_file_has_no_lines(work: WorkTree) -> None:
    work.commit({"a": b""})
    assert blame(work, b"a") == []


@pytest.mark.parametrize(
    ("range_text", "reason"),
    [
        ("7,8", "file a has only 3 lines"),
        ("/no such text/", "-L parameter 'no such text' starting at line 1: No match"),
        ("/[/", "-L parameter '[' starting at line 1: "),
        ("0", "-L invalid line number: 0"),
        ("nonsense", "it has no form that git blame -L knows"),
        ("1,2,3", "it has no form that git blame -L knows"),
    ],
)
def test_a_range_outside_the_file_is_refused_in_gits_words(
    work: WorkTree, range_text: str, reason: str
) -> None:
    work.commit({"a": text(1, 2, 3)})
    with pytest.raises(BadRange) as refused:
        blame(work, b"a", range_text)
    assert refused.value.reason.startswith(reason)


@pytest.mark.parametrize("range_text", ["--output=/tmp/x", " -S /etc/passwd", "1 --contents x"])
def test_a_range_is_never_an_option(work: WorkTree, range_text: str) -> None:
    work.commit({"a": text(1, 2, 3)})
    with pytest.raises(BadRange):
        blame(work, b"a", range_text)


def test_an_expression_that_needs_too_much_memory_is_refused(work: WorkTree) -> None:
    work.commit({"a": text(1)})
    with pytest.raises(BadRange) as refused:
        blame(work, b"a", r"/\(\(a\{1,250\}\)\{1,250\}\)\{1,250\}/", memory_max_bytes=60_000_000)
    assert refused.value.reason.endswith("Memory exhausted")


@pytest.mark.parametrize(
    ("ends", "reason"),
    [
        (f"kill -{int(signal.SIGXCPU)} $$", "expression takes too long; do without back-references"),
        ("kill -SEGV $$", "expression is too complex"),
        ("echo 'fatal: Out of memory, malloc failed' >&2; exit 128", "expression is too complex"),
    ],
)
def test_the_way_git_ends_decides_the_fault_of_an_expression(
    work: WorkTree, fake_git: FakeGit, ends: str, reason: str
) -> None:
    work.commit({"a": text(1)})
    tip = work.oid()
    fake_git(ends)
    with pytest.raises(BadRange) as refused:
        blame_lines(work, tip, b"a", ranges=["/x/"], detect_moves=False, regex_memory_max_bytes=MEMORY)
    assert refused.value.reason == reason
    # Without a range there is no expression that could be the cause.
    with pytest.raises(GitFailed):
        blame_lines(work, tip, b"a", ranges=[], detect_moves=False, regex_memory_max_bytes=MEMORY)


def test_a_missing_file_or_commit_is_a_failure(work: WorkTree) -> None:
    work.commit({"a": text(1)})
    with pytest.raises(GitFailed):
        blame(work, b"missing")
    with pytest.raises(GitFailed):
        blame_lines(work, UNKNOWN, b"a", ranges=[], detect_moves=False, regex_memory_max_bytes=MEMORY)


def test_an_unreadable_parent_is_reported_as_damage(work: WorkTree) -> None:
    one = work.commit({"a": text(1, 2)})
    work.commit({"a": text(1, 3)})
    work.remove(one)
    assert blame(work, b"a"), "git takes it for a root"
    assert [complaint.objects for complaint, _ in work.complaints] == [[one]]
    work.is_strict = True
    with pytest.raises(DamageTold):
        blame(work, b"a")


def test_groups_are_sorted_by_line_and_other_output_is_refused() -> None:
    head = f'{UNKNOWN} 7 9 2\nauthor x\nfilename a\n{UNKNOWN} 1 1 1\nfilename "q\\""\n'.encode()
    assert [(group.line, group.original_path) for group in parse_blame(head)] == [(1, b'q"'), (9, b"a")]
    with pytest.raises(BlameUnreadable):
        parse_blame(b"nonsense\n")
    with pytest.raises(BlameUnreadable):
        parse_blame(head + b"author without a group\n")
