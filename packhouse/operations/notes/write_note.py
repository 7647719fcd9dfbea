"""Adding, extending and removing notes. Each is one commit on the notes ref, with the tree that git would write."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from packhouse import limits
from packhouse.auth import Principal
from packhouse.db import RefMismatch, RefNameConflict, RefUpdate, get_ref
from packhouse.errors import Code, Conflict, Invalid, NotFound, PackhouseError, PreconditionFailed
from packhouse.git import DEFAULT_NOTES_REF, PERSISTENT, ZERO_OID, Oid, RefName
from packhouse.git.objects import NotesTree, Person, TextNotUnicode, encode_commit
from packhouse.node import Node
from packhouse.operations.catalog.lookup import lookup_repo
from packhouse.operations.notes.notes_commit import NotesCommit, NoteTooLarge, is_notes_commit, join_notes
from packhouse.operations.refs.locked_writes import write_under_lock
from packhouse.repository import (
    Receipt,
    RefWriter,
    RepoView,
    Write,
    bind,
    open_view,
    resolve_object,
    server_person,
)


class CustomNotesRefsOff(Invalid):
    """The server takes notes in `refs/notes/commits` only. The setting `custom_notes_refs` allows others."""

    code = Code.CUSTOM_NOTES_REFS_OFF


class NoteAction(Enum):
    """The change of an object's note. APPEND adds a paragraph, or makes the note."""

    ADD = "add"
    APPEND = "append"
    REMOVE = "remove"


_MESSAGES: Final = {
    # the messages of git notes(1)
    NoteAction.ADD: b"Notes added by 'git notes add'\n",
    NoteAction.APPEND: b"Notes added by 'git notes append'\n",
    NoteAction.REMOVE: b"Notes removed by 'git notes remove'\n",
}


@dataclass(frozen=True, slots=True)
class WriteNote:
    """The change to make. `text` is the note without surrounding blanks, None only with REMOVE.

    `author` None means the server. `expected` is the required tip of the notes ref: an object id, or zeros for a ref
    that must not exist.
    """

    repo: str
    object_ref: str
    refname: RefName
    action: NoteAction
    text: str | None = None
    expected: str | None = None
    author: Person | None = None


@dataclass(frozen=True, slots=True)
class WrittenNote:
    """The result of a write. `previous_tip` is None when the write created the notes ref."""

    target: Oid
    notes_tip: Oid
    previous_tip: Oid | None


@dataclass(frozen=True, slots=True)
class NotesRefState:
    """The object and the tip of the notes ref. `tip` None means that the ref does not exist."""

    target: Oid
    refname: RefName
    tip: Oid | None


class NotesRefFailure(PackhouseError):
    """The notes ref is the reason why a note was not written."""

    at: NotesRefState = field(repr=False)

    @property
    def fields(self) -> Mapping[str, object]:
        """The tip of the notes ref, besides the fields of the class."""
        at = self.at
        return {**super().fields, "notes_ref": at.refname, "object_oid": at.target, "actual": at.tip}


class NoteExists(NotesRefFailure, Conflict):
    """The object has a note already."""

    code = Code.NOTE_EXISTS


class NoteMissing(NotesRefFailure, NotFound):
    """The object has no note to remove."""

    code = Code.NOTE_MISSING


class NotesGuardMismatch(NotesRefFailure, PreconditionFailed):
    """The notes ref is not where the caller expected it."""

    code = Code.NOTES_GUARD_MISMATCH
    expected: str


class NotesRefConflict(NotesRefFailure, Conflict):
    """The name of the notes ref conflicts with the name of another ref, `existing`."""

    code = Code.NOTES_REF_CONFLICT
    existing: RefName


class NotesRefUnusable(NotesRefFailure, Conflict):
    """The notes ref points to another object than a commit."""

    code = Code.NOTES_REF_UNUSABLE


class NotesRefBusy(NotesRefFailure, Conflict):
    """Other writers moved the notes ref at every attempt."""

    code = Code.NOTES_REF_BUSY


def write_note(
    node: Node, caller: Principal, command: WriteNote, *, receipt: Receipt[WrittenNote] | None = None
) -> WrittenNote:
    """Change the note of an object of any kind, and return the new tip of the notes ref.

    A write without a guard is repeated when it loses the race for the ref. Raises RepoNotFound, Invalid and RefNotFound
    for the object, PolicyDenied, LimitExceeded for a note that grows too large, and the errors of this module.
    """
    repo = lookup_repo(node, caller, command.repo)
    if not node.config.custom_notes_refs and command.refname != DEFAULT_NOTES_REF.encode("ascii"):
        raise CustomNotesRefsOff()
    with open_view(node, repo) as view:
        target = resolve_object(view, command.object_ref)
    try:
        with open_view(node, repo) as view, Write(view) as write:

            def attempt() -> WrittenNote:
                state = _read_state(view, target, command)
                return _write_once(node, caller, command, state, write, receipt)

            return write_under_lock(
                node, repo, command.refname, attempt, is_guarded=command.expected is not None
            )
    except RefNameConflict as conflict:
        raise NotesRefConflict(NotesRefState(target, command.refname, None), conflict.existing) from None
    except RefMismatch as lost:
        now_at = NotesRefState(target, command.refname, lost.actual)
        if command.expected is not None:
            raise NotesGuardMismatch(now_at, command.expected) from None
        raise NotesRefBusy(now_at) from None


def _read_state(view: RepoView, target: Oid, command: WriteNote) -> NotesRefState:
    """Return the tip of the notes ref; raise NotesGuardMismatch, NotesRefUnusable."""
    with view.node.database.read() as session:
        ref = get_ref(session, view.repo.id, PERSISTENT, command.refname)
    state = NotesRefState(target, command.refname, None if ref is None else ref.oid)
    if state.tip is not None and not is_notes_commit(view, state.tip):
        raise NotesRefUnusable(state)
    if command.expected is not None and command.expected.lower() != (state.tip or ZERO_OID):
        raise NotesGuardMismatch(state, command.expected[:100])
    return state


def _write_once(
    node: Node,
    caller: Principal,
    command: WriteNote,
    state: NotesRefState,
    write: Write,
    receipt: Receipt[WrittenNote] | None,
) -> WrittenNote:
    """Write on the present tip, publish and move the ref; raise RefMismatch after a lost race."""
    written: dict[Oid, bytes] = {}

    def emit(kind: str, content: bytes) -> Oid:
        oid = write.writer.add_object(kind, content)
        if kind != "blob":
            written[oid] = content
        return oid

    tree = _edit(command, state, write).write(lambda content: emit("tree", content))
    author = command.author or server_person(node)
    content = encode_commit(
        tree=tree,
        parents=[] if state.tip is None else [state.tip],
        author=author,
        committer=author,
        message=_MESSAGES[command.action],
    )
    commit = emit("commit", content)
    writer = RefWriter(node, caller, write.repo, action=f"note-{command.action.value}")
    update = RefUpdate(PERSISTENT, command.refname, state.tip, commit)
    allowed = writer.allow(update, is_fast_forward=lambda: True)
    if state.tip is None:
        writer.rehearse([allowed])  # finds a name conflict before a pack is published
    written_note = WrittenNote(state.target, commit, state.tip)
    writer.move([allowed], receipt=bind(receipt, lambda: written_note), write=write)
    for oid, kept in written.items():
        node.objects.put((write.repo.public_id, oid), kept)
    return written_note


def _edit(command: WriteNote, state: NotesRefState, write: Write) -> NotesTree:
    """Return the notes after the change; new blobs go into the pack."""
    notes = NotesCommit(write.view, state.tip, lambda joined: write.writer.add_object("blob", joined))
    present = notes.tree.find(state.target)
    if command.action is NoteAction.REMOVE:
        if present is None:
            raise NoteMissing(state)
        notes.tree.remove(state.target)
        return notes.tree
    if command.action is NoteAction.ADD and present is not None:
        raise NoteExists(state)
    assert command.text is not None, "the caller requires a text"
    text = _encode(command.text)
    if present is not None:
        text = join_notes(notes.read(present), text)
    if len(text) > limits.note_max_bytes:
        raise NoteTooLarge(oid=state.target, max_bytes=limits.note_max_bytes)
    notes.tree.set(state.target, write.writer.add_object("blob", text))
    return notes.tree


def _encode(text: str) -> bytes:
    try:
        return text.encode("utf-8") + b"\n"
    except UnicodeEncodeError:  # half a surrogate pair, which JSON can spell
        raise TextNotUnicode("note") from None
