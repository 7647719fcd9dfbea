"""Trees as tables, for comparing one path in many trees quickly."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from packhouse.git import Oid
from packhouse.git.objects.codec import MODE_TREE, parse_tree
from packhouse.git.objects.tree_walk import TreeTooLarge

TreeTable = dict[bytes, tuple[int, Oid]]
"""Name to (mode, id) of a tree's entries."""

TableReader = Callable[[Oid], TreeTable]
"""Returns the table of a tree object."""


class PathChange(NamedTuple):
    """A file, symlink or submodule that differs between two trees. `entry` is None if the new tree has none."""

    path: bytes
    entry: tuple[int, Oid] | None


def parse_table(content: bytes) -> TreeTable:
    """Return a tree object as a table."""
    return {entry.name: (entry.mode, entry.oid) for entry in parse_tree(content)}


def find_entry(read_table: TableReader, root: Oid, path: bytes) -> tuple[int, Oid] | None:
    """Return (mode, id) of the entry at `path`, or None."""
    entry: tuple[int, Oid] | None = (MODE_TREE, root)
    for name in path.split(b"/"):
        if entry is None or entry[0] != MODE_TREE:
            return None
        entry = read_table(entry[1]).get(name)
    return entry


def has_same_entry(read_table: TableReader, one: Oid, other: Oid, path: bytes) -> bool:
    """Tell whether two root trees have the same entry at `path`. Reads folders only where they differ.

    One of them must have an entry there. A path that neither has may count as different.
    """
    for name in path.split(b"/"):
        if one == other:
            return True
        entry, entry_of_other = read_table(one).get(name), read_table(other).get(name)
        if entry == entry_of_other:
            return True
        if entry is None or entry_of_other is None:
            return False
        if entry[0] != MODE_TREE or entry_of_other[0] != MODE_TREE:
            return False
        one, other = entry[1], entry_of_other[1]
    return one == other


def iter_changes(
    read_table: TableReader, old: Oid | None, new: Oid | None, *, entries_max: int
) -> Iterator[PathChange]:
    """Yield the changes from the files of `old` to those of `new`, deletions first in each folder.

    None is a tree without entries. Equal folders are not read. Raises LimitExceeded like iter_leaves().
    """
    waiting: list[tuple[bytes, Oid | None, Oid | None]] = [(b"", old, new)]
    entries = 0
    while waiting:
        prefix, old, new = waiting.pop()
        before = {} if old is None else read_table(old)
        after = {} if new is None else read_table(new)
        entries += len(before) + len(after)
        if entries > entries_max:
            raise TreeTooLarge(entries_max)
        for name, (mode, oid) in before.items():
            entry = after.get(name)
            if entry == (mode, oid):
                continue
            path = prefix + name
            if mode != MODE_TREE:
                if entry is None or entry[0] == MODE_TREE:
                    yield PathChange(path, None)
            elif entry is None or entry[0] != MODE_TREE:
                waiting.append((path + b"/", oid, None))
        for name, entry in after.items():
            old_entry = before.get(name)
            if entry == old_entry:
                continue
            path = prefix + name
            if entry[0] != MODE_TREE:
                yield PathChange(path, entry)
            else:
                was_tree = old_entry is not None and old_entry[0] == MODE_TREE
                waiting.append((path + b"/", old_entry[1] if old_entry and was_tree else None, entry[1]))
