"""Faulty objects of a push: which refs they stop, and how the rest is kept without them."""

from collections.abc import Sequence
from typing import Final

from packhouse import limits
from packhouse.db import RepoNotFound
from packhouse.errors import LimitExceeded, PackhouseError, TimedOut
from packhouse.git import Oid
from packhouse.git.commands.fault_log import ObjectFault
from packhouse.git.commands.index_pack import find_unread_files
from packhouse.node import Node
from packhouse.operations.transport.push_state import PushState
from packhouse.repository import (
    JudgedAgain,
    Kept,
    RepositoryDamaged,
    RepositoryMended,
    Trace,
    pack_anew,
    trace_faults,
)

_UNTRACEABLE: Final = "the push has faulty objects, and which refs lead to them cannot be found out"
_IMPORT_TAKES_THEM: Final = "faults of old histories like these are let through on the +import remote"


def allowed_faults(node: Node, push: PushState) -> Sequence[str]:
    """Return the faults of old histories that this push may bring."""
    return node.config.import_allowed_fault_names if push.remote.is_import else ()


def note_unread_files(push: PushState, lines: bytes) -> None:
    """Take the `.gitmodules` that index-pack could not look into: they cannot be judged harmless.

    `lines` are what it wrote to its output.
    """
    for oid in find_unread_files(lines):
        push.fault_log.add(ObjectFault(oid, "gitmodulesMissing", "cannot be looked into"))


def refuse_faulty(node: Node, push: PushState, known: Sequence[Oid]) -> None:
    """Refuse the refs that lead to an object of which index-pack has told; of one that is atomic each has its reason.

    `known` are values of the repository's refs. Raises RepositoryDamaged, RepositoryMended and RepoNotFound.
    """
    log = push.fault_log
    if push.write is None or not (log.faults or log.is_incomplete):
        return
    tips = push.open_tips()
    try:
        traces = _trace(push, known)
    except (RepositoryDamaged, RepositoryMended, RepoNotFound):
        raise
    except PackhouseError:
        traces = None
    if traces is None:
        push.refuse_open(_UNTRACEABLE)
        few = list(log.faults.values())[: limits.push_told_refs_max]
        push.lines += [f"object {fault.oid}: {fault.name}: {fault.text}" for fault in few]
    else:
        _refuse_traced(push, {number: traces[oid] for number, oid in tips.items() if oid in traces})
    allowed = node.config.import_allowed_fault_names
    if not push.remote.is_import and all(fault.name in allowed for fault in log.faults.values()):
        push.lines.append(_IMPORT_TAKES_THEM)


def _trace(push: PushState, known: Sequence[Oid]) -> dict[Oid, Trace] | None:
    if push.fault_log.is_incomplete:
        return None
    assert push.write is not None, "the caller has looked"
    with push.view.telling_damage():
        return trace_faults(
            push.write,
            push.fault_log.faults,
            list(dict.fromkeys(push.open_tips().values())),
            known,
            shallow=push.request.shallow,
            switch=push.switch,
        )


def _refuse_traced(push: PushState, traces: dict[int, Trace]) -> None:
    for number, trace in traces.items():
        text = trace.describe()
        push.refuse(number, text)
        if len(push.lines) < limits.push_told_refs_max:
            push.lines.append(f"{push.shown_name(number)}: {text}")
    if len(traces) > limits.push_told_refs_max:
        push.lines.append(f"{len(traces)} refs in all lead to objects that are refused")


def leave_out(node: Node, push: PushState, known: Sequence[Oid]) -> None:
    """Remove the objects that no open command needs.

    Does nothing for a push of which everything is needed. Raises GitFailed, RepositoryDamaged and RepositoryMended.
    """
    if push.write is None or not push.leaves_out():
        return
    kept = Kept(
        list(dict.fromkeys(push.open_tips().values())),
        known,
        allowed_faults(node, push),
        push.request.shallow,
    )
    must = bool(push.fault_log.faults) or push.fault_log.is_incomplete
    try:
        fresh = None
        if kept.tips:
            with push.view.telling_damage():
                fresh = pack_anew(node, push.write, kept, push.switch, must=must)
    except (JudgedAgain, LimitExceeded, TimedOut) as error:
        if must:
            push.refuse_open(error.reason if isinstance(error, JudgedAgain) else error.code.value)
        return  # or else all that came stays: none of it is faulty, and maintenance removes what nothing needs
    if fresh is not push.write:
        push.write.discard()
        push.write = fresh
