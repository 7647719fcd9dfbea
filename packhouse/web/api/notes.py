"""Notes: get, add, append and remove them, list the refs that hold them."""

from typing import Annotated, Final, Literal

import msgspec
from msgspec import UNSET, UnsetType

from packhouse import limits
from packhouse.errors import Code, FieldMissing, Invalid
from packhouse.git import PERSISTENT, Oid, notes_prefix, notes_refname
from packhouse.operations.notes.list_notes_refs import ListNotesRefs, list_notes_refs
from packhouse.operations.notes.read_note import ReadNote, read_note
from packhouse.operations.notes.write_note import NoteAction, WriteNote, WrittenNote, write_note
from packhouse.web.api.commits import PersonFields, read_person
from packhouse.web.call import Call
from packhouse.web.json import (
    OLD_NAME,
    AnyRef,
    Cursor,
    Guard,
    Name,
    NotesRef,
    PageLimit,
    Sha,
    WithOldNames,
    always,
    needs,
    old_name_of,
    one_of,
    page_limit,
    says,
)
from packhouse.web.openapi.description import Description
from packhouse.web.prepared_write import BranchWrite
from packhouse.web.reply import Reply, or_unset
from packhouse.web.routing.route import ErrorStyle, of_repo, reading, writing_branch

_ACTIONS: Final = frozenset(action.value for action in NoteAction)

_NotesRefInput = Annotated[
    str,
    msgspec.Meta(
        description="`reviews`, `notes/reviews` or `refs/notes/reviews`.",
        extra_json_schema={
            "maxLength": limits.refname_max_bytes,
            "anyOf": [{"pattern": r"^\s*refs/notes(/|\s*$)"}, {"not": {"pattern": r"^\s*refs/"}}],
        },
    ),
]


class NoteActionUnknown(Invalid):
    """No write of a note has this name. `action` is the start of the word."""

    code = Code.NOTE_ACTION_UNKNOWN
    action: str


class GetNoteQuery(msgspec.Struct):
    """The object whose note is read. `notes_ref` is `reviews`, `notes/reviews` or `refs/notes/reviews`."""

    object_ref: AnyRef
    notes_ref: _NotesRefInput | None = None


class ListNotesRefsQuery(msgspec.Struct):
    """The page to return, and the prefix of the refs' names. A bare prefix is placed below `refs/notes/`."""

    prefix: _NotesRefInput | None = None
    cursor: Cursor | None = None
    limit: PageLimit = 0


class NoteAnswer(msgspec.Struct):
    """A note without its final newline, its object's id and the tip of the notes ref."""

    sha: Sha
    note: str
    ref_sha: Sha


class ListedNotesRef(msgspec.Struct):
    """One notes ref of a page."""

    cursor: Name
    ref: NotesRef
    sha: Sha


class NotesRefList(msgspec.Struct):
    """A page of notes refs, by the bytes of their names."""

    refs: list[ListedNotesRef]
    has_more: bool
    prefix: Annotated[str, says(pattern="^refs/notes/")]
    next_cursor: Name | UnsetType = UNSET


class WriteNoteBody(msgspec.Struct):
    """The object whose note is written, the action (`add`, `append` or `remove`), and the text, which `remove` ignores.

    With `expected_notes_ref_sha` the notes ref must be at that commit. Forty zeros mean that it must not exist.
    """

    object_ref: AnyRef
    action: Annotated[str, one_of(*(action.value for action in NoteAction))] = "add"
    note: str | None = None
    notes_ref: _NotesRefInput | None = None
    expected_notes_ref_sha: Guard | None = None
    author: PersonFields | None = None


class DeleteNoteBody(msgspec.Struct):
    """The object whose note is removed."""

    object_ref: AnyRef
    notes_ref: _NotesRefInput | None = None
    expected_notes_ref_sha: Guard | None = None
    author: PersonFields | None = None


class NoteResult(msgspec.Struct):
    """The outcome of the write."""

    success: Literal[True]
    status: Annotated[str, always("ok")]


class NoteWriteAnswer(WithOldNames, frozen=True, kw_only=True):
    """The object, the notes ref under both its names, its new tip and the one before."""

    sha: Sha
    notes_ref: NotesRef
    base_commit: Sha | UnsetType = UNSET
    new_ref_sha: Sha
    result: NoteResult
    target_ref: Annotated[NotesRef, old_name_of("notes_ref")] = OLD_NAME


async def handle_get(call: Call) -> NoteAnswer:
    """GET …/notes."""
    query = call.read_query(GetNoteQuery)
    command = ReadNote(call.caller.repo, query.object_ref, notes_refname(query.notes_ref))
    note = await call.operate(read_note, command)
    text = note.content.removesuffix(b"\n").decode("utf-8", "replace")
    return NoteAnswer(note.target, text, note.notes_tip)


async def handle_list_refs(call: Call) -> NotesRefList:
    """GET …/notes/refs."""
    query = call.read_query(ListNotesRefsQuery)
    prefix = notes_prefix(query.prefix)
    command = ListNotesRefs(call.caller.repo, prefix, query.cursor, page_limit(query.limit))
    page = await call.operate(list_notes_refs, command)
    refs = [_listed(ref.refname.decode("utf-8"), ref.oid) for ref in page.refs]
    return NotesRefList(
        refs, page.has_more, prefix.decode("utf-8"), refs[-1].cursor if page.has_more else UNSET
    )


def _listed(refname: str, tip: Oid) -> ListedNotesRef:
    return ListedNotesRef(cursor=refname, ref=refname, sha=tip)


async def handle_write(call: Call) -> BranchWrite[NoteWriteAnswer]:
    """POST …/notes."""
    body = await call.read_body(WriteNoteBody)
    if body.action not in _ACTIONS:
        raise NoteActionUnknown(body.action[:80])
    action = NoteAction(body.action)
    if body.note is None and action is not NoteAction.REMOVE:
        raise FieldMissing("note")
    return _prepare(call, body, action, body.note, status=201 if action is NoteAction.ADD else 200)


async def handle_delete(call: Call) -> BranchWrite[NoteWriteAnswer]:
    """DELETE …/notes."""
    body = await call.read_body(DeleteNoteBody)
    return _prepare(call, body, NoteAction.REMOVE, None, status=200)


def _prepare(
    call: Call,
    body: WriteNoteBody | DeleteNoteBody,
    action: NoteAction,
    text: str | None,
    *,
    status: int,
) -> BranchWrite[NoteWriteAnswer]:
    command = WriteNote(
        repo=call.caller.repo,
        object_ref=body.object_ref,
        refname=notes_refname(body.notes_ref),
        action=action,
        text=text,
        expected=body.expected_notes_ref_sha,
        author=None if body.author is None else read_person(body.author, now=call.node.clock()),
    )

    def render(written: WrittenNote) -> Reply[NoteWriteAnswer]:
        answer = NoteWriteAnswer(
            sha=written.target,
            notes_ref=command.refname.decode("utf-8"),
            base_commit=or_unset(written.previous_tip),
            new_ref_sha=written.notes_tip,
            result=NoteResult(success=True, status="ok"),
        )
        return Reply(answer, status)

    return call.prepare_branch_write(
        write_note, command, render, namespace=PERSISTENT, refname=command.refname
    )


_NOTE_UNLESS_REMOVED: Final = {
    "anyOf": [
        needs("note"),
        {
            "required": ["action"],
            "properties": {"action": {"type": "string", "pattern": rf"^\s*{NoteAction.REMOVE.value}\s*$"}},
        },
    ]
}

ROUTES = (
    reading(
        "get_note",
        of_repo("notes"),
        handle_get,
        Description("Get a note", query=GetNoteQuery, failures=(413,)),
    ),
    reading(
        "list_notes_refs",
        of_repo("notes/refs"),
        handle_list_refs,
        Description("List notes refs", query=ListNotesRefsQuery),
    ),
    writing_branch(
        "write_note",
        of_repo("notes"),
        handle_write,
        Description(
            "Add a note, append to one or remove it",
            body=WriteNoteBody,
            body_rules=(_NOTE_UNLESS_REMOVED,),
            status=201,
            other_statuses=(200,),
            failures=(409,),
        ),
        errors=ErrorStyle.NOTE,
    ),
    writing_branch(
        "delete_note",
        of_repo("notes"),
        handle_delete,
        Description("Delete a note", body=DeleteNoteBody, failures=(409,)),
        method="DELETE",
        errors=ErrorStyle.NOTE,
    ),
)
