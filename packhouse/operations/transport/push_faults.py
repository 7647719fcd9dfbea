"""Faulty objects of a push: which refs they stop, and how the rest is kept without them."""

from collections.abc import Sequence
from typing import Final

from packhouse import limits
from packhouse.db.repos import RepoNotFound
from packhouse.errors import LimitExceeded, PackhouseError, TimedOut
from packhouse.git.commands.fault_log import ObjectFault
from packhouse.git.commands.index_pack import find_unread_files
from packhouse.git.oid import Oid
from packhouse.node.node import Node
from packhouse.operations.transport.pending_push import PendingPush
from packhouse.repository.damage import RepositoryDamaged, RepositoryMended
from packhouse.repository.upkeep.fault_tracing import Trace, trace_faults
from packhouse.repository.upkeep.push_repack import JudgedAgain, Kept, pack_anew

_UNTRACEABLE: Final = "the push has faulty objects, and which refs lead to them cannot be found out"
_IMPORT_TAKES_THEM: Final = "faults of old histories like these are let through on the +import remote"


def allowed_faults(node: Node, pending: PendingPush) -> Sequence[str]:
    """Return the faults of old histories that this push may bring."""
    return node.config.import_allowed_fault_names if pending.push.remote.is_import else ()


def note_unread_files(pending: PendingPush, lines: bytes) -> None:
    """Take the `.gitmodules` that index-pack could not look into: they cannot be judged harmless.

    `lines` are what it wrote to its output.
    """
    for oid in find_unread_files(lines):
        pending.fault_log.add(ObjectFault(oid, "gitmodulesMissing", "cannot be looked into"))


def refuse_faulty(node: Node, pending: PendingPush, known: Sequence[Oid]) -> None:
    """Refuse the refs that lead to an object of which index-pack has told; of one that is atomic each has its reason.

    `known` are values of the repository's refs. Raises RepositoryDamaged, RepositoryMended and RepoNotFound.
    """
    log = pending.fault_log
    if pending.write is None or not (log.faults or log.is_incomplete):
        return
    tips = pending.open_tips()
    try:
        traces = _trace(pending, known)
    except (RepositoryDamaged, RepositoryMended, RepoNotFound):
        raise
    except PackhouseError:
        traces = None
    if traces is None:
        pending.refuse_open(_UNTRACEABLE)
        few = list(log.faults.values())[: limits.push_told_refs_max]
        pending.lines += [f"object {fault.oid}: {fault.name}: {fault.text}" for fault in few]
    else:
        _refuse_traced(pending, {number: traces[oid] for number, oid in tips.items() if oid in traces})
    allowed = node.config.import_allowed_fault_names
    if not pending.push.remote.is_import and all(fault.name in allowed for fault in log.faults.values()):
        pending.lines.append(_IMPORT_TAKES_THEM)


def _trace(pending: PendingPush, known: Sequence[Oid]) -> dict[Oid, Trace] | None:
    if pending.fault_log.is_incomplete:
        return None
    assert pending.write is not None, "the caller has looked"
    with pending.view.telling_damage():
        return trace_faults(
            pending.write,
            pending.fault_log.faults,
            list(dict.fromkeys(pending.open_tips().values())),
            known,
            shallow=pending.push.request.shallow,
            switch=pending.switch,
        )


def _refuse_traced(pending: PendingPush, traces: dict[int, Trace]) -> None:
    for number, trace in traces.items():
        text = trace.describe()
        pending.refuse(number, text)
        if len(pending.lines) < limits.push_told_refs_max:
            pending.lines.append(f"{pending.shown_name(number)}: {text}")
    if len(traces) > limits.push_told_refs_max:
        pending.lines.append(f"{len(traces)} refs in all lead to objects that are refused")


def leave_out(node: Node, pending: PendingPush, known: Sequence[Oid]) -> None:
    """Remove the objects that no open command needs.

    Does nothing for a push of which everything is needed. Raises GitFailed, RepositoryDamaged and RepositoryMended.
    """
    if pending.write is None or not pending.leaves_out():
        return
    kept = Kept(
        list(dict.fromkeys(pending.open_tips().values())),
        known,
        allowed_faults(node, pending),
        pending.push.request.shallow,
    )
    must = bool(pending.fault_log.faults) or pending.fault_log.is_incomplete
    try:
        fresh = None
        if kept.tips:
            with pending.view.telling_damage():
                fresh = pack_anew(node, pending.write, kept, pending.switch, must=must)
    except (JudgedAgain, LimitExceeded, TimedOut) as error:
        if must:
            pending.refuse_open(error.reason if isinstance(error, JudgedAgain) else error.code.value)
        return  # or else all that came stays: none of it is faulty, and maintenance removes what nothing needs
    if fresh is not pending.write:
        pending.write.discard()
        pending.write = fresh
