"""The ref log, for undo and audit. It is an addition of this server: other servers of this API have none."""

from typing import Annotated

import msgspec
from msgspec import UNSET, UnsetType

from packhouse import limits
from packhouse.clock import format_timestamp
from packhouse.git import EPHEMERAL, PERSISTENT, oid_to_wire, parse_refname
from packhouse.operations.refs.read_ref_log import ReadRefLog, RefMove, read_ref_log
from packhouse.web.call import Call
from packhouse.web.json import EncodedCursor, Name, Number, PageLimit, Sha, Timestamp, page_limit
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
    """The page to return. `ref` is a branch or a full ref name; `ephemeral` tells in which namespace it is."""

    ref: _LoggedRef | None = None
    ephemeral: bool = False
    cursor: EncodedCursor | None = None
    limit: PageLimit = 0


class RefMoveFields(msgspec.Struct):
    """One move. Forty zeros mean that the ref did not exist."""

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
    """A page of moves, newest first."""

    entries: list[RefMoveFields]
    has_more: bool
    next_cursor: Name | UnsetType = UNSET


async def handle_ref_log(call: Call) -> RefLogAnswer:
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
    entries = [_fields(move) for move in page.moves]
    return RefLogAnswer(entries, page.has_more, entries[-1].cursor if page.has_more else UNSET)


def _fields(move: RefMove) -> RefMoveFields:
    return RefMoveFields(
        id=move.id,
        ref=move.refname.decode("utf-8"),
        ephemeral=move.namespace == EPHEMERAL,
        old_sha=oid_to_wire(move.old_oid),
        new_sha=oid_to_wire(move.new_oid),
        actor=move.actor,
        action=move.action,
        moved_at=format_timestamp(move.moved_at),
        cursor=move.cursor,
    )


ROUTES = (
    reading(
        "ref_log",
        of_repo("ref-log"),
        handle_ref_log,
        Description("List who moved which ref (an addition of this server)", query=RefLogQuery),
    ),
)
