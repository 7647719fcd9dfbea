"""Blame: which commit last changed each line of a file."""

import pytest

from packhouse import limits
from packhouse.auth.principal import Principal
from packhouse.db.repos import RepoNotFound
from packhouse.git.commands.blame import BadRange, BlameGroup
from packhouse.git.objects.codec import MODE_GITLINK, MODE_SYMLINK
from packhouse.git.oid import Oid
from packhouse.node.node import Node
from packhouse.operations.reading.blame_file import (
    Blame,
    BlameFile,
    BlameFileTooLarge,
    BlameTooLong,
    TooManyRanges,
    blame_file,
)
from packhouse.repository.history.last_commit import PathNotFound
from packhouse.repository.refs.resolve import RefNotFound
from tests.support.builders.node_writes import ADA, commit_files
from tests.unit.operations.reading.entries import commit_entries, make_ephemeral

pytestmark = pytest.mark.quick

B = b"docs/b"


def lines(blame: Blame) -> list[tuple[int, Oid]]:
    """Return number and commit of each line."""
    return [(group.line + n, group.commit) for group in blame.groups for n in range(group.count)]


def test_each_line_belongs_to_the_commit_that_brought_it(
    node: Node, caller: Principal, first: Oid, second: Oid
) -> None:
    blame = blame_file(node, caller, BlameFile("r", B))
    assert blame.groups == [BlameGroup(first, 1, 1, 1, B, None), BlameGroup(second, 2, 2, 1, B, first)]
    assert (blame.ref, blame.commit, blame.is_by_id) == ("main", second, False)
    assert {oid: commit.author for oid, commit in blame.commits.items()} == {first: ADA, second: ADA}


def test_a_ref_names_the_blamed_commit(node: Node, caller: Principal, first: Oid, second: Oid) -> None:
    blame = blame_file(node, caller, BlameFile("r", B, first))
    assert (lines(blame), list(blame.commits), blame.is_by_id) == ([(1, first)], [first], True)
    assert not blame_file(node, caller, BlameFile("r", B, "main~1")).is_by_id


def test_ranges_select_lines_by_number_and_by_expression(
    node: Node, caller: Principal, first: Oid, second: Oid
) -> None:
    for ranges, expected in (
        (["2,2"], [(2, second)]),
        (["/two/,+1"], [(1, first)]),
        (["1,1", "2,2"], [(1, first), (2, second)]),
        (["2,"], [(2, second)]),
    ):
        assert lines(blame_file(node, caller, BlameFile("r", B, ranges=ranges))) == expected


@pytest.mark.parametrize("text", ["9,9", "/absent/", "x", "1,\0", "1" * (limits.blame_range_max_chars + 1)])
def test_a_range_without_lines_is_refused(node: Node, caller: Principal, first: Oid, text: str) -> None:
    with pytest.raises(BadRange):
        blame_file(node, caller, BlameFile("r", B, ranges=[text]))


def test_an_expression_that_repeats_too_often_never_reaches_git(
    node: Node, caller: Principal, first: Oid
) -> None:
    with pytest.raises(BadRange) as refused:
        blame_file(node, caller, BlameFile("r", B, ranges=["/(((a{1,200}){1,200}){1,200}){1,200}/"]))
    assert refused.value.reason == "expression is too complex"


def test_the_ranges_of_a_call_are_bounded(node: Node, caller: Principal, first: Oid) -> None:
    ranges = ["1,1"] * limits.blame_ranges_max
    assert lines(blame_file(node, caller, BlameFile("r", B, ranges=ranges))) == [(1, first)]
    with pytest.raises(TooManyRanges) as refused:
        blame_file(node, caller, BlameFile("nowhere", B, ranges=[*ranges, "1,1"]))
    assert refused.value.ranges_max == limits.blame_ranges_max


def test_with_detect_moves_moved_lines_belong_to_their_first_commit(
    node: Node, caller: Principal, repo: str
) -> None:
    block = b"".join(b"a line of some length, number %d\n" % number for number in range(20))
    writer = commit_files(node, caller, repo, "main", {"old": block, "kept": b"k\n"}).commit
    mover = commit_files(node, caller, repo, "main", {"old": b"rest\n", "new": block}).commit
    for detect_moves, who in ((False, mover), (True, writer)):
        blame = blame_file(node, caller, BlameFile("r", b"new", detect_moves=detect_moves))
        assert {commit for _, commit in lines(blame)} == {who}
    assert blame.groups[0].original_path == b"old"


def test_a_renamed_file_keeps_its_history(node: Node, caller: Principal, first: Oid) -> None:
    commit_files(node, caller, "r", "main", {"a": None, "renamed": b"one\n"})
    (group,) = blame_file(node, caller, BlameFile("r", b"renamed")).groups
    assert (group.commit, group.original_path) == (first, b"a")


def test_binary_files_symlinks_and_empty_files_have_their_lines(
    node: Node, caller: Principal, repo: str
) -> None:
    commit = commit_files(node, caller, repo, "main", {"b": b"\0\n\0\n", "empty": b""}).commit
    link = commit_entries(node, caller, {b"link": (MODE_SYMLINK, b"b")})
    assert lines(blame_file(node, caller, BlameFile("r", b"b"))) == [(1, commit), (2, commit)]
    assert lines(blame_file(node, caller, BlameFile("r", b"link"))) == [(1, link)]
    assert blame_file(node, caller, BlameFile("r", b"empty")).groups == []


def test_folders_submodules_and_absent_paths_have_no_lines(node: Node, caller: Principal, first: Oid) -> None:
    commit_entries(node, caller, {b"module": (MODE_GITLINK, b"")})
    for path in (b"docs", b"module", b"absent", b"*", b""):
        with pytest.raises(PathNotFound):
            blame_file(node, caller, BlameFile("r", path))


def test_a_file_of_too_many_lines_is_refused_and_a_part_of_it_is_not(
    node: Node, caller: Principal, repo: str
) -> None:
    commit = commit_files(node, caller, repo, "main", {"f": b"\n" * (limits.blame_lines_max + 1)}).commit
    with pytest.raises(BlameTooLong):
        blame_file(node, caller, BlameFile("r", b"f"))
    assert lines(blame_file(node, caller, BlameFile("r", b"f", ranges=["7,7"]))) == [(7, commit)]


def test_a_file_that_is_too_large_for_git_is_refused(node: Node, caller: Principal, repo: str) -> None:
    commit_files(node, caller, repo, "main", {"f": b"x" * (limits.blame_file_max_bytes + 1)})
    with pytest.raises(BlameFileTooLarge):
        blame_file(node, caller, BlameFile("r", b"f", ranges=["1,1"]))


def test_an_ephemeral_branch_is_found_only_in_its_own_namespace(
    node: Node, caller: Principal, first: Oid
) -> None:
    make_ephemeral(node, caller, "try")
    assert lines(blame_file(node, caller, BlameFile("r", B, "try", ephemeral=True))) == [(1, first)]
    with pytest.raises(RefNotFound):
        blame_file(node, caller, BlameFile("r", B, "try"))


def test_an_empty_repository_and_a_stranger_get_no_blame(
    node: Node, caller: Principal, stranger: Principal, repo: str
) -> None:
    with pytest.raises(RefNotFound):
        blame_file(node, caller, BlameFile("r", B))
    for who, name in ((stranger, "r"), (caller, "other")):
        with pytest.raises(RepoNotFound):
            blame_file(node, who, BlameFile(name, B))
