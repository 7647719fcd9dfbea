"""Editing trees: only what changes is read and written, and the rules of upsert and delete hold."""

import hashlib
import itertools
from typing import cast

import pytest

from packhouse import limits
from packhouse.errors import Corrupt, Invalid, LimitExceeded
from packhouse.git.objects.codec import TreeEntry, encode_tree, parse_tree
from packhouse.git.objects.tree_edit import TreeEditor, _boundary
from packhouse.git.objects.tree_path import TreePath
from packhouse.git.oid import EMPTY_TREE_OID, Oid, hash_object

pytestmark = pytest.mark.quick

FILE = 0o100644
ONE = Oid("1" * 40)
TWO = Oid("2" * 40)


class TreeStore:
    """Trees in memory; remembers which were read and written."""

    def __init__(self) -> None:
        self.trees: dict[Oid, bytes] = {}
        self.read: list[Oid] = []
        self.emitted: list[Oid] = []

    def read_tree(self, oid: Oid) -> bytes:
        self.read.append(oid)
        return self.trees[oid]

    def emit(self, content: bytes) -> Oid:
        oid = hash_object("tree", content)
        self.trees[oid] = content
        self.emitted.append(oid)
        return oid

    def write(self, *paths: bytes, oid: Oid = ONE, root: Oid | None = None) -> Oid:
        editor = TreeEditor(self.read_tree, root)
        for path in paths:
            editor.upsert(TreePath(path), FILE, oid)
        written = editor.write(self.emit)
        self.read.clear()
        self.emitted.clear()
        return written

    def edit(self, root: Oid | None) -> TreeEditor:
        return TreeEditor(self.read_tree, root)

    def list(self, root: Oid, prefix: bytes = b"") -> dict[bytes, tuple[int, Oid]]:
        """Return every file below `root` by path."""
        files: dict[bytes, tuple[int, Oid]] = {}
        for mode, name, oid in parse_tree(self.trees[root]):
            if mode == 0o040000:
                files |= self.list(oid, prefix + name + b"/")
            else:
                files[prefix + name] = (mode, oid)
        return files


@pytest.fixture
def store() -> TreeStore:
    return TreeStore()


def test_only_folders_on_the_path_are_read_and_written(store: TreeStore) -> None:
    root = store.write(b"a/b/c", b"a/x/y", b"d/e", b"f")
    editor = store.edit(root)
    editor.upsert(TreePath(b"a/b/new"), FILE, TWO)
    written = editor.write(store.emit)
    assert len(store.read) == 3
    assert len(store.emitted) == 3
    assert store.emitted[-1] == written
    assert set(store.list(written)) == {b"a/b/c", b"a/b/new", b"a/x/y", b"d/e", b"f"}


def test_edits_that_change_nothing_emit_nothing_and_keep_the_id(store: TreeStore) -> None:
    root = store.write(b"a/b", b"c")
    editor = store.edit(root)
    editor.upsert(TreePath(b"a/b"), FILE, ONE)
    editor.delete(b"a/missing")
    editor.delete(b"missing/too")
    editor.delete(b"c/is/a/file")
    editor.delete(b"c")
    editor.upsert(TreePath(b"c"), FILE, ONE)
    editor.upsert(TreePath(b"n/e/w"), FILE, ONE)
    editor.delete(b"n")
    editor.delete(b"a")
    editor.upsert(TreePath(b"a/b"), FILE, ONE)
    assert editor.write(store.emit) == root
    assert store.emitted == []


def test_an_editor_without_edits_returns_its_root(store: TreeStore) -> None:
    root = store.write(b"a")
    assert store.edit(root).write(store.emit) == root
    assert store.read == []


def test_a_missing_path_is_not_created_by_deleting_it(store: TreeStore) -> None:
    editor = store.edit(None)
    editor.delete(b"a/b/c")
    assert editor.write(store.emit) == EMPTY_TREE_OID


def test_the_empty_tree_is_emitted_so_that_a_commit_can_name_it(store: TreeStore) -> None:
    root = store.write(b"a/b")
    editor = store.edit(root)
    editor.delete(b"a")
    assert editor.write(store.emit) == EMPTY_TREE_OID
    assert store.emitted == [EMPTY_TREE_OID]


def test_folders_left_empty_vanish(store: TreeStore) -> None:
    root = store.write(b"a/b/c/d", b"z")
    editor = store.edit(root)
    editor.delete(b"a/b/c/d")
    assert set(store.list(editor.write(store.emit))) == {b"z"}


def test_a_delete_returns_whether_the_path_existed_or_was_deleted_earlier(store: TreeStore) -> None:
    editor = store.edit(store.write(b"a/b", b"c"))
    assert [editor.delete(path) for path in (b"x", b"a/x", b"c/x", b"x/y")] == [False] * 4
    assert [editor.delete(path) for path in (b"c", b"c", b"a", b"a/b", b"a")] == [True] * 5
    editor.upsert(TreePath(b"n"), FILE, ONE)
    assert editor.delete(b"n") and editor.delete(b"n")


def test_a_delete_takes_the_whole_folder(store: TreeStore) -> None:
    root = store.write(b"a/b/c", b"a/d", b"ab")
    editor = store.edit(root)
    editor.delete(b"a")
    assert set(store.list(editor.write(store.emit))) == {b"ab"}


@pytest.mark.parametrize("path", [b"file/below", b"file/far/below"])
def test_an_upsert_below_a_file_is_refused(store: TreeStore, path: bytes) -> None:
    editor = store.edit(store.write(b"file"))
    with pytest.raises(Invalid):
        editor.upsert(TreePath(path), FILE, ONE)


def test_an_upsert_onto_a_folder_is_refused(store: TreeStore) -> None:
    editor = store.edit(store.write(b"folder/a"))
    with pytest.raises(Invalid):
        editor.upsert(TreePath(b"folder"), FILE, ONE)


def test_files_and_folders_of_earlier_edits_block_an_upsert_too(store: TreeStore) -> None:
    editor = store.edit(None)
    editor.upsert(TreePath(b"file"), FILE, ONE)
    editor.upsert(TreePath(b"folder/a"), FILE, ONE)
    with pytest.raises(Invalid):
        editor.upsert(TreePath(b"file/a"), FILE, ONE)
    with pytest.raises(Invalid):
        editor.upsert(TreePath(b"folder"), FILE, ONE)


def test_a_deleted_file_may_become_a_folder_and_a_deleted_folder_a_file(store: TreeStore) -> None:
    root = store.write(b"file", b"folder/a", b"single/only")
    editor = store.edit(root)
    editor.delete(b"file")
    editor.upsert(TreePath(b"file/below"), FILE, TWO)
    editor.delete(b"folder")
    editor.upsert(TreePath(b"folder"), FILE, TWO)
    editor.delete(b"single/only")
    editor.upsert(TreePath(b"single"), FILE, TWO)
    written = editor.write(store.emit)
    assert store.list(written) == dict.fromkeys([b"file/below", b"folder", b"single"], (FILE, TWO))


def test_a_deleted_folder_comes_back_without_its_old_files(store: TreeStore) -> None:
    editor = store.edit(store.write(b"a/old", b"a/b/old"))
    editor.delete(b"a")
    editor.upsert(TreePath(b"a/b/new"), FILE, TWO)
    assert set(store.list(editor.write(store.emit))) == {b"a/b/new"}


def test_the_last_upsert_of_a_path_wins(store: TreeStore) -> None:
    editor = store.edit(None)
    editor.upsert(TreePath(b"a"), FILE, ONE)
    editor.upsert(TreePath(b"a"), 0o120000, TWO)
    assert store.list(editor.write(store.emit)) == {b"a": (0o120000, TWO)}


def test_folders_sort_as_if_their_name_ended_in_a_slash(store: TreeStore) -> None:
    root = store.write(b"a.b", b"a-b", b"a0", b"a/b")
    assert [entry.name for entry in parse_tree(store.trees[root])] == [b"a-b", b"a.b", b"a", b"a0"]
    editor = store.edit(root)
    editor.delete(b"a")
    editor.upsert(TreePath(b"a"), FILE, ONE)
    names = [entry.name for entry in parse_tree(store.trees[editor.write(store.emit)])]
    assert names == [b"a", b"a-b", b"a.b", b"a0"]


def test_a_name_inside_an_object_id_or_a_longer_name_is_not_taken_for_an_entry(store: TreeStore) -> None:
    hostile = Oid((b"100644 a\0" + b"x" * 11).hex())
    root = store.emit(encode_tree([TreeEntry(FILE, b"0 a", hostile), TreeEntry(FILE, b"b", hostile)]))
    editor = store.edit(root)
    editor.delete(b"a")
    assert editor.write(store.emit) == root
    editor.upsert(TreePath(b"a"), FILE, ONE)
    written = editor.write(store.emit)
    assert store.list(written) == {b"0 a": (FILE, hostile), b"a": (FILE, ONE), b"b": (FILE, hostile)}


@pytest.mark.parametrize("touched", [1, 15, 16, 17, 40])
def test_many_edits_of_one_folder_give_the_same_tree_as_few(store: TreeStore, touched: int) -> None:
    names = [b"file%04d" % number for number in range(0, 2000, 2)]
    root = store.write(*names)
    editor = store.edit(root)
    expected = dict.fromkeys(names, (FILE, ONE))
    for number in range(touched):
        editor.upsert(TreePath(b"file%04d" % (7 * number + 1)), FILE, TWO)
        expected[b"file%04d" % (7 * number + 1)] = (FILE, TWO)
        editor.delete(b"file%04d" % (50 * number))
        expected.pop(b"file%04d" % (50 * number), None)
    written = editor.write(store.emit)
    assert store.trees[written] == encode_tree(
        TreeEntry(mode, name, oid) for name, (mode, oid) in expected.items()
    )


def test_the_deepest_allowed_path_is_edited(store: TreeStore) -> None:
    path = b"/".join([b"a"] * 2048)
    root = store.write(path)
    editor = store.edit(root)
    editor.delete(path)
    assert editor.write(store.emit) == EMPTY_TREE_OID


def test_old_modes_are_written_as_git_writes_them_today_but_only_where_something_changes(
    store: TreeStore,
) -> None:
    oid = bytes.fromhex(ONE)
    inner = store.emit(b"100664 x\0" + oid)
    outer = store.emit(b"100600 a\0" + oid + b"100775 b\0" + oid + b"040000 c\0" + bytes.fromhex(inner))
    editor = store.edit(outer)
    editor.delete(b"missing")
    assert editor.write(store.emit) == outer
    editor.upsert(TreePath(b"d"), FILE, TWO)
    written = parse_tree(store.trees[editor.write(store.emit)])
    assert written == [
        TreeEntry(FILE, b"a", ONE),
        TreeEntry(0o100755, b"b", ONE),
        TreeEntry(0o040000, b"c", inner),
        TreeEntry(FILE, b"d", TWO),
    ]


def test_an_edit_of_bytes_that_are_not_a_tree_is_corrupt(store: TreeStore) -> None:
    root = store.emit(b"100644 a\0too short")
    with pytest.raises(Corrupt):
        store.edit(root).upsert(TreePath(b"b"), FILE, ONE)


@pytest.mark.parametrize("mode", [0, 0o040000, 0o100664, 0o100600, 0o777])
def test_a_mode_that_no_file_has_is_refused(store: TreeStore, mode: int) -> None:
    with pytest.raises(Invalid):
        store.edit(None).upsert(TreePath(b"a"), mode, ONE)


@pytest.mark.parametrize(
    "path",
    [
        *(b".git/hooks/x", b".GIT", b"a/git~1/b", b".g\xe2\x80\x8cit", b"a\\.git", b"../up", b"..", b"a/./b"),
        *(b"/a", b"a//b", b"a/", b"", b"a\0b", b"a" * 4097, b".gitmodules/a", b"a/.gitattributes/b"),
    ],
)
def test_a_path_that_no_tree_may_contain_is_refused_whatever_its_type(store: TreeStore, path: bytes) -> None:
    for claimed in (cast(TreePath, path), bytes.__new__(TreePath, path)):
        editor = store.edit(store.write(b"kept"))
        with pytest.raises(Invalid):
            editor.upsert(claimed, FILE, ONE)
        assert set(store.list(editor.write(store.emit))) == {b"kept"}


@pytest.mark.parametrize("oid", ["", "1" * 39, "1" * 41, "A" * 40, " " + "1" * 39, "0" * 40])
def test_an_id_that_no_object_has_is_refused(store: TreeStore, oid: str) -> None:
    with pytest.raises(Invalid):
        store.edit(None).upsert(TreePath(b"a"), FILE, Oid(oid))


def test_paths_that_may_not_be_written_can_still_be_deleted(store: TreeStore) -> None:
    root = store.emit(encode_tree([TreeEntry(FILE, b".git", ONE), TreeEntry(FILE, b"a", ONE)]))
    editor = store.edit(root)
    assert editor.delete(b".git")
    assert set(store.list(editor.write(store.emit))) == {b"a"}


def test_one_edit_among_fifty_thousand_files_reads_three_folders(store: TreeStore) -> None:
    paths = [b"d%03d/s%02d/f%05d" % (number // 500, number // 50 % 10, number) for number in range(50_000)]
    root = store.write(*paths)
    editor = store.edit(root)
    editor.upsert(TreePath(b"d042/s05/new"), FILE, Oid(hashlib.sha1(b"x", usedforsecurity=False).hexdigest()))
    editor.write(store.emit)
    assert (len(store.read), len(store.emitted)) == (3, 3)


def test_a_walk_that_stops_within_an_entry_ends_at_the_boundary_before_it() -> None:
    # Python before 3.11.5 ends a possessive group that fails half-way in the middle of an entry.
    entries = [(0o40000, b"a"), (0o100644, b"b"), (0o40000, b"c"), (0o160000, b"d")] * 600
    rows = [b"%o %s\0" % entry + bytes(20) for entry in entries]
    raw = b"".join(rows)
    ends = list(itertools.accumulate(map(len, rows), initial=0))
    for limit in [*range(100), *range(len(raw) - 100, len(raw) + 1)]:
        assert _boundary(raw, 0, limit) == max(end for end in ends if end <= limit)


def test_paths_of_too_many_folders_are_refused() -> None:
    editor = TreeStore().edit(None)
    deep = b"/a" * 2000
    fitting = limits.commit_folders_max // 2001
    for number in range(fitting):
        editor.upsert(TreePath(b"%d%s/f" % (number, deep)), FILE, ONE)
    with pytest.raises(LimitExceeded):
        editor.upsert(TreePath(b"more%s/f" % deep), FILE, ONE)
