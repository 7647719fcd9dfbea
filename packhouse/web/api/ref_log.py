"""The ref log: what undo and audit read. An addition of this server; other servers of this API lack it."""

from typing import Annotated, Any

import msgspec
from starlette.responses import Response

from packhouse import limits
from packhouse.clock import format_timestamp
from packhouse.git.oid import oid_to_wire
from packhouse.git.refname import EPHEMERAL, PERSISTENT, parse_refname
from packhouse.operations.refs.read_ref_log import ReadRefLog, RefMove, read_ref_log
from packhouse.web.call import Call
from packhouse.web.edge.responses import json_response
from packhouse.web.json.fields import page_limit
from packhouse.web.json.types import EncodedCursor, Name, Number, PageLimit, Sha, Timestamp
from packhouse.web.openapi.description import Description
from packhouse.web.routing.route import of_repo, reading

_LoggedRef = Annotated[
    str,
    msgspec.Meta(
        description="A branch, `HEAD` for the default branch, or a full name such as `refs/tags/v1`.",
        extra_json_schema={"maxLength": limits.refname_max_bytes},
    ),
]


class RefLogQuery(msgspec.Struct):
    """Which page; `ref` is a branch or a full ref name, `ephemeral` tells where it is looked for."""

    ref: _LoggedRef | None = None
    ephemeral: bool = False
    cursor: EncodedCursor | None = None
    limit: PageLimit = 0


class RefMoveFields(msgspec.Struct):
    """One move; forty zeros mean that the ref did not exist."""

    id: Number
    ref: Name
    ephemeral: bool
    old_sha: Sha
    new_sha: Sha
    actor: str
    action: Name
    moved_at: Timestamp
    cursor: Name


class RefLogAnswer(msgspec.Struct):
    """A page of ref updates, newest first."""

    entries: list[RefMoveFields]
    has_more: bool
    next_cursor: Name | msgspec.UnsetType = msgspec.UNSET


def _fields(move: RefMove) -> dict[str, Any]:
    return {
        "id": move.id,
        "ref": move.refname.decode("utf-8"),
        "ephemeral": move.namespace == EPHEMERAL,
        "old_sha": oid_to_wire(move.old_oid),
        "new_sha": oid_to_wire(move.new_oid),
        "actor": move.actor,
        "action": move.action,
        "moved_at": format_timestamp(move.moved_at),
        "cursor": move.cursor,
    }


async def handle_ref_log(call: Call) -> Response:
    """GET …/ref-log."""
    query = call.read_query(RefLogQuery)
    command = ReadRefLog(
        repo=call.caller.repo,
        refname=None if query.ref is None else parse_refname(query.ref),
        namespace=EPHEMERAL if query.ephemeral else PERSISTENT,
        cursor=query.cursor,
        count_max=page_limit(query.limit),
    )
    page = await call.operate(read_ref_log, command)
    answer: dict[str, Any] = {"entries": [_fields(move) for move in page.moves], "has_more": page.has_more}
    if page.has_more:
        answer["next_cursor"] = page.moves[-1].cursor
    return json_response(answer)


ROUTES = (
    reading(
        "ref_log",
        of_repo("ref-log"),
        handle_ref_log,
        Description(
            "List who moved which ref (an addition of this server)", query=RefLogQuery, reply=RefLogAnswer
        ),
    ),
)
