"""Finding and listing paths in trees. The order is git's: full paths of files, sorted by bytes."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from packhouse import limits
from packhouse.errors import Code, LimitExceeded
from packhouse.git import Oid
from packhouse.git.objects.codec import (
    MODE_GITLINK,
    MODE_SYMLINK,
    MODE_TREE,
    TreeEntry,
    parse_tree,
    tree_sort_key,
)

TreeReader = Callable[[Oid], bytes]
"""Returns the content of a tree object."""


class TreeTooLarge(LimitExceeded):
    """The tree has more files and folders than we walk through. Ask for a part of it."""

    code = Code.TREE_TOO_LARGE
    entries_max: int


class WalkedPathTooLong(LimitExceeded):
    """Folders are nested so deeply that their paths are too long to be shown."""

    code = Code.WALKED_PATH_TOO_LONG
    max_bytes: int


@dataclass(frozen=True, slots=True)
class PathEntry:
    """A tree entry with its full path from the root."""

    path: bytes
    mode: int
    oid: Oid

    @property
    def kind(self) -> str:
        """The name of its kind in listings: tree, submodule, symlink or blob."""
        return {MODE_TREE: "tree", MODE_GITLINK: "submodule", MODE_SYMLINK: "symlink"}.get(self.mode, "blob")


def find_path(read_tree: TreeReader, root: Oid, path: bytes) -> PathEntry | None:
    """Return the entry at `path`, or None. The empty path is the root itself."""
    mode, oid = MODE_TREE, root
    for name in path.split(b"/") if path else ():
        if mode != MODE_TREE:
            return None
        entry = _find_entry(read_tree(oid), name)
        if entry is None:
            return None
        mode, oid = entry.mode, entry.oid
    return PathEntry(path, mode, oid)


def read_folder(read_tree: TreeReader, oid: Oid) -> dict[bytes, TreeEntry]:
    """Return the entries of a folder by name, for callers that need many of them."""
    return {entry.name: entry for entry in parse_tree(read_tree(oid))}


def iter_leaves(
    read_tree: TreeReader, root: Oid, prefix: bytes = b"", *, after: bytes = b"", entries_max: int
) -> Iterator[PathEntry]:
    """Yield every file, symlink and submodule below the tree `root`, whose own path is `prefix`.

    Only paths greater than `after` come; folders that end before it are not read. Raises LimitExceeded after
    `entries_max` entries, because a few trees that contain each other many times make billions of paths. Raises it also
    for a folder with a longer path than allowed, because the folders above it are all in memory.
    """
    folders = [_iter_folder(read_tree, root, prefix, after)]
    entries = 0
    while folders:
        entry = next(folders[-1], None)
        entries += 1
        if entries > entries_max:
            raise TreeTooLarge(entries_max)
        if entry is None:
            folders.pop()
        elif entry.mode == MODE_TREE:
            if len(entry.path) > limits.walked_path_max_bytes:
                raise WalkedPathTooLong(limits.walked_path_max_bytes)
            folders.append(_iter_folder(read_tree, entry.oid, entry.path, after))
        else:
            yield entry


def iter_children(
    read_tree: TreeReader, root: Oid, prefix: bytes = b"", *, after: bytes = b""
) -> Iterator[PathEntry]:
    """Yield the direct entries of the tree `root`, also folders, that come after the path `after`."""
    entries = parse_tree(read_tree(root))
    passed = after.removeprefix(prefix + b"/" if prefix else b"")
    # The name alone does not give its position: a folder sorts as if its name ended in a slash.
    kinds = {entry.name: entry.mode for entry in entries}
    passed_key = tree_sort_key(kinds.get(passed, 0), passed)
    for entry in entries:
        if not after or tree_sort_key(entry.mode, entry.name) > passed_key:
            yield PathEntry(_join(prefix, entry.name), entry.mode, entry.oid)


def _iter_folder(read_tree: TreeReader, oid: Oid, prefix: bytes, after: bytes) -> Iterator[PathEntry]:
    for entry in parse_tree(read_tree(oid)):
        path = _join(prefix, entry.name)
        if entry.mode == MODE_TREE:
            inside = path + b"/"
            if inside > after or after.startswith(inside):
                yield PathEntry(path, entry.mode, entry.oid)
        elif path > after:
            yield PathEntry(path, entry.mode, entry.oid)


def _find_entry(content: bytes, name: bytes) -> TreeEntry | None:
    if b" " + name + b"\0" not in content:
        return None
    return next((entry for entry in parse_tree(content) if entry.name == name), None)


def _join(prefix: bytes, name: bytes) -> bytes:
    return prefix + b"/" + name if prefix else name
