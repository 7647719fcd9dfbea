"""Notes: get one, list the refs that hold them."""

from typing import Any

import msgspec
from starlette.responses import Response

from packhouse.auth.scopes import Scope
from packhouse.operations.read_notes import list_notes_refs, notes_prefix, notes_refname, read_note
from packhouse.web.fields import page_limit, parse_query
from packhouse.web.request import Request
from packhouse.web.responses import json_response
from packhouse.web.routing import Route


class GetNoteQuery(msgspec.Struct):
    """Whose note; `notes_ref` is `reviews`, `notes/reviews` or `refs/notes/reviews`."""

    object_ref: str
    notes_ref: str | None = None


class ListNotesRefsQuery(msgspec.Struct):
    """Which page of the refs whose name starts so; a bare prefix is placed below `refs/notes/`."""

    prefix: str | None = None
    cursor: str | None = None
    limit: int = 0


class NoteAnswer(msgspec.Struct):
    """A note without its final newline, its object's id and the tip of the notes ref."""

    sha: str
    note: str
    ref_sha: str


class ListedNotesRef(msgspec.Struct):
    """One notes ref of a page."""

    cursor: str
    ref: str
    sha: str


class NotesRefList(msgspec.Struct):
    """A page of notes refs, by the bytes of their names."""

    refs: list[ListedNotesRef]
    has_more: bool
    prefix: str
    next_cursor: str | msgspec.UnsetType = msgspec.UNSET


async def handle_get(request: Request) -> Response:
    """GET …/notes."""
    query = parse_query(request.scope["query_string"], GetNoteQuery, where="get_note")
    note = await request.operate(
        read_note, request.caller.repo, object_ref=query.object_ref, refname=notes_refname(query.notes_ref)
    )
    text = note.content.removesuffix(b"\n").decode("utf-8", "replace")
    return json_response({"sha": note.target, "note": text, "ref_sha": note.notes_tip})


async def handle_list_refs(request: Request) -> Response:
    """GET …/notes/refs."""
    query = parse_query(request.scope["query_string"], ListNotesRefsQuery, where="list_notes_refs")
    prefix = notes_prefix(query.prefix)
    page = await request.operate(
        list_notes_refs,
        request.caller.repo,
        prefix=prefix,
        cursor=query.cursor,
        count_max=page_limit(query.limit),
    )
    names = [ref.refname.decode("utf-8") for ref in page.refs]
    answer: dict[str, Any] = {
        "refs": [
            {"cursor": name, "ref": name, "sha": ref.oid} for name, ref in zip(names, page.refs, strict=True)
        ],
        "has_more": page.has_more,
        "prefix": prefix.decode("utf-8"),
    }
    if page.has_more:
        answer["next_cursor"] = names[-1]
    return json_response(answer)


ROUTES = (
    Route(
        "get_note",
        "GET",
        handle_get,
        released="/api/v1/repos/notes",
        preferred="/api/repos/{repo}/notes",
        scopes=(Scope.GIT_READ,),
        summary="Get a note",
        query=GetNoteQuery,
        reply=NoteAnswer,
        failures=(400, 404),
    ),
    Route(
        "list_notes_refs",
        "GET",
        handle_list_refs,
        released="/api/v1/repos/notes/refs",
        preferred="/api/repos/{repo}/notes/refs",
        scopes=(Scope.GIT_READ,),
        summary="List notes refs",
        query=ListNotesRefsQuery,
        reply=NotesRefList,
        failures=(400, 404),
    ),
)
