"""Edits a tree. Only the folders on changed paths are read, and only changed folders are written.

For a few edits, a folder of thousands of entries is neither parsed nor sorted: its bytes are spliced. An entry has 20
arbitrary bytes after a name, so the start of an entry can only be found by walking from a known boundary. One compiled
pattern walks at about 50 ns an entry, a twentieth of the time for parsing and writing everything anew.
"""

import re
from collections.abc import Callable, Iterator
from typing import Final

from packhouse import limits
from packhouse.errors import Code, Invalid, LimitExceeded
from packhouse.git import EMPTY_TREE_OID, Oid, hash_object
from packhouse.git.objects.codec import (
    MODE_TREE,
    TreeEntry,
    encode_tree,
    encode_tree_entry,
    parse_tree,
    tree_sort_key,
)
from packhouse.git.objects.fsck import check_upsert, needs_git_fsck
from packhouse.git.objects.tree_path import TreePath

# The whole group is not possessive: before Python 3.11.5, such a group that fails half-way keeps what it has read
# (CPython issue 106052). The bound limits what a greedy group remembers.
_WALK = re.compile(rb"(?:(?:100644|100755|40000|120000|160000) [^\0]++\0.{20}){0,1000}", re.DOTALL)
_ENTRY = re.compile(rb"(\d{5,6}) ([^\0]+)\0(.{20})", re.DOTALL)
_SPLICE_EDITS_MAX: Final = 16
"""With more touched names in one folder, parsing it once is cheaper than walking for each."""


class PathIsFolder(Invalid):
    """The file's path is a folder in the same change."""

    code = Code.PATH_IS_FOLDER
    path: bytes


class PathThroughFile(Invalid):
    """A folder of the path is a file in the same change."""

    code = Code.PATH_THROUGH_FILE
    path: bytes


class TooManyFolders(LimitExceeded):
    """The change touches more folders than one commit may."""

    code = Code.TOO_MANY_FOLDERS
    max_folders: int


class TreeEditor:
    """Applies edits in order to the tree `root` (None: no tree yet). Folders left empty vanish.

    `read_tree` returns the content of a tree object. The editor refuses everything that a tree may not contain,
    whatever callers have checked. So an endpoint without a check still cannot write `.git/hooks`.
    """

    def __init__(self, read_tree: Callable[[Oid], bytes], root: Oid | None) -> None:
        self._read_tree = read_tree
        self._root = _Folder(root)
        self._folders = 1
        self.needs_git_fsck = False
        """Whether an edit put content here that git has rules for: see needs_git_fsck() in git/objects/fsck.py."""

    def upsert(self, path: TreePath, mode: int, oid: Oid) -> None:
        """Put a file, symlink or gitlink at `path`, and create the folders above it.

        Raises the errors of check_upsert(). Raises Invalid if a folder of the path is a file, or the path itself is a
        folder, unless an earlier edit has removed that. Raises LimitExceeded if the edits touch too many folders.
        """
        check_upsert(path, mode, oid)
        self.needs_git_fsck = self.needs_git_fsck or needs_git_fsck([(path, mode)])
        *parents, name = path.split(b"/")
        folder = self._root
        for parent in parents:
            folder = self._enter_or_create(folder, parent, path)
        present = self._get(folder, name)
        if isinstance(present, _Folder) and not self._is_empty(present):
            raise PathIsFolder(path)
        folder.changes[name] = (mode, oid)

    def delete(self, path: bytes) -> bool:
        """Remove the file at `path`, or the folder and everything in it. A missing path is no error.

        Takes any path: an old tree may contain names that are not allowed any more, and they must be removable. Returns
        whether the path existed, or an earlier edit had removed it.
        """
        *parents, name = path.split(b"/")
        folder = self._root
        for parent in parents:
            child = self._get(folder, parent)
            if not isinstance(child, _Folder):
                return parent in folder.changes and child is None
            folder = child
        if self._get(folder, name) is not None:
            folder.changes[name] = None
        return name in folder.changes

    def write(self, emit: Callable[[bytes], Oid]) -> Oid:
        """Write the edited tree: give each new tree to `emit`, children first. Return its id.

        A tree equal to the one that it replaces is not emitted. If nothing changed, nothing is emitted.
        """
        results: dict[int, Oid | None] = {}
        for folder in _children_first(self._root):
            if not folder.changes:
                results[id(folder)] = folder.oid
                continue
            entries = {name: _resolve(change, results) for name, change in folder.changes.items()}
            content = self._content(folder).with_changes(entries)
            if content is None:
                results[id(folder)] = folder.oid
            elif not content:
                results[id(folder)] = None
            elif folder.replaces is not None and hash_object("tree", content) == folder.replaces:
                results[id(folder)] = folder.replaces
            else:
                results[id(folder)] = emit(content)
        root = results[id(self._root)]
        if root is None:
            return emit(b"")
        return root

    def _enter_or_create(self, folder: "_Folder", name: bytes, path: bytes) -> "_Folder":
        child = self._get(folder, name)
        if isinstance(child, _Folder):
            return child
        if child is not None:
            raise PathThroughFile(path)
        created = self._open(None)
        deleted = self._content(folder).find(name)
        if deleted is not None and deleted[0] == MODE_TREE:
            created.replaces = deleted[1]
        folder.changes[name] = created
        return created

    def _get(self, folder: "_Folder", name: bytes) -> "_Change":
        """Return what is at `name` after the edits so far. A folder is in `changes` from now on."""
        if name in folder.changes:
            return folder.changes[name]
        found = self._content(folder).find(name)
        if found is None or found[0] != MODE_TREE:
            return found
        child = self._open(found[1])
        folder.changes[name] = child
        return child

    def _open(self, oid: Oid | None) -> "_Folder":
        self._folders += 1
        if self._folders > limits.commit_folders_max:
            raise TooManyFolders(limits.commit_folders_max)
        return _Folder(oid)

    def _content(self, folder: "_Folder") -> "_Content":
        if folder.content is None:
            folder.content = _Content(b"" if folder.oid is None else self._read_tree(folder.oid))
        return folder.content

    def _is_empty(self, top: "_Folder") -> bool:
        """Tell whether the edits left a folder empty. An empty folder counts as none."""
        waiting = [top]
        while waiting:
            folder = waiting.pop()
            if not folder.changes and folder.oid not in {None, EMPTY_TREE_OID}:
                return False
            for change in folder.changes.values():
                if isinstance(change, _Folder):
                    waiting.append(change)
                elif change is not None:
                    return False
            if any(name not in folder.changes for name in self._content(folder).names()):
                return False
        return True


class _Folder:
    """A folder on a changed path: its old tree, and the present entry of each touched name.

    `replaces` is the old tree at its place if an edit had deleted that tree as a whole.
    """

    __slots__ = ("changes", "content", "oid", "replaces")

    def __init__(self, oid: Oid | None) -> None:
        self.oid = oid
        self.replaces: Oid | None = None
        self.content: _Content | None = None
        self.changes: dict[bytes, _Change] = {}


_Change = tuple[int, Oid] | _Folder | None


def _children_first(root: _Folder) -> Iterator[_Folder]:
    """Yield the touched folders, each after the folders below it. Paths can be deeper than Python's stack."""
    ordered = [root]
    for folder in ordered:
        ordered.extend(change for change in folder.changes.values() if isinstance(change, _Folder))
    return reversed(ordered)


def _resolve(change: _Change, results: dict[int, Oid | None]) -> tuple[int, Oid] | None:
    if not isinstance(change, _Folder):
        return change
    oid = results[id(change)]
    return None if oid is None else (MODE_TREE, oid)


class _Content:
    """The bytes of one tree, searched and spliced."""

    def __init__(self, stored: bytes) -> None:
        self._raw = stored if _boundary(stored, 0, len(stored)) == len(stored) else _canonical(stored)
        self._found: dict[bytes, tuple[int, Oid] | None] = {}
        self._index: dict[bytes, tuple[int, Oid]] | None = None

    def find(self, name: bytes) -> tuple[int, Oid] | None:
        """Return (mode, oid) of an entry, or None."""
        if self._index is not None:
            return self._index.get(name)
        if name not in self._found:
            if len(self._found) == _SPLICE_EDITS_MAX:
                self._index = {row[2]: _value(row) for row in _ENTRY.finditer(self._raw)}
                return self._index.get(name)
            row = _find_entry(self._raw, name)
            self._found[name] = None if row is None else _value(row)
        return self._found[name]

    def names(self) -> Iterator[bytes]:
        """Yield the names in stored order."""
        return (row[2] for row in _ENTRY.finditer(self._raw))

    def with_changes(self, changes: dict[bytes, tuple[int, Oid] | None]) -> bytes | None:
        """Return the tree with entries replaced, added or (None) removed; None if that changes nothing."""
        changed = {name: new for name, new in changes.items() if self.find(name) != new}
        if not changed:
            return None
        if self._index is not None:
            merged = {**self._index, **changed}
            return encode_tree(TreeEntry(new[0], name, new[1]) for name, new in merged.items() if new)
        raw = self._raw
        for name, new in changed.items():
            row = _find_entry(raw, name)
            if row is not None:
                raw = raw[: row.start()] + raw[row.end() :]
            if new is not None:
                at = _place(raw, tree_sort_key(new[0], name))
                raw = raw[:at] + encode_tree_entry(new[0], name, new[1]) + raw[at:]
        return raw


def _value(row: re.Match[bytes]) -> tuple[int, Oid]:
    return int(row[1], 8), Oid(row[3].hex())


def _boundary(raw: bytes, start: int, limit: int) -> int:
    """Return the last boundary between entries at or before `limit`, walking from the boundary at `start`."""
    while (walked := _WALK.match(raw, start, limit)) is not None and walked.end() > start:
        start = walked.end()
    return start


def _find_entry(raw: bytes, name: bytes) -> re.Match[bytes] | None:
    """Return the entry `name`.

    Its bytes may also occur in an object id or at the end of a longer name. So a match counts only if it follows the
    mode of an entry.
    """
    needle = b" " + name + b"\0"
    hit = raw.find(needle)
    while hit >= 0:
        row = _ENTRY.match(raw, _boundary(raw, 0, hit))
        if row is not None and row.end(1) == hit:
            return row
        hit = raw.find(needle, hit + 1)
    return None


def _place(raw: bytes, key: bytes) -> int:
    """Return the position of an entry with this sort key, by a binary search between known boundaries."""
    low, high = 0, len(raw)
    while low < high:
        middle = _boundary(raw, low, (low + high) // 2)
        row = _ENTRY.match(raw, middle)
        assert row is not None, "walked to a place that is no boundary"
        if tree_sort_key(int(row[1], 8), row[2]) < key:
            low = row.end()
        else:
            high = middle
    return low


def _canonical(stored: bytes) -> bytes:
    """Return a tree with the modes that git writes today. Old histories contain 100664 and padded zeros.

    Raises Corrupt for bytes that are not a tree.
    """
    return encode_tree(parse_tree(stored))
