"""Previews tell what a merge would do, with the contents of conflicts, and leave nothing behind."""

from dataclasses import replace

import pytest

from packhouse.auth import Principal
from packhouse.db import RepoNotFound
from packhouse.errors import Invalid
from packhouse.git import Oid, branch_refname
from packhouse.git.commands.merge_tree import MergeTooLarge, UnrelatedHistories
from packhouse.limits import Limits, merge_conflict_blob_max_bytes
from packhouse.node import Node
from packhouse.operations.commits.merge import Merge, MergeResult, MergeStrategy, merge
from packhouse.operations.commits.preview_merge import (
    ConflictBlob,
    MergePreview,
    PreviewMerge,
    preview_merge,
)
from packhouse.operations.refs.branches import BranchNotFound
from packhouse.operations.refs.create_branch import CreateBranch, create_branch
from packhouse.repository.refs.resolve import RefNotFound
from tests.support.builders.callers import with_policy
from tests.support.builders.node_writes import commit_files, put_commit
from tests.unit.operations.commits.stored import Stored

pytestmark = pytest.mark.quick

SIDE_INTO_MAIN = PreviewMerge(repo="r", source="side", target="main", include_content=True)


@pytest.fixture
def theirs(node: Node, caller: Principal, root: Oid) -> Oid:
    """The tip of side, one commit after main."""
    return commit_files(node, caller, "r", "side", {"a": b"theirs\n", "s": b"s\n"}, base="main").commit


def look(node: Node, caller: Principal, stored: Stored, command: PreviewMerge) -> MergePreview:
    """Return a preview; assert that it changes and leaves nothing."""
    before = (stored.tip(), stored.packs(), stored.last_move().id)
    preview = preview_merge(node, caller, command)
    assert (stored.tip(), stored.packs(), stored.last_move().id) == before
    assert stored.temporary_files() == []
    return preview


# What a merge would do


def test_a_target_that_is_behind_would_be_fast_forwarded(
    node: Node, caller: Principal, stored: Stored, root: Oid, theirs: Oid
) -> None:
    preview = look(node, caller, stored, SIDE_INTO_MAIN)
    assert (preview.result, preview.is_clean) == (MergeResult.FAST_FORWARD, True)
    assert (preview.source, preview.source_tip) == ("side", theirs)
    assert (preview.target, preview.target_tip, preview.merge_base) == ("main", root, root)
    assert (preview.conflict_paths, preview.conflicts, preview.omitted_paths) == ([], [], [])


@pytest.mark.parametrize("source", ["main", "main~1"])
def test_a_source_that_the_target_has_already_would_change_nothing(
    node: Node, caller: Principal, stored: Stored, root: Oid, source: str
) -> None:
    commit_files(node, caller, "r", "main", {"m": b"m\n"})
    assert look(node, caller, stored, replace(SIDE_INTO_MAIN, source=source)).result is MergeResult.NO_OP


def test_branches_that_have_parted_would_be_joined_by_a_commit(
    node: Node, caller: Principal, stored: Stored, root: Oid, theirs: Oid
) -> None:
    ours = commit_files(node, caller, "r", "main", {"m": b"m\n"}).commit
    preview = look(node, caller, stored, SIDE_INTO_MAIN)
    assert (preview.result, preview.is_clean) == (MergeResult.MERGE_COMMIT, True)
    assert (preview.source_tip, preview.target_tip, preview.merge_base) == (theirs, ours, root)
    assert preview.conflicts == []


def test_the_preview_agrees_with_the_merge(
    node: Node, caller: Principal, stored: Stored, theirs: Oid
) -> None:
    commit_files(node, caller, "r", "main", {"m": b"m\n"})
    for _ in range(2):
        preview = look(node, caller, stored, SIDE_INTO_MAIN)
        command = Merge("r", "side", False, branch_refname("main"), False, MergeStrategy.MERGE)
        merged = merge(node, caller, command)
        assert (merged.result, merged.merge_base) == (preview.result, preview.merge_base)
    assert merged.result is MergeResult.NO_OP


# Conflicts


def test_a_conflict_has_the_file_of_each_side_and_the_merged_one_with_markers(
    node: Node, caller: Principal, stored: Stored, theirs: Oid
) -> None:
    commit_files(node, caller, "r", "main", {"a": b"ours\n"})
    preview = look(node, caller, stored, SIDE_INTO_MAIN)
    assert (preview.result, preview.is_clean) == (MergeResult.MERGE_COMMIT, False)
    assert preview.conflict_paths == [b"a"]
    (conflict,) = preview.conflicts
    assert (conflict.path, conflict.merged_path) == (b"a", b"a")
    contents = [conflict.base.content, conflict.ours.content, conflict.theirs.content]
    assert contents == [b"one\n", b"ours\n", b"theirs\n"]
    assert conflict.result.content == b"<<<<<<< main\nours\n=======\ntheirs\n>>>>>>> side\n"
    assert not any((conflict.result.is_binary, conflict.result.is_truncated))


def test_contents_are_read_only_when_they_are_asked_for(
    node: Node, caller: Principal, stored: Stored, theirs: Oid
) -> None:
    commit_files(node, caller, "r", "main", {"a": b"ours\n"})
    preview = look(node, caller, stored, replace(SIDE_INTO_MAIN, include_content=False))
    assert (preview.is_clean, preview.conflict_paths, preview.conflicts) == (False, [b"a"], [])


def test_a_side_that_deleted_the_file_has_nothing_there(
    node: Node, caller: Principal, stored: Stored, theirs: Oid
) -> None:
    commit_files(node, caller, "r", "main", {"a": None})
    (conflict,) = look(node, caller, stored, SIDE_INTO_MAIN).conflicts
    assert conflict.ours == ConflictBlob()
    assert (conflict.base.content, conflict.theirs.content) == (b"one\n", b"theirs\n")


def test_a_file_that_both_sides_added_has_no_base(
    node: Node, caller: Principal, stored: Stored, theirs: Oid
) -> None:
    commit_files(node, caller, "r", "main", {"s": b"ours\n"})
    (conflict,) = look(node, caller, stored, SIDE_INTO_MAIN).conflicts
    assert (conflict.base, conflict.theirs.content) == (ConflictBlob(), b"s\n")


def test_a_binary_file_is_named_and_not_shown(
    node: Node, caller: Principal, stored: Stored, theirs: Oid
) -> None:
    commit_files(node, caller, "r", "main", {"a": b"\0ours"})
    (conflict,) = look(node, caller, stored, SIDE_INTO_MAIN).conflicts
    assert (conflict.ours.is_binary, conflict.ours.content) == (True, None)
    assert conflict.ours.oid is not None
    assert conflict.theirs.content == b"theirs\n"


def test_a_long_file_is_cut_between_two_characters(
    node: Node, caller: Principal, stored: Stored, theirs: Oid
) -> None:
    commit_files(node, caller, "r", "main", {"a": b"x" + "é".encode() * merge_conflict_blob_max_bytes})
    (conflict,) = look(node, caller, stored, SIDE_INTO_MAIN).conflicts
    assert conflict.ours.is_truncated
    assert conflict.ours.content == b"x" + "é".encode() * ((merge_conflict_blob_max_bytes - 1) // 2)
    assert not conflict.theirs.is_truncated


def test_a_file_against_a_folder_is_listed_under_its_own_path(
    node: Node, caller: Principal, stored: Stored, theirs: Oid
) -> None:
    commit_files(node, caller, "r", "main", {"a": None, "a/b": b"in a folder\n"})
    (conflict,) = look(node, caller, stored, SIDE_INTO_MAIN).conflicts
    assert (conflict.path, conflict.merged_path) == (b"a", b"a~side")
    assert (conflict.theirs.content, conflict.result.content) == (b"theirs\n", b"theirs\n")


def test_contents_of_conflicts_have_a_bound_and_paths_have_none(
    node: Node, caller: Principal, stored: Stored, root: Oid
) -> None:
    names = [f"f{number}" for number in range(5)]
    commit_files(node, caller, "r", "side", dict.fromkeys(names, b"theirs\n"), base="main")
    commit_files(node, caller, "r", "main", dict.fromkeys(names, b"ours\n"))
    small = replace(node, limits=Limits(merge_conflict_files_max=2))
    preview = look(small, caller, stored, SIDE_INTO_MAIN)
    assert preview.conflict_paths == [name.encode() for name in names]
    assert [conflict.path for conflict in preview.conflicts] == [b"f0", b"f1"]
    assert preview.omitted_paths == [b"f2", b"f3", b"f4"]


# What cannot be previewed


def test_unrelated_histories_and_too_large_merges_have_no_preview(
    node: Node, caller: Principal, stored: Stored, theirs: Oid
) -> None:
    put_commit(node, caller, stored.repo, refname=branch_refname("alone"))
    with pytest.raises(UnrelatedHistories):
        look(node, caller, stored, replace(SIDE_INTO_MAIN, source="alone"))
    large = b"x" * 20_000_000
    commit_files(node, caller, "r", "side", {"large": large + b"\ntheirs\n"})
    commit_files(node, caller, "r", "main", {"large": large + b"\nours\n"})
    small = replace(node, limits=Limits(merge_memory_max_bytes=40_000_000))
    with pytest.raises(MergeTooLarge):
        look(small, caller, stored, SIDE_INTO_MAIN)


@pytest.mark.parametrize(
    ("source", "target", "error"),
    [
        ("nowhere", "main", RefNotFound),
        ("a..b", "main", Invalid),
        ("side", "nowhere", BranchNotFound),
        ("side", "a..b", Invalid),
        ("nowhere", "missing", BranchNotFound),
    ],
)
def test_both_sides_exist(
    node: Node,
    caller: Principal,
    stored: Stored,
    theirs: Oid,
    source: str,
    target: str,
    error: type[Exception],
) -> None:
    with pytest.raises(error):
        look(node, caller, stored, PreviewMerge(repo="r", source=source, target=target))


def test_a_repository_of_another_organisation_is_not_found_whatever_the_names(
    node: Node, caller: Principal, stranger: Principal, theirs: Oid
) -> None:
    with pytest.raises(RepoNotFound):
        preview_merge(node, stranger, SIDE_INTO_MAIN)
    with pytest.raises(RepoNotFound):
        preview_merge(node, caller, PreviewMerge(repo="other", source="a..b", target="a..b"))


def test_each_side_is_resolved_in_its_own_namespace(
    node: Node, caller: Principal, stored: Stored, root: Oid, theirs: Oid
) -> None:
    create_branch(node, caller, CreateBranch("r", branch_refname("draft"), ephemeral=True, base_ref="side"))
    with pytest.raises(RefNotFound):
        look(node, caller, stored, replace(SIDE_INTO_MAIN, source="draft"))
    draft = replace(SIDE_INTO_MAIN, source="draft", source_is_ephemeral=True)
    assert look(node, caller, stored, draft).source_tip == theirs
    back = PreviewMerge(repo="r", source="main", target="draft", target_is_ephemeral=True)
    assert look(node, caller, stored, back).result is MergeResult.NO_OP
    with pytest.raises(BranchNotFound):
        look(node, caller, stored, replace(back, target_is_ephemeral=False))


def test_a_policy_about_writes_hides_no_preview(
    node: Node, caller: Principal, stored: Stored, theirs: Oid
) -> None:
    look(node, with_policy(caller, ["*", ["no-push"]]), stored, SIDE_INTO_MAIN)
