"""Trees compared as tables say what a comparison of all their files says."""

import random
from typing import Union

import pytest
from hypothesis import given
from hypothesis import strategies as st

from packhouse.errors import LimitExceeded
from packhouse.git.objects.codec import MODE_FILE, MODE_TREE, TreeEntry, encode_tree, parse_tree
from packhouse.git.objects.tree_table import (
    PathChange,
    TreeTable,
    find_entry,
    has_same_entry,
    iter_changes,
    parse_table,
)
from packhouse.git.objects.tree_walk import find_path, iter_children, iter_leaves, read_folder
from packhouse.git.oid import EMPTY_TREE_OID, Oid, hash_object

pytestmark = pytest.mark.quick

NAMES = st.sampled_from(["a", "b", "a.b", "a-b", "A", "é"])
PATHS = st.lists(NAMES, min_size=1, max_size=4).map(lambda names: "/".join(names).encode())
FILES = st.dictionaries(PATHS, st.integers(0, 2), max_size=12)


Nested = dict[bytes, Union[int, "Nested"]]


class Forest:
    """Trees in memory, made from the paths of their files."""

    def __init__(self) -> None:
        self.trees: dict[Oid, bytes] = {}
        self.reads = 0

    def plant(self, files: dict[bytes, int]) -> Oid:
        """Return the tree with these files, each with a number for its content; a file wins over a folder."""
        nested: Nested = {}
        for path, number in sorted(files.items()):
            *folders, name = path.split(b"/")
            into: Nested | int = nested
            for folder in folders:
                into = into.setdefault(folder, {}) if isinstance(into, dict) else into
            if isinstance(into, dict):
                into[name] = number
        return self._write(nested)

    def _write(self, folder: Nested) -> Oid:
        entries = [
            TreeEntry(MODE_TREE, name, self._write(value))
            if isinstance(value, dict)
            else TreeEntry(MODE_FILE, name, blob(value))
            for name, value in folder.items()
        ]
        content = encode_tree(entries)
        oid = hash_object("tree", content)
        self.trees[oid] = content
        return oid

    def read(self, oid: Oid) -> bytes:
        """Return the content of a tree."""
        self.reads += 1
        return self.trees[oid]

    def table(self, oid: Oid) -> TreeTable:
        """Return a tree as a table."""
        return parse_table(self.read(oid))

    def leaves(self, root: Oid) -> dict[bytes, tuple[int, Oid]]:
        """Return all files of a tree by a plain recursion."""
        found = {}
        for entry in parse_tree(self.trees[root]):
            if entry.mode == MODE_TREE:
                below = self.leaves(entry.oid)
                found.update({entry.name + b"/" + path: value for path, value in below.items()})
            else:
                found[entry.name] = (entry.mode, entry.oid)
        return found


def blob(number: object) -> Oid:
    """Return the id of the content with this number."""
    return hash_object("blob", repr(number).encode())


@given(FILES, FILES)
def test_the_changes_turn_one_tree_into_the_other(before: dict[bytes, int], after: dict[bytes, int]) -> None:
    forest = Forest()
    old, new = forest.plant(before), forest.plant(after)
    files = forest.leaves(old)
    for change in iter_changes(forest.table, old, new, entries_max=10_000):
        assert files.get(change.path) != change.entry, "a change of nothing"
        if change.entry is None:
            del files[change.path]
        else:
            files[change.path] = change.entry
    assert files == forest.leaves(new)


@given(FILES)
def test_compared_with_no_tree_all_files_of_a_tree_differ(files: dict[bytes, int]) -> None:
    forest = Forest()
    root = forest.plant(files)
    leaves = forest.leaves(root)
    added = {change.path: change.entry for change in iter_changes(forest.table, None, root, entries_max=1000)}
    assert added == leaves
    removed = list(iter_changes(forest.table, root, None, entries_max=1000))
    assert sorted(removed) == sorted(PathChange(path, None) for path in leaves)


def test_equal_folders_are_not_read() -> None:
    forest = Forest()
    same = {b"same/%d/x" % number: 1 for number in range(50)}
    old, new = forest.plant({**same, b"f": 1}), forest.plant({**same, b"f": 2})
    forest.reads = 0
    assert list(iter_changes(forest.table, old, new, entries_max=100)) == [
        PathChange(b"f", (MODE_FILE, blob(2)))
    ]
    assert forest.reads == 2


def test_a_file_and_a_folder_of_one_name_can_replace_each_other() -> None:
    forest = Forest()
    old, new = forest.plant({b"a/b": 1}), forest.plant({b"a": 1})
    forward = {change.path: change.entry for change in iter_changes(forest.table, old, new, entries_max=100)}
    assert forward == {b"a/b": None, b"a": (MODE_FILE, blob(1))}
    backward = list(iter_changes(forest.table, new, old, entries_max=100))
    assert backward == [PathChange(b"a", None), PathChange(b"a/b", (MODE_FILE, blob(1)))]


def test_a_comparison_has_a_bound() -> None:
    forest = Forest()
    old, new = forest.plant({b"%d" % number: 1 for number in range(10)}), forest.plant({b"x": 1})
    assert len(list(iter_changes(forest.table, old, new, entries_max=11))) == 11
    with pytest.raises(LimitExceeded):
        list(iter_changes(forest.table, old, new, entries_max=10))


@given(FILES, PATHS)
def test_find_entry_and_find_path_find_the_same_entry(files: dict[bytes, int], path: bytes) -> None:
    forest = Forest()
    root = forest.plant(files)
    found = find_entry(forest.table, root, path)
    walked = find_path(forest.read, root, path)
    assert found == (None if walked is None else (walked.mode, walked.oid))
    if found is not None and found[0] != MODE_TREE:
        assert forest.leaves(root)[path] == found
    elif found is None:
        assert not any(leaf == path or leaf.startswith(path + b"/") for leaf in forest.leaves(root))


@given(FILES, FILES.filter(bool), st.data())
def test_two_trees_have_the_same_at_a_path_or_not(
    one: dict[bytes, int], other: dict[bytes, int], data: st.DataObject
) -> None:
    forest = Forest()
    first, second = forest.plant(one), forest.plant(other)
    leaf = data.draw(st.sampled_from(sorted(forest.leaves(second))))
    depth = data.draw(st.integers(1, leaf.count(b"/") + 1))
    path = b"/".join(leaf.split(b"/")[:depth])
    same = find_entry(forest.table, first, path) == find_entry(forest.table, second, path)
    assert has_same_entry(forest.table, first, second, path) == same
    assert has_same_entry(forest.table, second, first, path) == same


def test_comparing_two_trees_does_not_read_their_common_folders() -> None:
    forest = Forest()
    common = {b"d/e/f": 1}
    first, second = forest.plant({**common, b"x": 1}), forest.plant({**common, b"x": 2})
    forest.reads = 0
    assert has_same_entry(forest.table, first, second, b"d/e/f")
    assert forest.reads == 2
    assert has_same_entry(forest.table, first, first, b"any/thing")
    assert forest.reads == 2


@given(FILES)
def test_leaves_are_sorted_by_the_bytes_of_their_paths(files: dict[bytes, int]) -> None:
    forest = Forest()
    root = forest.plant(files)
    walked = list(iter_leaves(forest.read, root, entries_max=1000))
    assert [entry.path for entry in walked] == sorted(forest.leaves(root))
    assert {entry.path: (entry.mode, entry.oid) for entry in walked} == forest.leaves(root)


@given(FILES, PATHS)
def test_a_walk_goes_on_after_any_path(files: dict[bytes, int], after: bytes) -> None:
    forest = Forest()
    root = forest.plant(files)
    rest = [entry.path for entry in iter_leaves(forest.read, root, after=after, entries_max=1000)]
    assert rest == [path for path in sorted(forest.leaves(root)) if path > after]


def test_folders_that_end_before_a_page_are_not_read() -> None:
    forest = Forest()
    root = forest.plant({b"%03d/x" % number: number for number in range(100)})
    forest.reads = 0
    page = [entry.path for entry in iter_leaves(forest.read, root, after=b"098/x", entries_max=1000)]
    assert page == [b"099/x"]
    assert forest.reads == 3  # the root, the folder in which the last page ended, and the next one


@given(FILES, st.integers(0, 30))
def test_children_are_listed_page_by_page(files: dict[bytes, int], seed: int) -> None:
    forest = Forest()
    root = forest.plant(files)
    every = list(iter_children(forest.read, root))
    assert [entry.path for entry in every] == [entry.name for entry in parse_tree(forest.trees[root])]
    if every:
        place = random.Random(seed).randrange(len(every))
        assert list(iter_children(forest.read, root, after=every[place].path)) == every[place + 1 :]


def test_children_of_a_folder_have_their_full_paths() -> None:
    forest = Forest()
    folder = forest.plant({b"x": 1, b"y/z": 1})
    children = list(iter_children(forest.read, folder, b"up/down"))
    assert [(entry.path, entry.kind) for entry in children] == [
        (b"up/down/x", "blob"),
        (b"up/down/y", "tree"),
    ]
    assert [entry.path for entry in iter_children(forest.read, folder, b"up/down", after=b"up/down/x")] == [
        b"up/down/y"
    ]


def test_the_empty_path_is_the_root_itself() -> None:
    forest = Forest()
    found = find_path(forest.read, EMPTY_TREE_OID, b"")
    assert found is not None
    assert (found.path, found.mode, found.oid, found.kind) == (b"", MODE_TREE, EMPTY_TREE_OID, "tree")


def test_a_name_that_is_part_of_another_is_not_found() -> None:
    # A search in the raw bytes would find " b" behind the mode of "a b".
    content = encode_tree([TreeEntry(MODE_FILE, b"a b", blob(1)), TreeEntry(MODE_FILE, b"c", blob(2))])
    assert find_path(lambda _: content, EMPTY_TREE_OID, b"b") is None
    assert read_folder(lambda _: content, EMPTY_TREE_OID)[b"a b"].oid == blob(1)


@pytest.mark.parametrize(
    ("mode", "kind"),
    [
        (0o100644, "blob"),
        (0o100755, "blob"),
        (0o120000, "symlink"),
        (0o160000, "submodule"),
        (0o40000, "tree"),
    ],
)
def test_each_mode_has_its_kind(mode: int, kind: str) -> None:
    content = encode_tree([TreeEntry(mode, b"x", blob(1))])
    found = find_path(lambda _: content, EMPTY_TREE_OID, b"x")
    assert found is not None
    assert found.kind == kind
