"""A notes tree that changes. It has the same folders as a tree that git itself would write.

Git spreads notes over folders of two hex digits when they become many, and joins them again, part by part. Git leaves a
folder that it has not read as it is. So this is git's own structure: a tree of sixteen branches a level, with folders
unpacked on demand. Source: git's notes.c, load_subtree(), note_tree_insert(), note_tree_remove(), determine_fanout(),
for_each_note_helper().
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final, Union

from packhouse.git import NotAnObjectId, Oid, is_oid
from packhouse.git.objects.codec import MODE_FILE, MODE_TREE, TreeEntry, encode_tree, parse_tree
from packhouse.git.objects.tree_walk import TreeReader

Combine = Callable[[Oid, Oid], Oid]
"""Returns the blob that joins two notes of one object. A tree of mixed layouts may have two."""

_HEX: Final = re.compile(rb"[0-9A-Fa-f]+")
_KEY_DIGITS: Final = 40
_BRANCHES: Final = 16
_FILE_TYPE_MASK: Final = 0o170000
_REGULAR_FILE: Final = 0o100000


@dataclass(slots=True)
class _Note:
    key: str
    blob: Oid
    mode: int = MODE_FILE


@dataclass(frozen=True, slots=True)
class _Folder:
    """A folder that is not read yet. `prefix` is the digits of its path."""

    prefix: str
    tree: Oid

    @property
    def key(self) -> str:
        """The digits under which it is filed, padded as in git."""
        return self.prefix.ljust(_KEY_DIGITS, "0")


@dataclass(slots=True)
class _Branching:
    slots: list["_Slot"] = field(default_factory=lambda: [None] * _BRANCHES)


_Slot = _Note | _Folder | _Branching | None
_Written = dict[bytes, Union[tuple[int, Oid], "_Written"]]


class NotesTree:
    """The notes of one notes commit. `root` is its tree; None for a notes ref that does not exist yet."""

    def __init__(self, read_tree: TreeReader, root: Oid | None, combine: Combine) -> None:
        self._read_tree = read_tree
        self._combine = combine
        self._root = _Branching()
        self._others: dict[bytes, tuple[int, Oid]] = {}
        if root is not None:
            self._load(_Folder("", root), self._root, 0)

    def find(self, target: Oid) -> Oid | None:
        """Return the blob of the object's note, or None."""
        node, _, index = self._search(self._root, 0, target)
        slot = node.slots[index]
        return slot.blob if isinstance(slot, _Note) and slot.key == target else None

    def set(self, target: Oid, blob: Oid) -> None:
        """Attach `blob` to the object, in place of an existing note.

        Raises Invalid unless both are object ids: the digits of the first become paths of the tree.
        """
        for oid in (target, blob):
            if not is_oid(oid):
                raise NotAnObjectId(value=oid[:80])
        node, _, index = self._search(self._root, 0, target)
        slot = node.slots[index]
        if isinstance(slot, _Note) and slot.key == target:
            slot.blob = blob
        else:
            self._insert(self._root, 0, _Note(target, blob))

    def remove(self, target: Oid) -> None:
        """Remove the object's note. It must exist."""
        node, depth, index = self._search(self._root, 0, target)
        slot = node.slots[index]
        assert isinstance(slot, _Note) and slot.key == target, "the caller has looked"
        node.slots[index] = None
        path = [self._root]
        for level in range(depth):
            child = path[-1].slots[_digit(target, level)]
            assert isinstance(child, _Branching)
            path.append(child)
        for level in range(depth, 0, -1):
            left = [slot for slot in path[level].slots if slot is not None]
            if len(left) > 1 or (left and not isinstance(left[0], _Note)):
                return
            path[level - 1].slots[_digit(target, level - 1)] = left[0] if left else None

    def write(self, emit: Callable[[bytes], Oid]) -> Oid:
        """Write the tree through `emit`, folders first. Return its id. Untouched folders are not written.

        A note replaces another entry at its path, and a file in the place of its folder.
        """
        top: _Written = {}
        notes = dict(self._iter_paths(self._root, 0, 0))
        for path, value in {**self._others, **notes}.items():
            *folders, name = path.split(b"/")
            into = top
            for folder in folders:
                below = into.get(folder)
                if not isinstance(below, dict):
                    below = into[folder] = {}
                into = below
            into[name] = value
        return _emit(top, emit)

    def _load(self, folder: _Folder, node: _Branching, depth: int) -> None:
        """Put the contents of a folder into the tree below `node`."""
        rest = _KEY_DIGITS - len(folder.prefix)
        for entry in parse_tree(self._read_tree(folder.tree)):
            is_hex = _HEX.fullmatch(entry.name) is not None
            digits = entry.name.decode("ascii").lower() if is_hex else ""
            if is_hex and len(digits) == rest and entry.mode & _FILE_TYPE_MASK == _REGULAR_FILE:
                self._insert(node, depth, _Note(folder.prefix + digits, entry.oid))
            elif is_hex and len(digits) == 2 != rest and entry.mode == MODE_TREE:
                self._insert(node, depth, _Folder(folder.prefix + digits, entry.oid))
            else:
                place = "".join(
                    f"{folder.prefix[at : at + 2]}/" for at in range(0, len(folder.prefix), 2)
                ).encode("ascii")
                self._others[place + entry.name] = (entry.mode, entry.oid)

    def _search(self, node: _Branching, depth: int, key: str) -> tuple[_Branching, int, int]:
        """Return the branching, its depth and the slot of `key`. Unpacks the folders on the way."""
        while True:
            # A folder is filed with zeros behind its prefix, so it may be in the first slot.
            for index in (0, _digit(key, depth)):
                slot = node.slots[index]
                if isinstance(slot, _Folder) and key.startswith(slot.prefix):
                    node.slots[index] = None
                    self._load(slot, node, depth)
                    break
            else:
                slot = node.slots[index]
                if not isinstance(slot, _Branching):
                    return node, depth, index
                node, depth = slot, depth + 1

    def _insert(self, node: _Branching, depth: int, entry: _Note | _Folder) -> None:
        node, depth, index = self._search(node, depth, entry.key)
        slot = node.slots[index]
        assert not isinstance(slot, _Branching)
        if slot is None:
            node.slots[index] = entry
            return
        if isinstance(slot, _Note):
            if isinstance(entry, _Folder) and slot.key.startswith(entry.prefix):
                self._load(entry, node, depth)
                return
            if isinstance(entry, _Note) and slot.key == entry.key:
                if slot.blob != entry.blob:
                    slot.blob = self._combine(slot.blob, entry.blob)
                return
        below = _Branching()
        node.slots[index] = below
        self._insert(below, depth + 1, slot)
        self._insert(below, depth + 1, entry)

    def _iter_paths(
        self, node: _Branching, depth: int, fanout: int
    ) -> Iterator[tuple[bytes, tuple[int, Oid]]]:
        """Yield the path of every note, and of every unchanged folder. `fanout` counts folders."""
        fanout = _fanout(node, depth, fanout)
        for index in range(_BRANCHES):
            slot = node.slots[index]
            while isinstance(slot, _Folder) and depth >= 2 * fanout:
                node.slots[index] = None
                self._load(slot, node, depth)
                slot = node.slots[index]
            if isinstance(slot, _Branching):
                yield from self._iter_paths(slot, depth + 1, fanout)
            elif isinstance(slot, _Folder):
                path = _spread(slot.key, fanout)[: len(slot.prefix) + fanout].rstrip("/")
                yield path.encode("ascii"), (MODE_TREE, slot.tree)
            elif slot is not None:
                yield _spread(slot.key, fanout).encode("ascii"), (slot.mode, slot.blob)


def _digit(key: str, depth: int) -> int:
    return int(key[depth], 16)


def _fanout(node: _Branching, depth: int, fanout: int) -> int:
    """Return one more folder if all sixteen slots lead to further levels: then the notes here are many."""
    if depth % 2 or depth > 2 * fanout:
        return fanout
    return fanout + all(isinstance(slot, _Branching | _Folder) for slot in node.slots)


def _spread(key: str, fanout: int) -> str:
    return "".join(f"{key[at : at + 2]}/" for at in range(0, 2 * fanout, 2)) + key[2 * fanout :]


def _emit(folder: _Written, emit: Callable[[bytes], Oid]) -> Oid:
    entries = []
    for name, value in folder.items():
        mode, oid = (MODE_TREE, _emit(value, emit)) if isinstance(value, dict) else value
        entries.append(TreeEntry(mode, name, oid))
    return emit(encode_tree(entries))
