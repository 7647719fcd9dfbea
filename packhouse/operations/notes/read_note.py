"""Reading the note of an object."""

from dataclasses import dataclass

from packhouse.auth import Principal
from packhouse.errors import Code, NotFound
from packhouse.git import PERSISTENT, Oid, RefName, hash_object
from packhouse.node import Node
from packhouse.operations.catalog.lookup import open_repo
from packhouse.operations.notes.notes_commit import NotesCommit, is_notes_commit
from packhouse.repository import resolve_object


class NotesRefNotFound(NotFound):
    """The repository has no such notes ref."""

    code = Code.NOTES_REF_NOT_FOUND
    refname: RefName


class NoteNotFound(NotFound):
    """The notes ref holds no note for the object."""

    code = Code.NOTE_NOT_FOUND
    oid: Oid


@dataclass(frozen=True, slots=True)
class Note:
    """A note's bytes as stored, the object that has the note, and the tip of the notes ref."""

    target: Oid
    content: bytes
    notes_tip: Oid


@dataclass(frozen=True, slots=True)
class ReadNote:
    """The object, given as any ref input, and the notes ref."""

    repo: str
    object_ref: str
    refname: RefName


def read_note(node: Node, caller: Principal, command: ReadNote) -> Note:
    """Return the note of an object.

    Raises RepoNotFound, RefNotFound for the object, NotesRefNotFound, NoteNotFound, and LimitExceeded for a note that
    is too large for a JSON answer.
    """
    with open_repo(node, caller, command.repo) as view:
        target = resolve_object(view, command.object_ref)
        ref = view.get_ref(PERSISTENT, command.refname)
        if ref is None:
            raise NotesRefNotFound(command.refname)
        if not is_notes_commit(view, ref.oid):
            raise NoteNotFound(target)
        notes = NotesCommit(view, ref.oid, lambda joined: hash_object("blob", joined))
        blob = notes.tree.find(target)
        if blob is None:
            raise NoteNotFound(target)
        return Note(target, notes.read(blob), ref.oid)
