"""Applying a patch to a tree with git apply, which sees nothing of the repository but what the patch names.

A scratch repository of its own, without alternates, holds the pre-images and an index with just the paths in
question: the `index` line of a binary patch cannot become a way to read objects by their ids.
"""

import os
import re
import signal
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from packhouse import limits
from packhouse.error_codes import Code
from packhouse.errors import Invalid
from packhouse.git.commands.environment import GitPlace
from packhouse.git.commands.run import iter_git_output, run_git
from packhouse.git.objects.codec import MODE_GITLINK, MODE_TREE, TreeEntry
from packhouse.git.objects.fsck import check_upsert
from packhouse.git.objects.reader import ObjectReader
from packhouse.git.objects.tree_path import TreePath, check_tree_path
from packhouse.git.objects.tree_walk import PathEntry, iter_leaves, read_folder
from packhouse.git.oid import Oid, parse_oid
from packhouse.git.packs.writer import PackWriter
from packhouse.git.wire.patch_hunks import (
    WrongCounts,
    find_header,
    find_wrong_counts,
    missing_end,
    with_right_counts,
)
from packhouse.git.wire.patch_paths import find_patch_paths
from packhouse.repository.tree_maker import TreeMaker
from packhouse.repository.view import RepoView
from packhouse.repository.write import Write
from packhouse.storage.new_pack import NewPack
from packhouse.storage.quarantine import Quarantine
from packhouse.storage.spill_file import SpillFile

_MALFORMED: Final = re.compile(
    r"No valid patches|unrecognized input|corrupt (binary )?patch|invalid path|patch with only garbage"
    r"|lacks filename information|inconsistent (old|new|file)|invalid mode|affects file .* beyond|beyond a symbolic"
    r"|unrecognized binary patch|patch fragment without header|No changes|has null sha1"
)
_ABOUT_A_PATH: Final = re.compile(
    r"error: (.+): (?:does not exist in index|already exists in index|patch does not apply)"
)
_PLACE: Final = re.compile(r" at (?:line |patch:)(\d{1,9})\b")
_ADVICE: Final = ' (allow with "--allow-empty")'  # what only a user of git can follow
_REASON_MAX_CHARS: Final = 300
_TAIL_BYTES: Final = 256  # more than the longest line of binary data
_CRASHES: Final = frozenset({-signal.SIGABRT, -signal.SIGSEGV, -signal.SIGBUS, -signal.SIGFPE})
"""How git apply may end on a malformed patch: with an assertion on a new file whose header has a line that it
does not know (tried on 2.39.5)."""

_APPLY_CODES: Final = frozenset({0, 1, 128}) | _CRASHES


class PatchRefused(Invalid):
    """`reason` is in words of git, or of our own."""

    code = Code.PATCH_REFUSED
    reason: str


class PatchChangesNothing(Invalid):
    """The patch holds no file header."""

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
    """What the patch makes of a path; `mode` and `oid` are None when it is deleted."""

    path: bytes
    mode: int | None
    oid: Oid | None


def apply_patch(write: Write, spilled: SpillFile, maker: TreeMaker) -> tuple[Oid, list[PatchedFile]]:
    """Return the tree that the patch in `spilled` makes of `maker.parent_tree`, and the files it changed.

    New blobs and trees go into the maker's pack. Raises PatchDoesNotApply, Invalid for a patch that is
    malformed, changes nothing, or touches a path that a tree must not hold, and LimitExceeded for one that
    names too many paths.
    """
    patch = spilled.path
    _complete(patch)
    with patch.open("rb") as file:
        named = find_patch_paths(_iter_lines(file))
    with patch.open("rb") as file:
        faults = find_wrong_counts(_iter_lines(file))
    before = _find_entries(maker, named, entries_max=write.node.limits.tree_entries_max)
    with write.node.store.new_quarantine() as scratch, NewPack(scratch.pack_dir) as images:
        scratch.make_repository()
        _provide_blobs(write.view, images, before.values())
        _fill_index(scratch.path, before.values())
        after = _run_apply(scratch.path, patch, faults)
        changed = _compare(before, after)
        if not changed:
            raise PatchChangesNothing()
        _take_blobs(scratch, maker.writer, changed)
    editor = maker.edit()
    for change in sorted(changed, key=lambda change: change.mode is not None):  # deletions make room first
        if change.mode is None:
            editor.delete(change.path)
        else:
            assert change.oid is not None
            editor.upsert(TreePath(change.path), change.mode, change.oid)
    return editor.write(maker.emit), changed


def _iter_lines(file: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the beginnings of lines, long enough for any path; the rest of a line names nothing."""
    for line in file:
        yield line[: 4 * limits.tree_path_max_bytes + 100]


def _find_entries(maker: TreeMaker, named: Iterable[bytes], *, entries_max: int) -> dict[bytes, PathEntry]:
    """Return what the tree has at the named paths, each file that stands where they need a folder, and one
    file below each that is a folder itself."""
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
    """Return one file in or below the folder; None when there is none."""
    for entry in entries.values():
        path = b"/".join([*folders, entry.name])
        if entry.mode != MODE_TREE:
            return PathEntry(path, entry.mode, entry.oid)
        leaf = next(iter_leaves(maker.read_tree, entry.oid, path, entries_max=entries_max), None)
        if leaf is not None:
            return leaf
    return None


def _count_shared(first: Sequence[bytes], second: Sequence[bytes]) -> int:
    """Return how many parts both begin with."""
    pairs = enumerate(zip(first, second, strict=False))
    return next((place for place, (one, other) in pairs if one != other), min(len(first), len(second)))


def _provide_blobs(view: RepoView, images: NewPack, entries: Iterable[PathEntry]) -> None:
    """Put the pre-images into a pack of the scratch repository."""
    for oid in {entry.oid for entry in entries if entry.mode != MODE_GITLINK}:
        size_bytes = view.read_header(oid)[1]
        if size_bytes <= limits.object_in_process_max_bytes:
            images.writer.add_object("blob", view.read(oid, kind="blob")[1])
        else:
            images.writer.add_blob_chunks(size_bytes, view.iter_blob(oid, size_bytes))
    if len(images.writer):
        images.finish()


def _complete(patch: Path) -> None:
    """Append what only the end of the patch lacks, such as its last line feed."""
    with patch.open("r+b") as file:
        size_bytes = file.seek(0, os.SEEK_END)
        file.seek(max(0, size_bytes - _TAIL_BYTES))
        file.write(missing_end(file.read()))


def _fill_index(git_dir: Path, entries: Iterable[PathEntry]) -> None:
    rows = b"".join(b"%06o %s\t%s\0" % (e.mode, e.oid.encode("ascii"), e.path) for e in entries)
    run_git(
        GitPlace(git_dir), "update-index", "-z", "--add", "--index-info", stdin=rows, env=_index_of(git_dir)
    )


def _index_of(git_dir: Path) -> dict[str, str]:
    return {"GIT_INDEX_FILE": str(git_dir / "index")}


def _run_apply(git_dir: Path, patch: Path, faults: Sequence[WrongCounts]) -> dict[bytes, PathEntry]:
    """Return the index that git apply made of the one in place.

    Hunk headers that count wrongly are put right first. Blank lines at the end of such a hunk may be its context or
    stand behind it: the patch is tried without them, then with them. A patch that fits says the same either way. Where
    that does not fit, and the counts can be believed, what stands behind the hunks was no part of them.
    """
    applied = None
    for candidate in _iter_candidates(git_dir, patch, faults):
        applied = run_git(
            GitPlace(git_dir),
            "apply",
            "--cached",
            "--binary",
            str(candidate),
            env=_index_of(git_dir),
            ok_codes=_APPLY_CODES,
        )
        if applied.code == 0:
            break
    assert applied is not None
    if applied.code in _CRASHES:
        raise PatchRefused("git cannot make sense of its headers")
    if applied.code != 0:
        _refuse(applied.stderr.decode("utf-8", "replace").replace(str(candidate), "patch"), patch, faults)
    listed = run_git(GitPlace(git_dir), "ls-files", "--stage", "-z", env=_index_of(git_dir)).stdout
    return {entry.path: entry for entry in map(_parse_row, listed.split(b"\0")[:-1])}


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


def _refuse(messages: str, patch: Path, faults: Sequence[WrongCounts]) -> None:
    errors = [line for line in messages.splitlines() if line.startswith(("error:", "fatal:"))]
    reason = "; ".join(line.partition(": ")[2] for line in errors)[:_REASON_MAX_CHARS].replace(_ADVICE, "")
    if any(_MALFORMED.search(line) for line in errors):
        raise PatchRefused(reason + _name_header(reason, patch))
    for line in errors:
        about = _ABOUT_A_PATH.fullmatch(line)
        if about is not None:
            check_tree_path(about[1])  # a path that no tree may hold makes the patch itself wrong
    if faults:
        reason += f"; {faults[0]}, and was read so"
    raise PatchDoesNotApply(reason)


def _name_header(reason: str, patch: Path) -> str:
    """Return which hunk header the line that git complains about belongs to."""
    place = _PLACE.search(reason)
    if place is None:
        return ""
    with patch.open("rb") as file:
        header = find_header(_iter_lines(file), int(place[1]))
    return "" if header is None else f" (hunk header of line {header[0]}: {header[1]})"


def _parse_row(row: bytes) -> PathEntry:
    facts, _, path = row.partition(b"\t")
    mode, oid, _stage = facts.split(b" ")
    return PathEntry(path, int(mode, 8), parse_oid(oid.decode("ascii")))


def _compare(before: Mapping[bytes, PathEntry], after: Mapping[bytes, PathEntry]) -> list[PatchedFile]:
    """Return what differs; raise Invalid for a new path that no tree of ours may hold."""
    changed = [PatchedFile(path, None, None) for path in before if path not in after]
    for path, entry in after.items():
        if before.get(path) != entry:
            if check_tree_path(path) != path:
                raise PathNotRelative(path)
            check_upsert(path, entry.mode, entry.oid)
            changed.append(PatchedFile(path, entry.mode, entry.oid))
    return changed


def _take_blobs(scratch: Quarantine, writer: PackWriter, changed: Iterable[PatchedFile]) -> None:
    reader = ObjectReader(scratch.object_dir)
    for file in changed:
        if file.oid is None or file.mode == MODE_GITLINK:
            continue
        size_bytes = reader.read_header(file.oid)[1]
        if size_bytes <= limits.object_in_process_max_bytes:
            writer.add_object("blob", reader.read(file.oid, kind="blob")[1])
        else:
            pieces = iter_git_output(
                GitPlace(scratch.path), "cat-file", "blob", file.oid, timeout_s=limits.git_stall_max_s
            )
            writer.add_blob_chunks(size_bytes, pieces)
