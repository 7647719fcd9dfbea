"""A notes tree is a dict of notes to whoever uses it; only ids become paths of it."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from packhouse.errors import Invalid
from packhouse.git.objects.codec import MODE_FILE, MODE_TREE, TreeEntry, encode_tree
from packhouse.git.objects.notes_tree import NotesTree
from packhouse.git.objects.tree_walk import iter_leaves
from packhouse.git.oid import EMPTY_TREE_OID, Oid, hash_object

pytestmark = pytest.mark.quick

BLOB = hash_object("blob", b"note")
# Few first digits, so that notes meet in one folder; some differ in their last digit alone.
TARGETS = [Oid(f"{first:02x}{middle:02x}" + "0" * 34 + last) for first in range(3) for middle in range(6) for last in
           ("00", "01")]  # fmt: skip
MANY = [hash_object("blob", b"%d" % number) for number in range(600)]


def no_tree(oid: Oid) -> bytes:
    raise AssertionError(oid)


@pytest.mark.parametrize("text", ["", "../up", ".git/hooks/x", "ab/../" + "c" * 34, "A" * 40, "a" * 41])
def test_a_note_for_text_that_is_not_an_object_id_is_refused(text: str) -> None:
    notes = NotesTree(no_tree, None, lambda first, _: first)
    with pytest.raises(Invalid):
        notes.set(Oid(text), BLOB)
    with pytest.raises(Invalid):
        notes.set(BLOB, Oid(text))
    assert notes.write(lambda content: hash_object("tree", content)) == EMPTY_TREE_OID


class Store:
    """Trees in memory."""

    def __init__(self) -> None:
        self.trees: dict[Oid, bytes] = {}

    def emit(self, content: bytes) -> Oid:
        """Keep a tree."""
        oid = hash_object("tree", content)
        self.trees[oid] = content
        return oid

    def notes(self, root: Oid) -> dict[str, Oid]:
        """Return the notes that a tree holds: the digits of each path, folders joined, and the blob."""
        leaves = iter_leaves(self.trees.__getitem__, root, entries_max=10_000)
        return {leaf.path.replace(b"/", b"").decode(): leaf.oid for leaf in leaves}

    def open(self, root: Oid | None) -> NotesTree:
        """Open a tree; notes of one object are never found twice here."""
        return NotesTree(self.trees.__getitem__, root, lambda first, second: pytest.fail(f"{first} {second}"))


class NotesMachine(RuleBasedStateMachine):
    """Sets, removes, finds, writes and opens again, in any order, beside a dict."""

    def __init__(self) -> None:
        super().__init__()
        self.store = Store()
        self.model: dict[str, Oid] = {}
        self.tree = self.store.open(None)

    @rule(note=st.sampled_from(TARGETS), number=st.integers(0, 3))
    def set(self, note: Oid, number: int) -> None:
        blob = hash_object("blob", b"note %d" % number)
        self.tree.set(note, blob)
        self.model[note] = blob

    @rule(data=st.data())
    def remove(self, data: st.DataObject) -> None:
        if self.model:
            target = data.draw(st.sampled_from(sorted(self.model)))
            self.tree.remove(Oid(target))
            del self.model[target]

    @rule(note=st.sampled_from(TARGETS))
    def find(self, note: Oid) -> None:
        assert self.tree.find(note) == self.model.get(note)

    @rule()
    def write_and_open_again(self) -> None:
        self.tree = self.store.open(self.tree.write(self.store.emit))

    @invariant()
    def what_is_written_are_the_notes(self) -> None:
        assert self.store.notes(self.tree.write(self.store.emit)) == self.model


TestNotesMachine = NotesMachine.TestCase
TestNotesMachine.settings = settings(max_examples=40)


def test_many_notes_are_spread_over_folders_and_gathered_again() -> None:
    store = Store()
    tree = store.open(None)
    for target in MANY:
        tree.set(target, BLOB)
    root = tree.write(store.emit)
    assert store.notes(root) == dict.fromkeys(MANY, BLOB)
    top = store.trees[root]
    assert top.count(b"40000 ") > 200  # two digits a folder
    again = store.open(root)
    for target in MANY[10:]:
        again.remove(target)
    few = again.write(store.emit)
    assert b"40000 " not in store.trees[few]
    assert store.notes(few) == dict.fromkeys(MANY[:10], BLOB)


def test_the_tree_does_not_depend_on_the_order_of_the_edits() -> None:
    roots = set()
    for targets in (MANY[:300], MANY[299::-1], sorted(MANY[:300])):
        store = Store()
        tree = store.open(None)
        for target in targets:
            tree.set(target, BLOB)
        roots.add(tree.write(store.emit))
    assert len(roots) == 1


def test_untouched_folders_are_neither_read_nor_written() -> None:
    store = Store()
    tree = store.open(None)
    for target in MANY:
        tree.set(target, BLOB)
    root = tree.write(store.emit)
    read: list[Oid] = []
    written: list[bytes] = []

    def read_tree(oid: Oid) -> bytes:
        read.append(oid)
        return store.trees[oid]

    def emit(content: bytes) -> Oid:
        written.append(content)
        return store.emit(content)

    one = NotesTree(read_tree, root, lambda first, _: first)
    one.set(MANY[0], hash_object("blob", b"other"))
    one.write(emit)
    assert len(read) <= 3
    assert len(written) == 2


def test_two_notes_of_one_object_are_joined_by_the_caller() -> None:
    store = Store()
    target = Oid("ab" + "cd" * 19)
    other = hash_object("blob", b"other")
    folder = store.emit(encode_tree([TreeEntry(MODE_FILE, target[2:].encode(), other)]))
    root = store.emit(
        encode_tree([TreeEntry(MODE_FILE, target.encode(), BLOB), TreeEntry(MODE_TREE, b"ab", folder)])
    )
    joined = hash_object("blob", b"joined")
    asked: list[set[Oid]] = []

    def combine(first: Oid, second: Oid) -> Oid:
        asked.append({first, second})
        return joined

    assert NotesTree(store.trees.__getitem__, root, combine).find(target) == joined
    assert asked == [{BLOB, other}]


def test_entries_that_are_not_notes_stay_where_they_were() -> None:
    store = Store()
    rows = [TreeEntry(MODE_FILE, b"README", BLOB), TreeEntry(0o120000, b"e" * 40, BLOB)]
    root = store.emit(encode_tree(rows))
    tree = store.open(root)
    assert tree.find(Oid("e" * 40)) is None
    tree.set(Oid("f" * 40), BLOB)
    tree.remove(Oid("f" * 40))
    assert tree.write(store.emit) == root
