"""The changes of a branch since it left its base."""

import pytest

from packhouse.auth.principal import Principal
from packhouse.db.repos import RepoNotFound
from packhouse.errors import Invalid
from packhouse.git.oid import Oid
from packhouse.git.refname import branch_refname
from packhouse.node.node import Node
from packhouse.operations.catalog.lookup import lookup_repo
from packhouse.operations.reading.file_diffs import RefInput
from packhouse.operations.reading.read_branch_diff import BranchDiff, ReadBranchDiff, read_branch_diff
from packhouse.operations.refs.branches import BranchNotFound
from packhouse.operations.repos.create_repo import CreateRepo, create_repo
from tests.support.builders.node_writes import commit_files, put_commit
from tests.unit.operations.reading.entries import make_ephemeral

pytestmark = pytest.mark.quick

SIDE = RefInput("side")


@pytest.fixture
def fork(node: Node, caller: Principal, second: Oid) -> Oid:
    """The commit where main and side fork. Each of them has one more commit."""
    commit_files(node, caller, "r", "side", {"a": b"side\n", "docs/s": b"new\n"}, base="main")
    commit_files(node, caller, "r", "main", {"z": b"main\n"})
    return second


def changed(diff: BranchDiff) -> list[tuple[str, bytes]]:
    """Return state and path of each file."""
    return [(file.entry.status, file.entry.path) for file in diff.files]


def test_a_branch_is_compared_with_the_commit_where_it_left_the_default_branch(
    node: Node, caller: Principal, fork: Oid
) -> None:
    diff = read_branch_diff(node, caller, ReadBranchDiff("r", SIDE))
    assert (diff.branch, diff.base, diff.merge_base) == ("side", "main", fork)
    assert changed(diff) == [("M", b"a"), ("A", b"docs/s")]


def test_a_base_may_be_named(node: Node, caller: Principal, fork: Oid) -> None:
    diff = read_branch_diff(node, caller, ReadBranchDiff("r", RefInput("main"), SIDE))
    assert (diff.branch, diff.base, diff.merge_base) == ("main", "side", fork)
    assert changed(diff) == [("M", b"z")]


def test_a_branch_that_is_behind_its_base_has_no_changes(node: Node, caller: Principal, first: Oid) -> None:
    commit_files(node, caller, "r", "side", {"s": b""}, base="main")
    diff = read_branch_diff(node, caller, ReadBranchDiff("r", RefInput("main"), SIDE))
    assert (diff.merge_base, diff.files) == (first, [])


def test_the_default_branch_has_no_changes_against_itself(node: Node, caller: Principal, fork: Oid) -> None:
    diff = read_branch_diff(node, caller, ReadBranchDiff("r", RefInput("main")))
    assert (diff.base, diff.files) == ("main", [])


def test_branches_without_a_common_ancestor_are_compared_by_their_trees(
    node: Node, caller: Principal, first: Oid
) -> None:
    repo = lookup_repo(node, caller, "r")
    put_commit(node, caller, repo, refname=branch_refname("alone"), message=b"root\n")
    diff = read_branch_diff(node, caller, ReadBranchDiff("r", RefInput("alone")))
    assert diff.merge_base is None
    assert changed(diff) == [("D", b"a"), ("D", b"docs/b"), ("D", b"docs/deep/c")]


def test_paths_limit_the_diff(node: Node, caller: Principal, fork: Oid) -> None:
    diff = read_branch_diff(node, caller, ReadBranchDiff("r", SIDE, paths=[b"docs"]))
    assert changed(diff) == [("A", b"docs/s")]


def test_white_space_counts(node: Node, caller: Principal, first: Oid) -> None:
    commit_files(node, caller, "r", "side", {"a": b"one \n"}, base="main")
    (file,) = read_branch_diff(node, caller, ReadBranchDiff("r", SIDE)).files
    assert (file.additions, file.deletions) == (1, 1)


def test_the_base_of_an_ephemeral_branch_is_persistent_by_default(
    node: Node, caller: Principal, fork: Oid
) -> None:
    make_ephemeral(node, caller, "try", base="side")
    try_ = RefInput("try", ephemeral=True)
    assert read_branch_diff(node, caller, ReadBranchDiff("r", try_)).merge_base == fork
    with pytest.raises(BranchNotFound) as refused:
        read_branch_diff(node, caller, ReadBranchDiff("r", try_, base_is_ephemeral=True))
    assert refused.value.branch == "main"
    make_ephemeral(node, caller, "main", base="side")
    both = read_branch_diff(node, caller, ReadBranchDiff("r", try_, base_is_ephemeral=True))
    assert (both.base, both.files) == ("main", [])


@pytest.mark.parametrize("name", ["a..b", "a b", "side.lock", "HEAD", "refs/tags/v1"])
def test_a_name_that_no_branch_can_have_is_refused(
    node: Node, caller: Principal, fork: Oid, name: str
) -> None:
    for command in (ReadBranchDiff("r", RefInput(name)), ReadBranchDiff("r", SIDE, RefInput(name))):
        with pytest.raises(Invalid):
            read_branch_diff(node, caller, command)


def test_only_branches_are_compared(node: Node, caller: Principal, fork: Oid) -> None:
    for name in ("nowhere", fork):
        for command in (ReadBranchDiff("r", RefInput(name)), ReadBranchDiff("r", SIDE, RefInput(name))):
            with pytest.raises(BranchNotFound) as refused:
                read_branch_diff(node, caller, command)
            assert refused.value.branch == name


def test_an_empty_repository_and_a_stranger_get_no_branch_diff(
    node: Node, caller: Principal, stranger: Principal, fork: Oid
) -> None:
    create_repo(node, caller, CreateRepo("empty"))
    with pytest.raises(BranchNotFound):
        read_branch_diff(node, caller, ReadBranchDiff("empty", SIDE))
    for who, name in ((stranger, "r"), (caller, "other")):
        with pytest.raises(RepoNotFound):
            read_branch_diff(node, who, ReadBranchDiff(name, SIDE))
