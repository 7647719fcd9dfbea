"""Merging two commits without a working copy: trees, conflicts, and the labels in conflict markers."""

import pytest

from packhouse.db.repos import Repo
from packhouse.git.commands.merge_tree import MergedTree, UnrelatedHistories
from packhouse.git.oid import Oid
from packhouse.node.node import Node
from packhouse.repository.merge_trees import MergeSide, merge_trees, source_label
from packhouse.repository.view import RepoView
from packhouse.repository.write import Write
from tests.unit.repository.trees import Files, add_files_commit, read_files, store

pytestmark = pytest.mark.quick

BASE: Files = {"a": b"1\n2\n3\n4\n5\n", "folder/b": b"b\n", "folder/c": b"c\n"}


class Sides:
    """A base commit, and two commits on top of it."""

    def __init__(self, node: Node, repo: Repo, ours: Files, theirs: Files, *, base: Files = BASE) -> None:
        self.node, self.repo = node, repo

        def add(write: Write) -> tuple[Oid, Oid, Oid]:
            first = add_files_commit(write, base, message=b"base\n")
            return (
                first,
                add_files_commit(write, ours, first, message=b"ours\n"),
                add_files_commit(write, theirs, first, message=b"theirs\n"),
            )

        self.base, self.ours, self.theirs = store(node, repo, add)

    def merge(self, *, ours: str = "main", theirs: str = "feature") -> tuple[MergedTree, dict[str, bytes]]:
        """Return the merge, and the files of its tree."""
        with RepoView(self.node, self.repo) as view, Write(view, is_kept=False) as write:
            merged = merge_trees(
                write, ours=MergeSide(ours, self.ours), theirs=MergeSide(theirs, self.theirs)
            )
            return merged, read_files(write.reader(), merged.tree)


def test_changes_to_different_files_and_places_come_together(node: Node, repo: Repo) -> None:
    sides = Sides(
        node,
        repo,
        {**BASE, "a": b"0\n1\n2\n3\n4\n5\n", "new": b"n\n"},
        {**BASE, "a": b"1\n2\n3\n4\n5\n6\n", "folder/b": b"B\n"},
    )
    merged, files = sides.merge()
    assert merged.is_clean
    assert merged.conflicts == ()
    assert files == {"a": b"0\n1\n2\n3\n4\n5\n6\n", "folder/b": b"B\n", "folder/c": b"c\n", "new": b"n\n"}


def test_a_deletion_on_one_side_is_kept(node: Node, repo: Repo) -> None:
    without = {path: content for path, content in BASE.items() if path != "folder/b"}
    merged, files = Sides(node, repo, without, {**BASE, "a": b"x\n"}).merge()
    assert merged.is_clean
    assert set(files) == {"a", "folder/c"}


def test_a_conflict_has_the_entry_of_each_side_and_markers_in_the_file(node: Node, repo: Repo) -> None:
    sides = Sides(node, repo, {**BASE, "a": b"1\nours\n3\n4\n5\n"}, {**BASE, "a": b"1\ntheirs\n3\n4\n5\n"})
    merged, files = sides.merge()
    assert not merged.is_clean
    (conflict,) = merged.conflicts
    assert conflict.path == conflict.merged_path == b"a"
    assert conflict.base is not None and conflict.ours is not None and conflict.theirs is not None
    assert len({conflict.base.oid, conflict.ours.oid, conflict.theirs.oid}) == 3
    assert files["a"] == b"1\n<<<<<<< main\nours\n=======\ntheirs\n>>>>>>> feature\n3\n4\n5\n"


def test_a_file_that_one_side_deleted_and_the_other_changed_is_a_conflict(node: Node, repo: Repo) -> None:
    without = {path: content for path, content in BASE.items() if path != "folder/b"}
    merged, _ = Sides(node, repo, without, {**BASE, "folder/b": b"changed\n"}).merge()
    (conflict,) = merged.conflicts
    assert (conflict.path, conflict.ours) == (b"folder/b", None)
    assert conflict.theirs is not None


def test_a_conflict_is_named_by_a_path_that_a_side_has(node: Node, repo: Repo) -> None:
    """A file and a folder of one name cannot both stay; git invents a name for one of them."""
    sides = Sides(node, repo, {**BASE, "x": b"file\n"}, {**BASE, "x/inner": b"inner\n"})
    merged, files = sides.merge()
    assert not merged.is_clean
    assert [conflict.path for conflict in merged.conflicts] == [b"x"]
    (conflict,) = merged.conflicts
    assert conflict.merged_path.decode() in files
    assert conflict.merged_path != b"x"


# Labels of the sides


@pytest.mark.parametrize(
    "label",
    [
        *("feature/x", "HEAD", "-option", "@", "heads/x", "refs/heads/x", "objects", "config", "main/deeper"),
        *("é", "a b", "main~2", "x..y", "a:b", "deadbeef"),
    ],
)
def test_any_label_is_only_a_label(node: Node, repo: Repo, label: str) -> None:
    """Git takes arguments for refs, options and files. The choice of the merged commits must not depend on a label."""
    sides = Sides(node, repo, {**BASE, "a": b"ours\n"}, {**BASE, "a": b"theirs\n"})
    merged, files = sides.merge(theirs=label)
    assert [conflict.path for conflict in merged.conflicts] == [b"a"]
    first, *_, last = files["a"].decode().splitlines()
    assert first == "<<<<<<< main"
    shown = last.removeprefix(">>>>>>> ")
    assert shown in (label, f"heads/{label}", sides.theirs)


def test_an_id_as_a_label_means_the_commit_of_its_side(node: Node, repo: Repo) -> None:
    sides = Sides(node, repo, {**BASE, "a": b"ours\n"}, {**BASE, "a": b"theirs\n"})
    _, files = sides.merge(theirs=sides.base)
    assert b"theirs\n" in files["a"]


def test_two_sides_with_one_name_get_different_labels(node: Node, repo: Repo) -> None:
    """A branch of each namespace may have the same name."""
    sides = Sides(node, repo, {**BASE, "a": b"ours\n"}, {**BASE, "a": b"theirs\n"})
    _, files = sides.merge(ours="main", theirs="main")
    assert b"<<<<<<< main\nours\n" in files["a"]
    assert b">>>>>>> source/main" in files["a"]


def test_a_branch_is_labelled_by_its_short_name() -> None:
    assert source_label("refs/heads/feature") == "feature"
    assert source_label("feature") == "feature"
    assert source_label("refs/tags/v1") == "refs/tags/v1"
    assert source_label("refs/heads/HEAD") == "refs/heads/HEAD", "its plain name means something else"


# Commits that cannot be merged


def test_unrelated_histories_are_merged_only_when_allowed(node: Node, repo: Repo) -> None:
    first, second = store(
        node,
        repo,
        lambda write: (
            add_files_commit(write, {"a": b"1\n"}, message=b"first\n"),
            add_files_commit(write, {"b": b"2\n"}, message=b"second\n"),
        ),
    )
    ours, theirs = MergeSide("main", first), MergeSide("other", second)
    with RepoView(node, repo) as view, Write(view, is_kept=False) as write, pytest.raises(UnrelatedHistories):
        merge_trees(write, ours=ours, theirs=theirs)
    with RepoView(node, repo) as view, Write(view, is_kept=False) as write:
        merged = merge_trees(write, ours=ours, theirs=theirs, allow_unrelated=True)
        assert read_files(write.reader(), merged.tree) == {"a": b"1\n", "b": b"2\n"}
