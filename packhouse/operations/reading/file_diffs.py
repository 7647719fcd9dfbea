"""The changed files of two trees, as patches that are shown or applied.

Binary files, large files and lock files, which tools write, are listed without their patch. A patch for `git apply`
keeps as much text as possible.
"""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from packhouse import limits
from packhouse.git import Oid
from packhouse.git.commands.diff_tree import DiffEntry, FilePatch
from packhouse.git.objects import MODE_GITLINK
from packhouse.repository import RepoView

LOCK_FILES: Final = frozenset(
    {
        *(b"package-lock.json", b"npm-shrinkwrap.json", b"yarn.lock", b"pnpm-lock.yaml", b"bun.lockb"),
        *(b"bun.lock", b"go.sum", b"Cargo.lock", b"poetry.lock", b"uv.lock", b"Pipfile.lock"),
        *(b"composer.lock", b"Gemfile.lock", b"flake.lock"),
    }
)
SHOWN_FILE_MAX_BYTES: Final = 500_000
SHOWN_LINES_MAX: Final = 2000
APPLICABLE_FILE_MAX_BYTES: Final = 5_000_000
_PATCH_OVERHEAD_BYTES: Final = 64 * limits.KIB
_PATCH_BYTES_PER_BYTE: Final = 16
"""The largest size of a patch as a multiple of the larger side. If one byte of every eighth line changed, the head of
each hunk takes 110 bytes."""


@dataclass(frozen=True, slots=True)
class FileDiff:
    """One changed file. `raw` is None for a hidden patch; its counts then appear only in the statistics.

    `size_bytes` is the size of the patch, or of the blob if that is binary. `ends_with_newline` is about the new
    content, or about the old content of a deleted file.
    """

    entry: DiffEntry
    raw: bytes | None
    size_bytes: int
    ends_with_newline: bool
    additions: int
    deletions: int


@dataclass(frozen=True, slots=True)
class RefInput:
    """A caller's text for a ref, and the namespace in which to look it up."""

    text: str
    ephemeral: bool = False


@dataclass(frozen=True, slots=True)
class DiffRules:
    """Which patches are shown. With `applicable`, white space counts, and the patches together rebuild the tree."""

    applicable: bool = False
    ignore_space_change: bool = False

    @property
    def file_max_bytes(self) -> int:
        return APPLICABLE_FILE_MAX_BYTES if self.applicable else SHOWN_FILE_MAX_BYTES

    def hides(self, patch: FilePatch, size_bytes: int) -> bool:
        """Tell whether a file is listed without its patch. `size_bytes` is the size of the larger side."""
        if patch.raw is None or patch.is_binary or size_bytes > self.file_max_bytes:
            return True
        if self.applicable:
            return not _is_utf8(patch.raw)
        too_long = patch.additions + patch.deletions > SHOWN_LINES_MAX
        return too_long or is_lock_file(patch.entry.path)


def is_lock_file(path: bytes) -> bool:
    """Tell whether the file is written by a package manager, according to its name."""
    return path.rpartition(b"/")[2] in LOCK_FILES


def _is_utf8(raw: bytes) -> bool:
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def list_file_diffs(
    view: RepoView, *, old: Oid, new: Oid, paths: Sequence[bytes], rules: DiffRules
) -> list[FileDiff]:
    """Return the files at or below `paths` (none: all) that differ between two commits or trees.

    Raises TimedOut, and LimitExceeded for too many files.
    """
    return list(_iter_files(view, old, new, paths, rules))


def _iter_files(
    view: RepoView, old: Oid, new: Oid, paths: Sequence[bytes], rules: DiffRules
) -> Iterator[FileDiff]:
    """Yield each file. Its patch is left out when a rule says so, and when it no longer fits into the answer."""
    left = view.node.limits.diff_raw_total_max_bytes
    known: dict[bytes, tuple[int, int]] = {}

    def keep_max(entry: DiffEntry) -> int:
        size = max(known.setdefault(entry.path, _sizes(view, entry)))
        if size > rules.file_max_bytes or (is_lock_file(entry.path) and not rules.applicable):
            return 0
        return min(_PATCH_BYTES_PER_BYTE * size + _PATCH_OVERHEAD_BYTES, left)

    patches = view.git.diff_trees(
        old=old,
        new=new,
        paths=paths,
        ignore_space_change=rules.ignore_space_change,
        keep_max=keep_max,
        memory_max_bytes=view.node.limits.diff_memory_max_bytes,
    )
    with contextlib.closing(patches):
        for patch in patches:
            entry = patch.entry
            sizes = known.pop(entry.path) if entry.path in known else _sizes(view, entry)
            old_size, new_size = sizes
            hidden = rules.hides(patch, max(sizes))
            raw = None if hidden else patch.raw
            size_bytes = patch.size_bytes
            shown_size = old_size if entry.new_oid is None else new_size
            if patch.is_binary:
                size_bytes = shown_size
            left -= len(raw or b"")
            ends_with_newline = _ends_with_newline(view, entry, shown_size)
            yield FileDiff(entry, raw, size_bytes, ends_with_newline, patch.additions, patch.deletions)


def _sizes(reader: RepoView, entry: DiffEntry) -> tuple[int, int]:
    return (
        _blob_size(reader, entry.old_mode, entry.old_oid),
        _blob_size(reader, entry.new_mode, entry.new_oid),
    )


def _blob_size(reader: RepoView, mode: int, oid: Oid | None) -> int:
    return 0 if oid is None or mode == MODE_GITLINK else reader.read_header(oid)[1]


def _ends_with_newline(reader: RepoView, entry: DiffEntry, size: int) -> bool:
    """Tell whether the last byte is a newline. Git shows a submodule as a whole line."""
    mode, oid = (entry.old_mode, entry.old_oid) if entry.new_oid is None else (entry.new_mode, entry.new_oid)
    if mode == MODE_GITLINK or oid is None:
        return True
    last = b""
    for piece in reader.iter_blob(oid, size):
        last = piece[-1:] or last
    return last == b"\n"
