"""Notes attached to objects, and the refs that hold them (git-notes(1))."""

from dataclasses import dataclass
from typing import Final

from packhouse.auth.principal import Principal
from packhouse.cursors import BadCursor
from packhouse.db.refs import Ref, list_refs_page
from packhouse.error_codes import Code
from packhouse.errors import Invalid, NotFound
from packhouse.git.oid import Oid, hash_object
from packhouse.git.refname import NOTES, PERSISTENT, RefName, is_refname
from packhouse.node.node import Node
from packhouse.operations.catalog.lookup import lookup_repo, open_repo
from packhouse.operations.notes.notes_commit import NotesCommit, is_notes_commit
from packhouse.repository.refs.resolve import resolve_object

DEFAULT_NOTES_REF: Final = "refs/notes/commits"


class NotesRefInvalid(Invalid):
    """The text names no ref below `refs/notes/`. `notes_name` is its start."""

    code = Code.NOTES_REF_INVALID
    notes_name: str


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
    """A note's bytes as stored, the object it is attached to, and the tip of the notes ref."""

    target: Oid
    content: bytes
    notes_tip: Oid


@dataclass(frozen=True, slots=True)
class NotesRefPage:
    """One page, ordered by the bytes of the names."""

    refs: list[Ref]
    has_more: bool


def notes_refname(text: str | None) -> RefName:
    """Return the full name of a notes ref as callers write it: `reviews`, `notes/reviews` or whole.

    None is the ref that git uses by default. Raises Invalid for other `refs/` and for what git refuses.
    """
    return _check(text, _place(text or DEFAULT_NOTES_REF))


def notes_prefix(text: str | None) -> bytes:
    """Return the start that full names must have for a prefix as callers write it; None is all notes refs.

    Raises Invalid for a prefix outside `refs/notes/` and for one that no refname can have.
    """
    if text is None or text in ("refs/notes", "refs/notes/", "notes/"):
        return NOTES
    prefix = _place(text)
    _check(text, prefix + b"x")
    return prefix


def read_note(node: Node, caller: Principal, name: str, *, object_ref: str, refname: RefName) -> Note:
    """Return the note of an object.

    Raises RepoNotFound, RefNotFound for the object, NotesRefNotFound, NoteNotFound, and LimitExceeded for a
    note too large for a JSON answer.
    """
    with open_repo(node, caller, name) as view:
        target = resolve_object(view, object_ref)
        ref = view.get_ref(PERSISTENT, refname)
        if ref is None:
            raise NotesRefNotFound(refname)
        if not is_notes_commit(view, ref.oid):
            raise NoteNotFound(target)
        notes = NotesCommit(view, ref.oid, lambda joined: hash_object("blob", joined))
        blob = notes.tree.find(target)
        if blob is None:
            raise NoteNotFound(target)
        return Note(target, notes.read(blob), ref.oid)


def list_notes_refs(
    node: Node, caller: Principal, name: str, *, prefix: bytes, cursor: str | None, count_max: int
) -> NotesRefPage:
    """Return the notes refs that begin with `prefix`, after the full name `cursor`; raise BadCursor."""
    after = None if cursor is None else _parse_cursor(cursor)
    repo = lookup_repo(node, caller, name)
    with node.database.read() as session:
        page = list_refs_page(session, repo.id, PERSISTENT, prefix=prefix, after=after, limit=count_max + 1)
    return NotesRefPage(page[:count_max], len(page) > count_max)


def _place(text: str) -> bytes:
    """Return what callers wrote as a name below `refs/notes/`."""
    if text.startswith("refs/"):
        whole = text
    elif text.startswith("notes/"):
        whole = f"refs/{text}"
    else:
        whole = f"refs/notes/{text}"
    try:
        return whole.encode("utf-8")
    except UnicodeEncodeError:
        raise NotesRefInvalid(text[:200]) from None


def _check(text: str | None, refname: bytes) -> RefName:
    if not refname.startswith(NOTES) or not is_refname(refname):
        # Not `notes_ref`: with that field, a failure of a note write says that the ref itself was the reason.
        raise NotesRefInvalid((text or "")[:200])
    return RefName(refname)


def _parse_cursor(cursor: str) -> RefName:
    try:
        refname = cursor.encode("utf-8")
    except UnicodeEncodeError:
        raise BadCursor() from None
    if not is_refname(refname):
        raise BadCursor()
    return RefName(refname)
