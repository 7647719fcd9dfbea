"""Reading the ref log: who moved which ref, from which value to which, when and by which call."""

from dataclasses import dataclass

from packhouse import limits
from packhouse.auth import Principal
from packhouse.cursors import decode_cursor, decode_number, encode_cursor
from packhouse.db import RefLogEntry, list_ref_log
from packhouse.git import PERSISTENT, Oid, RefName
from packhouse.node import Node
from packhouse.operations.catalog.lookup import lookup_repo
from packhouse.repository import follow_head


@dataclass(frozen=True, slots=True)
class ReadRefLog:
    """The page to read: at most `count_max` updates older than `cursor` (None: from the newest).

    `refname` limits it to the updates of one ref; `HEAD` means the default branch. Without `refname`, `namespace` has
    no effect.
    """

    repo: str
    refname: RefName | None = None
    namespace: str = PERSISTENT
    cursor: str | None = None
    count_max: int = limits.page_default


@dataclass(frozen=True, slots=True)
class RefMove:
    """One ref update. An oid of None means that the ref did not exist. `moved_at` is in seconds since 1970."""

    id: int
    namespace: str
    refname: RefName
    old_oid: Oid | None
    new_oid: Oid | None
    actor: str
    action: str
    moved_at: int
    cursor: str


@dataclass(frozen=True, slots=True)
class RefLogPage:
    """One page, newest first."""

    moves: list[RefMove]
    has_more: bool


def read_ref_log(node: Node, caller: Principal, command: ReadRefLog) -> RefLogPage:
    """Return one page of ref updates, newest first; raise RepoNotFound and BadCursor."""
    cursor, count_max = command.cursor, command.count_max
    before = None if cursor is None else decode_number(decode_cursor(cursor, parts=1)[0])
    repo = lookup_repo(node, caller, command.repo)
    ref = None
    if command.refname is not None:
        ref = (command.namespace, follow_head(repo, command.refname))
    with node.database.read() as session:
        entries = list_ref_log(session, repo.id, ref=ref, before=before, limit=count_max + 1)
    return RefLogPage([_move(entry) for entry in entries[:count_max]], len(entries) > count_max)


def _move(entry: RefLogEntry) -> RefMove:
    return RefMove(
        entry.id,
        entry.namespace,
        entry.refname,
        entry.old_oid,
        entry.new_oid,
        entry.actor,
        entry.action,
        entry.created_at,
        encode_cursor(str(entry.id).encode("ascii")),
    )
