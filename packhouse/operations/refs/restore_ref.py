"""Moving a ref back to an earlier value, to undo a push, a forced push or a deletion."""

from dataclasses import dataclass, replace

from packhouse.auth import Principal
from packhouse.db import RefLogEntry, RefUpdate, Repo, get_ref, list_ref_log
from packhouse.errors import Code, NotFound
from packhouse.git import Oid, RefName
from packhouse.git.objects import ObjectMissing
from packhouse.limits import page_max
from packhouse.node import Node
from packhouse.operations.catalog.lookup import lookup_repo
from packhouse.repository import RefWriter, follow_head, open_view


class RefUnbornThen(NotFound):
    """The ref did not exist at the requested time, according to the ref log."""

    code = Code.REF_UNBORN_THEN
    ref: str


class RefNotLogged(NotFound):
    """The ref log has no entry of the ref that is as old as the requested time."""

    code = Code.REF_NOT_LOGGED
    ref: str


@dataclass(frozen=True, slots=True)
class RestoreRef:
    """The ref, and the moment: the end of the second `at` (since 1970), or just before the log entry `entry`.

    `HEAD` as the refname means the default branch.
    """

    repo: str
    namespace: str
    refname: RefName
    at: int | None = None
    entry: int | None = None


@dataclass(frozen=True, slots=True)
class RestoredRef:
    """The ref, its value until now (None: it did not exist) and its restored value."""

    refname: RefName
    old_oid: Oid | None
    new_oid: Oid


def restore_ref(node: Node, caller: Principal, command: RestoreRef) -> RestoredRef:
    """Move the ref to its earlier value. The ref log records the move like any other.

    A ref is restored even if no new ref could have its name, because a refused undo would lose commits. Raises NotFound
    when the ref did not exist at that time, when the log does not reach back so far, or when the object is lost.
    """
    repo = lookup_repo(node, caller, command.repo)
    command = replace(command, refname=follow_head(repo, command.refname))
    oid = _find_value(node, repo, command)
    peeled = _check_object(node, repo, oid)
    with node.database.read() as session:
        present = get_ref(session, repo.id, command.namespace, command.refname)
    old_oid = None if present is None else present.oid
    if old_oid != oid:
        update = RefUpdate(command.namespace, command.refname, old_oid, oid, peeled, restores=True)
        writer = RefWriter(node, caller, repo, action="restore-ref")
        writer.move([writer.allow(update, is_fast_forward=lambda: False)], receipt=None)
    return RestoredRef(command.refname, old_oid, oid)


def _find_value(node: Node, repo: Repo, command: RestoreRef) -> Oid:
    """Return the value that the ref log has for the requested moment."""
    before: int | None = None
    while True:
        with node.database.read() as session:
            entries = list_ref_log(
                session,
                repo.id,
                ref=(command.namespace, command.refname),
                before=before,
                limit=page_max,
            )
        for entry in entries:
            if _is_meant(entry, command):
                value = entry.old_oid if command.entry is not None else entry.new_oid
                if value is None:
                    raise RefUnbornThen(command.refname.decode("utf-8"))
                return value
        if len(entries) < page_max:
            raise RefNotLogged(command.refname.decode("utf-8"))
        before = entries[-1].id


def _is_meant(entry: RefLogEntry, command: RestoreRef) -> bool:
    if command.entry is not None:
        return entry.id == command.entry
    assert command.at is not None, "the caller names a time or an entry"
    return entry.created_at <= command.at


def _check_object(node: Node, repo: Repo, oid: Oid) -> Oid | None:
    """Return the object that an annotated tag leads to, None for other objects; raise NotFound for a lost object."""
    with open_view(node, repo) as reader:
        if reader.kind_and_size(oid) is None:
            raise ObjectMissing(oid)
        _kind, target = reader.peel(oid)
    return None if target == oid else target
