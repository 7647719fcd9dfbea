"""Ids become paths of a notes tree, so nothing but an id may be one."""

import pytest

from packhouse.errors import Invalid
from packhouse.git.objects.notes_tree import NotesTree
from packhouse.git.oid import EMPTY_TREE_OID, Oid, hash_object

pytestmark = pytest.mark.quick

BLOB = hash_object("blob", b"note")


def no_tree(oid: Oid) -> bytes:
    raise AssertionError(oid)


@pytest.mark.parametrize("text", ["", "../up", ".git/hooks/x", "ab/../" + "c" * 34, "A" * 40, "a" * 41])
def test_a_note_for_what_is_no_object_id_is_refused(text: str) -> None:
    notes = NotesTree(no_tree, None, lambda first, _: first)
    with pytest.raises(Invalid):
        notes.set(Oid(text), BLOB)
    with pytest.raises(Invalid):
        notes.set(BLOB, Oid(text))
    assert notes.write(lambda content: hash_object("tree", content)) == EMPTY_TREE_OID
