"""Previewing a merge: git's new objects are not kept."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from packhouse import limits
from packhouse.auth import Principal
from packhouse.db import Repo, get_ref
from packhouse.git import EPHEMERAL, PERSISTENT, Oid, branch_refname, short_name
from packhouse.git.commands.merge_tree import ConflictedPath, ConflictSide, MergedTree, UnrelatedHistories
from packhouse.git.objects import MODE_GITLINK, Objects, TreeReader, find_path
from packhouse.node import Node
from packhouse.operations.catalog.lookup import lookup_repo
from packhouse.operations.commits.merge import MergeResult
from packhouse.operations.refs.branches import BranchNotFound
from packhouse.repository import MergeSide, Write, merge_trees, open_view, resolve_ref, source_label

_BINARY_PROBE_BYTES: Final = 8000
"""A file with a NUL among this many first bytes is binary (git's xdiff-interface.c, buffer_is_binary())."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PreviewMerge:
    """The merge to preview. `source` is any ref input, `target` the name of a branch as callers spell it.

    With `include_content`, the contents of conflicted files are read as well.
    """

    repo: str
    source: str
    source_is_ephemeral: bool = False
    target: str
    target_is_ephemeral: bool = False
    include_content: bool = False


@dataclass(frozen=True, slots=True)
class ConflictBlob:
    """One side of a conflict. `oid` is None if the side has no entry, `content` None if it is binary or not a file."""

    oid: Oid | None = None
    content: bytes | None = None
    is_truncated: bool = False
    is_binary: bool = False


@dataclass(frozen=True, slots=True)
class Conflict:
    """A path that could not be merged. `result` is the file with conflict markers, `ours` the target's side.

    `merged_path` is the path of the result. It differs when another entry takes the path itself in the merged tree.
    """

    path: bytes
    merged_path: bytes
    result: ConflictBlob
    base: ConflictBlob
    ours: ConflictBlob
    theirs: ConflictBlob


@dataclass(frozen=True, slots=True)
class MergePreview:
    """The preview. `result` is that of a merge without squashing."""

    result: MergeResult
    source: str
    target: str
    source_tip: Oid
    target_tip: Oid
    merge_base: Oid | None
    conflict_paths: list[bytes]
    conflicts: list[Conflict]
    is_clean: bool
    shown_max: int

    @property
    def omitted_paths(self) -> list[bytes]:
        """The conflicted paths beyond those whose contents are shown."""
        return self.conflict_paths[self.shown_max :]


def preview_merge(node: Node, caller: Principal, command: PreviewMerge) -> MergePreview:
    """Return the result that merging the source into the target would have.

    Raises RepoNotFound, Invalid, RefNotFound, BranchNotFound, UnrelatedHistories, MergeImpossible,
    LimitExceeded, TimedOut.
    """
    repo = lookup_repo(node, caller, command.repo)
    refname = branch_refname(command.target)
    with node.database.read() as session:
        ref = get_ref(session, repo.id, EPHEMERAL if command.target_is_ephemeral else PERSISTENT, refname)
    if ref is None:
        raise BranchNotFound(short_name(refname))
    with open_view(node, repo) as view:
        found = resolve_ref(view, command.source, ephemeral=command.source_is_ephemeral)
    ours = MergeSide(short_name(refname), ref.oid)
    theirs = MergeSide(source_label(found.name), found.commit)
    with open_view(node, repo) as view:
        merge_base = view.git.merge_base(ours.commit, theirs.commit)
    if merge_base is None:
        raise UnrelatedHistories()
    preview = MergePreview(
        _kind_of_merge(ours, theirs, merge_base),
        source=theirs.label,
        target=ours.label,
        source_tip=theirs.commit,
        target_tip=ours.commit,
        merge_base=merge_base,
        conflict_paths=[],
        conflicts=[],
        is_clean=True,
        shown_max=node.limits.merge_conflict_files_max,
    )
    if preview.result is MergeResult.MERGE_COMMIT:
        return _try_merge(node, repo, ours, theirs, preview, include_content=command.include_content)
    return preview


def _kind_of_merge(ours: MergeSide, theirs: MergeSide, merge_base: Oid) -> MergeResult:
    if merge_base == theirs.commit:
        return MergeResult.NO_OP
    return MergeResult.FAST_FORWARD if merge_base == ours.commit else MergeResult.MERGE_COMMIT


def _try_merge(
    node: Node,
    repo: Repo,
    ours: MergeSide,
    theirs: MergeSide,
    preview: MergePreview,
    *,
    include_content: bool,
) -> MergePreview:
    with open_view(node, repo) as view, Write(view, is_kept=False) as write:
        merged = merge_trees(write, ours=ours, theirs=theirs)
        conflicts: list[Conflict] = []
        if include_content and not merged.is_clean:
            conflicts = list(_iter_conflicts(write, write.reader(), merged, preview.shown_max))
    return replace(
        preview,
        conflict_paths=[conflict.path for conflict in merged.conflicts],
        conflicts=conflicts,
        is_clean=merged.is_clean,
    )


def _iter_conflicts(write: Write, reader: Objects, merged: MergedTree, shown_max: int) -> Iterator[Conflict]:
    def read_tree(oid: Oid) -> bytes:
        return reader.read(oid, kind="tree")[1]

    for conflict in merged.conflicts[:shown_max]:
        yield Conflict(
            conflict.path,
            conflict.merged_path,
            result=_read_side(write, reader, _find_result(read_tree, merged, conflict)),
            base=_read_side(write, reader, conflict.base),
            ours=_read_side(write, reader, conflict.ours),
            theirs=_read_side(write, reader, conflict.theirs),
        )


def _find_result(read_tree: TreeReader, merged: MergedTree, conflict: ConflictedPath) -> ConflictSide | None:
    entry = find_path(read_tree, merged.tree, conflict.merged_path)
    return None if entry is None or entry.kind == "tree" else ConflictSide(entry.mode, entry.oid)


def _read_side(write: Write, reader: Objects, side: ConflictSide | None) -> ConflictBlob:
    if side is None:
        return ConflictBlob()
    if side.mode == MODE_GITLINK:
        return ConflictBlob(oid=side.oid)
    size_bytes = reader.read_header(side.oid)[1]
    content = _read_start(write, reader, side.oid, size_bytes)
    if b"\0" in content[:_BINARY_PROBE_BYTES]:
        return ConflictBlob(oid=side.oid, is_binary=True)
    return ConflictBlob(side.oid, content, is_truncated=size_bytes > len(content))


def _read_start(write: Write, reader: Objects, oid: Oid, size: int) -> bytes:
    """Return the first bytes of a blob. A blob over the bound is cut between two characters."""
    start = b""
    is_small = size <= limits.object_in_process_max_bytes
    pieces = iter([reader.read(oid, kind="blob")[1]]) if is_small else write.git.iter_blob(oid)
    for piece in pieces:
        start += piece[: limits.merge_conflict_blob_max_bytes - len(start)]
        if len(start) == limits.merge_conflict_blob_max_bytes:
            break
    return start if len(start) == size else _drop_part_of_character(start)


def _drop_part_of_character(text: bytes) -> bytes:
    """Return UTF-8 text without the first bytes of a character that was cut off (RFC 3629 section 3)."""
    lead = len(text) - 1
    while lead > len(text) - 4 and text[lead] & 0xC0 == 0x80:
        lead -= 1
    length = next((n for n, mask in ((4, 0xF0), (3, 0xE0), (2, 0xC0)) if text[lead] & mask == mask), 1)
    return text if lead + length <= len(text) else text[:lead]
