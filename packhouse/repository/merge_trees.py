"""Merging two commits without a working copy: the one place that asks git for a merge.

The merge runs in a write of its own: git's new objects go there, and the repository's packs lie beneath. The write also
has two refs with the names that conflict markers show, since `git merge-tree` labels the sides with its arguments as
given (tried on git 2.39.5).
"""

import functools
from dataclasses import dataclass, replace

from packhouse import limits
from packhouse.git import HEADS, Oid, is_oid, is_refname, new_name_fault
from packhouse.git.commands.merge_tree import (
    ConflictSide,
    MergedTree,
    with_standing_paths,
)
from packhouse.git.objects import MODE_TREE, TreeReader, parse_commit, read_folder
from packhouse.repository.write import Write


@dataclass(frozen=True, slots=True)
class MergeSide:
    """A commit, and its name in conflict markers."""

    label: str
    commit: Oid


def merge_trees(
    write: Write,
    *,
    ours: MergeSide,
    theirs: MergeSide,
    allow_unrelated: bool = False,
) -> MergedTree:
    """Merge `theirs` into `ours` and return the tree, with the conflicts when there are any.

    A conflict is named by the path of a side, not by a path that git invented. New objects are loose in `write`, which
    must hold no others. Raises UnrelatedHistories unless allowed, MergeImpossible, LimitExceeded, TimedOut.
    """
    first, second = _distinct(ours, theirs)
    write.make_folder()
    with write.telling_damage():
        merged = write.git.merge_commits(
            ours=_write_label(write, first),
            theirs=_write_label(write, second),
            allow_unrelated=allow_unrelated,
            memory_max_bytes=write.node.limits.merge_memory_max_bytes,
        )
        return merged if merged.is_clean else _name_conflicts(write, merged, (ours, theirs))


def _name_conflicts(write: Write, merged: MergedTree, sides: tuple[MergeSide, MergeSide]) -> MergedTree:
    reader = write.reader()

    def read_tree(oid: Oid) -> bytes:
        return reader.read(oid, kind="tree")[1]

    ours, theirs = (
        _SideTree(read_tree, parse_commit(reader.read(side.commit, kind="commit")[1]).tree) for side in sides
    )
    return with_standing_paths(merged, lambda path: (ours.find(path), theirs.find(path)))


class _SideTree:
    """Finds paths in one side's tree. It keeps the folders read last, since many of the paths are in one folder."""

    def __init__(self, read_tree: TreeReader, root: Oid) -> None:
        self._root = root
        self._read_folder = functools.lru_cache(limits.merge_folders_kept)(
            functools.partial(read_folder, read_tree)
        )

    def find(self, path: bytes) -> ConflictSide | None:
        """Return the entry at the path, or None."""
        *folders, name = path.split(b"/")
        oid = self._root
        for folder in folders:
            entry = self._read_folder(oid).get(folder)
            if entry is None or entry.mode != MODE_TREE:
                return None
            oid = entry.oid
        entry = self._read_folder(oid).get(name)
        return None if entry is None else ConflictSide(entry.mode, entry.oid)


def source_label(name: str) -> str:
    """Return the label of a merge's source, given as a ref input: for a branch, its short name.

    A full name whose short form means another ref, such as `refs/heads/HEAD`, stays whole.
    """
    short = name.removeprefix("refs/heads/")
    return short if new_name_fault(HEADS + short.encode("utf-8")) is None else name


def _distinct(ours: MergeSide, theirs: MergeSide) -> tuple[MergeSide, MergeSide]:
    """Give the second side another label when both labels are equal, as for branches of two namespaces."""
    if ours.label == theirs.label:
        return ours, replace(theirs, label=f"source/{theirs.label}")
    return ours, theirs


def _write_label(write: Write, side: MergeSide) -> str:
    """Add a ref for the side's label to the scratch repository; return the argument that means this commit.

    A label that git would take for something else (an id, an option, `HEAD`) is spelled `heads/…`; one that
    can be no ref, such as `main~2`, is replaced by the commit's id.
    """
    refname = HEADS + side.label.encode("utf-8")
    if not is_refname(refname) or is_oid(side.label.lower()):
        return side.commit
    # All refs stand in one file: in files of their own, `a` and `a/b` could not exist side by side.
    write.write_refs([side.commit.encode("ascii") + b" " + refname])
    # Git would take some labels for an option, for another spelling of HEAD, for a file of the folder, or for a
    # longer form of the other side's name.
    special = side.label.startswith(("-", "@", "heads/", "refs/")) or write.is_special_name(side.label)
    return f"heads/{side.label}" if special else side.label
