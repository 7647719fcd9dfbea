"""Applying a patch to a tree with git apply, which sees only the entries of the tree that the patch names.

A scratch repository without alternates holds the blobs before the patch and an index with only the paths of the patch.
So the `index` line of a binary patch cannot become a way to read objects by their ids.
"""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from packhouse import limits
from packhouse.errors import Code, Invalid
from packhouse.git import Oid
from packhouse.git.commands.apply import PatchNotTaken, ScratchIndex
from packhouse.git.commands.cat_file import iter_blob
from packhouse.git.objects import (
    MODE_GITLINK,
    MODE_TREE,
    ObjectReader,
    PathEntry,
    TreeEntry,
    TreePath,
    check_tree_path,
    check_upsert,
    iter_leaves,
    read_folder,
)
from packhouse.git.packs import PackWriter
from packhouse.git.wire import (
    WrongCounts,
    find_header,
    find_patch_paths,
    find_wrong_counts,
    missing_end,
    with_right_counts,
)
from packhouse.repository.tree_maker import TreeMaker
from packhouse.repository.view import RepoView
from packhouse.repository.write import Write
from packhouse.storage import NewPack, Quarantine, SpillFile

_TAIL_BYTES: Final = 256  # more than the longest line of binary data


class PatchRefused(Invalid):
    """Git cannot read the text as a patch. `reason` is in git's words or in our own."""

    code = Code.PATCH_REFUSED
    reason: str


class PatchChangesNothing(Invalid):
    """The patch has no file header."""

    code = Code.PATCH_CHANGES_NOTHING


class PathNotRelative(Invalid):
    """A path of the patch begins with a slash."""

    code = Code.PATH_NOT_RELATIVE
    path: bytes


class PatchDoesNotApply(Invalid):
    """The tree is not what the patch was made for. `reason` is in git's words."""

    code = Code.PATCH_DOES_NOT_APPLY
    reason: str


@dataclass(frozen=True, slots=True)
class PatchedFile:
    """A path after the patch; `mode` and `oid` are None when the patch deletes it."""

    path: bytes
    mode: int | None
    oid: Oid | None


def apply_patch(write: Write, spilled: SpillFile, maker: TreeMaker) -> tuple[Oid, list[PatchedFile]]:
    """Return the tree that the patch in `spilled` makes of `maker.parent_tree`, and the files it changed.

    New blobs and trees go into the maker's pack. Raises PatchDoesNotApply, LimitExceeded for a patch that names too
    many
    paths, and Invalid for a patch that is malformed, changes nothing, or touches a path that a tree must not hold.
    """
    patch = spilled.path
    _complete(patch)
    with patch.open("rb") as file:
        named = find_patch_paths(_iter_lines(file))
    with patch.open("rb") as file:
        faults = find_wrong_counts(_iter_lines(file))
    before = _find_entries(maker, named, entries_max=write.node.limits.tree_entries_max)
    with write.node.store.new_quarantine() as scratch, NewPack(lambda: scratch.pack_dir) as images:
        scratch.make_repository()
        _provide_blobs(write.view, images, before.values())
        index = ScratchIndex(scratch.path)
        index.fill(before.values())
        _apply(index, scratch.path, patch, faults)
        changed = _compare(before, index.read())
        if not changed:
            raise PatchChangesNothing()
        _take_blobs(scratch, index, maker.writer, changed)
    editor = maker.edit()
    for change in sorted(changed, key=lambda change: change.mode is not None):  # deletions make room first
        if change.mode is None:
            editor.delete(change.path)
        else:
            assert change.oid is not None
            editor.upsert(TreePath(change.path), change.mode, change.oid)
    return editor.write(maker.emit), changed


def _iter_lines(file: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the beginning of each line, long enough for any path. The rest of a long line names no path."""
    for line in file:
        yield line[: 4 * limits.tree_path_max_bytes + 100]


def _find_entries(maker: TreeMaker, named: Iterable[bytes], *, entries_max: int) -> dict[bytes, PathEntry]:
    """Return the entries of the tree that the patch needs.

    They are the entries at the named paths, the files at places where a named path needs a folder, and one file below
    each named path that is a folder in the tree.
    """
    entries: dict[bytes, PathEntry] = {}
    if maker.parent_tree is None:
        return entries
    # Sorted so that a folder is entered once for all paths below it, however many and deep they are.
    folders: list[bytes] = []
    trees = [read_folder(maker.read_tree, maker.parent_tree)]
    for path in sorted(named, key=lambda path: path.replace(b"/", b"\0")):
        parts = path.split(b"/")
        shared = _count_shared(folders, parts)
        del folders[shared:], trees[shared + 1 :]
        for name in parts[shared:]:
            found = trees[-1].get(name)
            if found is None:
                break
            if found.mode != MODE_TREE:
                in_place = b"/".join([*folders, name])
                entries[in_place] = PathEntry(in_place, found.mode, found.oid)
                break
            folders.append(name)
            trees.append(read_folder(maker.read_tree, found.oid))
        else:
            leaf = _find_leaf(maker, folders, trees[-1], entries_max=entries_max)
            if leaf is not None:
                entries[leaf.path] = leaf
    return entries


def _find_leaf(
    maker: TreeMaker, folders: Sequence[bytes], entries: Mapping[bytes, TreeEntry], *, entries_max: int
) -> PathEntry | None:
    """Return one file in or below the folder; None when there is no file."""
    for entry in entries.values():
        path = b"/".join([*folders, entry.name])
        if entry.mode != MODE_TREE:
            return PathEntry(path, entry.mode, entry.oid)
        leaf = next(iter_leaves(maker.read_tree, entry.oid, path, entries_max=entries_max), None)
        if leaf is not None:
            return leaf
    return None


def _count_shared(first: Sequence[bytes], second: Sequence[bytes]) -> int:
    """Return the number of parts that both paths begin with."""
    pairs = enumerate(zip(first, second, strict=False))
    return next((place for place, (one, other) in pairs if one != other), min(len(first), len(second)))


def _provide_blobs(view: RepoView, images: NewPack, entries: Iterable[PathEntry]) -> None:
    """Put the blobs before the patch into a pack of the scratch repository."""
    for oid in {entry.oid for entry in entries if entry.mode != MODE_GITLINK}:
        size_bytes = view.read_header(oid)[1]
        if size_bytes <= limits.object_in_process_max_bytes:
            images.writer.add_object("blob", view.read(oid, kind="blob")[1])
        else:
            images.writer.add_blob_chunks(size_bytes, view.iter_blob(oid, size_bytes))
    if len(images.writer):
        images.finish()


def _complete(patch: Path) -> None:
    """Append the final line feed, or another end that the patch lacks."""
    with patch.open("r+b") as file:
        size_bytes = file.seek(0, os.SEEK_END)
        file.seek(max(0, size_bytes - _TAIL_BYTES))
        file.write(missing_end(file.read()))


def _apply(index: ScratchIndex, git_dir: Path, patch: Path, faults: Sequence[WrongCounts]) -> None:
    """Apply the patch to the index.

    Hunk headers with wrong counts are corrected first. Blank lines at the end of a corrected hunk may be context, or
    may follow the hunk: the patch is tried without them, then with them. When it fits, both readings have the same
    result. When neither fits and the counts are credible, the text after the hunks was not part of them.
    """
    refused = None
    for candidate in _iter_candidates(git_dir, patch, faults):
        try:
            index.apply(candidate)
        except PatchNotTaken as error:
            refused = error
        else:
            return
    assert refused is not None, "there is a candidate"
    _refuse(refused, patch, faults)


def _iter_candidates(git_dir: Path, patch: Path, faults: Sequence[WrongCounts]) -> Iterator[Path]:
    if not faults:
        yield patch
        return
    mended = git_dir / "mended.patch"
    for keeps_blank_lines in (False, True):
        with patch.open("rb") as source, mended.open("wb") as target:
            target.writelines(with_right_counts(source, faults, keeps_blank_lines=keeps_blank_lines))
        yield mended
        if not any(fault.blank_lines for fault in faults):
            break
    if all(fault.is_filled for fault in faults):
        yield patch


def _refuse(refused: PatchNotTaken, patch: Path, faults: Sequence[WrongCounts]) -> None:
    reason = refused.reason
    if refused.is_malformed:
        raise PatchRefused(reason + _name_header(refused.line, patch))
    for path in refused.paths:
        check_tree_path(path)  # a path that no tree may hold makes the patch itself wrong
    if faults:
        reason += f"; {faults[0]}, and was read so"
    raise PatchDoesNotApply(reason)


def _name_header(line: int | None, patch: Path) -> str:
    """Return the hunk header before the line that git complains about, and its file, in words."""
    if line is None:
        return ""
    with patch.open("rb") as file:
        header = find_header(_iter_lines(file), line)
    return "" if header is None else f" (hunk header of line {header[0]}: {header[1]})"


def _compare(before: Mapping[bytes, PathEntry], after: Mapping[bytes, PathEntry]) -> list[PatchedFile]:
    """Return the files that differ; raise Invalid for a new path that no tree of ours may hold."""
    changed = [PatchedFile(path, None, None) for path in before if path not in after]
    for path, entry in after.items():
        if before.get(path) != entry:
            if check_tree_path(path) != path:
                raise PathNotRelative(path)
            check_upsert(path, entry.mode, entry.oid)
            changed.append(PatchedFile(path, entry.mode, entry.oid))
    return changed


def _take_blobs(
    scratch: Quarantine, index: ScratchIndex, writer: PackWriter, changed: Iterable[PatchedFile]
) -> None:
    reader = ObjectReader(scratch.object_dir)
    for file in changed:
        if file.oid is None or file.mode == MODE_GITLINK:
            continue
        size_bytes = reader.read_header(file.oid)[1]
        if size_bytes <= limits.object_in_process_max_bytes:
            writer.add_object("blob", reader.read(file.oid, kind="blob")[1])
        else:
            writer.add_blob_chunks(size_bytes, iter_blob(index.runner, file.oid))
