"""Judging a push once its pack is here: objects, connectivity, history; then publication and one ref transaction.

index-pack tells of faulty objects and takes them into the quarantine, so that the refs without them can be told apart.
A pack that it told of is never published: what is sound of it is packed anew and judged again.

What a ref is refused with is the text that the user reads behind `ng <ref>`.
"""

from collections.abc import Sequence
from functools import partial
from typing import Final

from packhouse.auth import PolicyDenied, Principal
from packhouse.db import (
    DefaultBranchProtected,
    RefMismatch,
    RefNameConflict,
    RefOutcome,
    RefUpdate,
    list_refs,
)
from packhouse.errors import LimitExceeded, PackhouseError
from packhouse.git import HEADS, NewNameRefused, Oid
from packhouse.git.commands.kill_switch import KillSwitch
from packhouse.git.commands.process import ProgramMissing
from packhouse.node import Node
from packhouse.operations.refs.signed_updates import verify_introduced
from packhouse.operations.transport.push_faults import leave_out, refuse_faulty
from packhouse.operations.transport.push_rules import ACTION, DEFAULT_BRANCH, ref_update
from packhouse.operations.transport.push_state import PushState
from packhouse.repository import (
    AllowedUpdate,
    ObjectKind,
    RefWriter,
    UpstreamRejected,
    Write,
    find_unconnected,
    is_ancestor,
    read_kinds,
)

_MISSING: Final = "missing necessary objects"
_SHALLOW: Final = "shallow update not allowed"

_RefError = RefMismatch | RefNameConflict | DefaultBranchProtected | NewNameRefused | UpstreamRejected
_REF_ERRORS: Final = (RefMismatch, RefNameConflict, DefaultBranchProtected, NewNameRefused, UpstreamRejected)


def judge_push(node: Node, caller: Principal, push: PushState) -> None:
    """Check what arrived, publish it and move the refs, and note every command that fails.

    index-pack has ended well, if there was one. Raises what stops the whole push (the repository was deleted
    meanwhile, a process ran out of time); then nothing moved.
    """
    write = push.write or Write(push.view)
    writer = RefWriter(node, caller, push.repo, action=ACTION)
    with node.database.read() as session:
        known = list({ref.oid for ref in list_refs(session, push.repo.id)})
    refuse_faulty(node, push, known)
    kinds = _check_kinds(push, write)
    _check_connected(push, write, known)
    allowed = _check_history(node, caller, push, write, writer, kinds)
    if push.write is not None and push.open_numbers():
        _rehearse(writer, push, _still_open(push, allowed))
        leave_out(node, push, known)
    updates = _still_open(push, allowed)
    if updates:
        _move(writer, push, updates)


Updates = dict[int, AllowedUpdate]
"""The updates that may still succeed, by the number of their command."""


def _still_open(push: PushState, allowed: Updates) -> Updates:
    return {number: allowed[number] for number in push.open_numbers()}


def _check_kinds(push: PushState, write: Write) -> dict[Oid, ObjectKind]:
    """Refuse new values that are missing, or no commit on a branch; return the kinds of the others."""
    tips = push.open_tips()
    if not tips:
        return {}
    kinds = read_kinds(write, tips.values())
    for number, oid in tips.items():
        if oid not in kinds:
            push.refuse(number, _MISSING)
        elif kinds[oid].kind != "commit" and push.commands[number].name.startswith(HEADS):
            push.refuse(number, "a branch must point to a commit")
    return kinds


def _check_connected(push: PushState, write: Write, known: Sequence[Oid]) -> None:
    tips = push.open_tips()
    if not tips:
        return
    unconnected = find_unconnected(write, list(set(tips.values())), known, push.switch)
    for number, oid in tips.items():
        if oid in unconnected:
            push.refuse(number, _SHALLOW if push.request.shallow else _MISSING)


def _check_history(
    node: Node,
    caller: Principal,
    push: PushState,
    write: Write,
    writer: RefWriter,
    kinds: dict[Oid, ObjectKind],
) -> Updates:
    """Return what the policy allows; only now is all history at hand. Forced and unsigned updates may be refused."""
    allowed: Updates = {}
    for number in push.open_numbers():
        new_oid = push.commands[number].new_oid
        update = ref_update(push, number, kinds[new_oid].peeled_oid if new_oid else None)
        is_fast_forward = partial(_moves_forward, write, update, push.switch)
        verify = partial(
            verify_introduced, node, caller, push.repo, update, objects=write, switch=push.switch
        )
        try:
            allowed[number] = writer.allow(update, is_fast_forward=is_fast_forward, signatures_verify=verify)
        except PolicyDenied as denied:
            push.refuse_policy(number, denied)
        except (LimitExceeded, ProgramMissing) as error:
            push.refuse(number, error.code.value)
    return allowed


def _moves_forward(write: Write, update: RefUpdate, switch: KillSwitch) -> bool:
    assert update.old_oid is not None and update.new_oid is not None, "asked of a move only"
    return is_ancestor(write, update.old_oid, update.new_oid, switch)


def _rehearse(writer: RefWriter, push: PushState, updates: Updates) -> None:
    """Refuse what the ref transaction would refuse now, before a pack is published for nothing."""
    try:
        outcomes = writer.rehearse(list(updates.values()), atomic=push.is_atomic)
        _refuse_failed(push, updates, outcomes)
    except _REF_ERRORS as error:
        _refuse_atomic(push, updates, error)


def _move(writer: RefWriter, push: PushState, updates: Updates) -> None:
    """Publish the pack, then move the refs and note each one that lost a race."""
    try:
        outcomes = writer.move(list(updates.values()), receipt=None, write=push.write, atomic=push.is_atomic)
        _refuse_failed(push, updates, outcomes)
    except _REF_ERRORS as error:
        _refuse_atomic(push, updates, error)


def _refuse_failed(push: PushState, updates: Updates, outcomes: Sequence[RefOutcome]) -> None:
    for number, outcome in zip(updates, outcomes, strict=True):
        if outcome.error is not None:
            push.refuse(number, _error_text(outcome.error))


def _refuse_atomic(push: PushState, updates: Updates, error: _RefError) -> None:
    """Note the one update that failed an atomic push; the others fail with it."""
    for number, allowed in updates.items():
        if allowed.update.refname == error.refname:
            push.refuse(number, _error_text(error))


def _error_text(error: PackhouseError) -> str:
    if isinstance(error, RefMismatch):
        return "the ref has moved, fetch first" if error.actual is not None else "the ref does not exist"
    if isinstance(error, RefNameConflict):
        return f"conflicts with {error.existing.decode('utf-8')}"
    if isinstance(error, NewNameRefused):
        return f"invalid name: {error.reason}"
    if isinstance(error, DefaultBranchProtected):
        return DEFAULT_BRANCH
    return error.code.value
