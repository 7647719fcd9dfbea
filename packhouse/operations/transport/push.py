"""Taking a push: commands checked here, the pack judged in quarantine, then one ref transaction.

    start_push    policy and names; a quarantine and index-pack, when a pack is to come
    (the caller)  feeds the pack to `PendingPush.process`
    finish_push   faulty objects, connectivity, history; what only refused refs lead to is left out; publication, refs

index-pack tells of faulty objects and takes them into the quarantine, so that the refs without them can be told apart.
A pack that it told of is never published: what is sound of it is packed anew and judged again.

What a ref is refused with is the text that the user reads behind `ng <ref>`.
"""

from collections.abc import Sequence
from functools import partial
from typing import Final

from packhouse.auth.policy import PolicyDenied
from packhouse.auth.principal import Principal
from packhouse.db.ref_transaction import (
    DefaultBranchProtected,
    RefMismatch,
    RefNameConflict,
    RefOutcome,
    RefUpdate,
)
from packhouse.db.refs import list_refs
from packhouse.error_codes import Code
from packhouse.errors import LimitExceeded, PackhouseError, Unavailable
from packhouse.git.commands.index_pack import unpack_failure
from packhouse.git.commands.kill_switch import KillSwitch
from packhouse.git.commands.process import ProgramMissing
from packhouse.git.oid import Oid
from packhouse.git.refname import (
    EPHEMERAL,
    HEADS,
    NOTES,
    TAGS,
    NewNameRefused,
    RefName,
    is_refname,
    new_name_fault,
)
from packhouse.git.wire.advertisement import receive_advertisement
from packhouse.git.wire.receive_request import RefCommand
from packhouse.node.node import Node
from packhouse.operations.catalog.remotes import Remote, read_repo, read_view
from packhouse.operations.refs.signed_updates import verify_introduced
from packhouse.operations.transport.pending_push import PendingPush, Push, RefReport
from packhouse.operations.transport.push_faults import allowed_faults, leave_out, refuse_faulty
from packhouse.repository.checks import ObjectKind, find_unconnected, is_ancestor, read_kinds
from packhouse.repository.damage import find_reason
from packhouse.repository.refs.files import head_target
from packhouse.repository.refs.writer import AllowedUpdate, RefWriter
from packhouse.repository.upstream.forward import UpstreamRejected
from packhouse.repository.view import RepoView
from packhouse.repository.write import Write

ACTION: Final = "push"

_DEFAULT_BRANCH: Final = "deletion of the default branch is not allowed"
_MISSING: Final = "missing necessary objects"
_SHALLOW: Final = "shallow update not allowed"
_OUTSIDE: Final = "only branches, tags and notes can be pushed"
_WHAT_TO_PUSH: Final = (
    "push what can be stored: git push <remote> 'refs/heads/*:refs/heads/*' 'refs/tags/*:refs/tags/*'"
    " 'refs/notes/*:refs/notes/*'"
)
_NAMED_IN_A_LINE: Final = 5


_RefError = RefMismatch | RefNameConflict | DefaultBranchProtected | NewNameRefused | UpstreamRejected
_REF_ERRORS: Final = (RefMismatch, RefNameConflict, DefaultBranchProtected, NewNameRefused, UpstreamRejected)


class NewObjectsNotTaken(Unavailable):
    """The disk refuses new files. `reason` is the system's, for the operator."""

    code = Code.NEW_OBJECTS_NOT_TAKEN
    reason: str | None


def advertise_push(node: Node, caller: Principal, remote: Remote, version: int) -> bytes:
    """Return the body of `info/refs` for a push; protocol v2 has none, so it is answered in v0."""
    return receive_advertisement(read_view(node, caller, remote), version=version if version == 1 else 0)


def start_push(node: Node, caller: Principal, push: Push, *, pack_objects: int | None) -> PendingPush:
    """Judge the commands as far as that goes without the pack, and make ready for the pack.

    `pack_objects` is the count in the pack's header; None when there is no pack. Raises NotFound and
    PolicyUnusable; a command that fails alone is in the result's `refused`.
    """
    with node.database.read() as session:
        repo = read_repo(session, caller, push.remote)
    caller.policy.require_usable()
    pending = PendingPush(push, repo, RepoView(node, repo))
    _check_commands(node, caller, pending)
    # An empty pack, which git sends when the server has everything, is not worth a process or a file.
    if pack_objects and any(pending.commands[number].new_oid for number in pending.open_numbers()):
        _start_index_pack(node, pending)
    return pending


def _check_commands(node: Node, caller: Principal, pending: PendingPush) -> None:
    writer = RefWriter(node, caller, pending.repo, action=ACTION)
    seen: set[bytes] = set()
    for number, command in enumerate(pending.commands):
        text = _name_fault(command, pending.push.remote.namespace)
        if text == _OUTSIDE and pending.push.remote.is_import:
            pending.skipped.add(number)
            continue
        if text is None and command.name in seen:
            text = "more than one update of the same ref"
        seen.add(command.name)
        if text is not None:
            pending.refuse(number, text)
            continue
        try:
            # History and signatures are judged once the pack is here.
            writer.allow(
                _update(pending, number), is_fast_forward=lambda: True, signatures_verify=lambda: True
            )
        except PolicyDenied as denied:
            pending.refuse_policy(number, denied)
            continue
        is_default = command.name == head_target(pending.repo) and not pending.push.remote.namespace
        if command.new_oid is None and is_default:
            pending.refuse(number, _DEFAULT_BRANCH)
    _tell_of_names(pending)


def _tell_of_names(pending: PendingPush) -> None:
    """Say once which refs are left out, and how to push without them."""
    if pending.skipped:
        names = [pending.shown_name(number) for number in sorted(pending.skipped)[:_NAMED_IN_A_LINE]]
        more = ", …" if len(pending.skipped) > len(names) else ""
        count = f"{len(pending.skipped)} ref{'s' if len(pending.skipped) > 1 else ''}"
        pending.lines.append(
            f"skipped {count} outside refs/heads, refs/tags and refs/notes, not stored: {', '.join(names)}{more}"
        )
    elif _OUTSIDE in pending.refused.values():
        pending.lines.append(_WHAT_TO_PUSH)


def _name_fault(command: RefCommand, namespace: str) -> str | None:
    """Return why a ref of this name cannot be pushed, or None when it can."""
    name = command.name
    if not is_refname(name):
        return "invalid name"
    if namespace == EPHEMERAL and not name.startswith((HEADS, TAGS)):
        return "only branches and tags can be pushed here"
    if not name.startswith((HEADS, TAGS, NOTES)):
        return _OUTSIDE
    # What exists under such a name may move and be deleted.
    fault = new_name_fault(name) if command.old_oid is None and command.new_oid is not None else None
    return None if fault is None else f"invalid name: {fault}"


def _update(pending: PendingPush, number: int, peeled_oid: Oid | None = None) -> RefUpdate:
    command = pending.commands[number]
    return RefUpdate(
        pending.push.remote.namespace, RefName(command.name), command.old_oid, command.new_oid, peeled_oid
    )


def _start_index_pack(node: Node, pending: PendingPush) -> None:
    """Start index-pack on an empty write over the repository."""
    try:
        write = Write(pending.view)
        pending.write = write
        write.make_folder()
        pending.process = write.git_with_roots(pending.push.request.shallow).start_unpacking(
            allowed=allowed_faults(node, pending),
            max_bytes=node.config.push_max_bytes,
            shows_progress="quiet" not in pending.push.request.capabilities,
        )
        pending.switch.attach(pending.process)
    except OSError as error:
        pending.close()
        raise NewObjectsNotTaken(error.strerror) from error
    except BaseException:  # nobody else knows of the push yet, so nobody else would close it
        pending.close()
        raise


def explain_unpack_failure(node: Node, pending: PendingPush, messages: str) -> str:
    """Return why index-pack, which failed with these messages, did not take the pack.

    Raises RepositoryDamaged when the pack builds on an object that the repository has lost, and RepositoryMended.
    """
    failed = unpack_failure(messages)
    reason = find_reason(node, pending.repo, failed, may_lack=True)
    if reason is not None:
        raise reason
    return failed.refused or "index-pack failed"


def finish_push(node: Node, caller: Principal, pending: PendingPush) -> list[RefReport]:
    """Check what arrived, publish it and move the refs; return the outcome of every command.

    index-pack has ended well, if there was one. Raises what stops the whole push (the repository was deleted
    meanwhile, a process ran out of time); then nothing moved.
    """
    write = pending.write or Write(pending.view)
    writer = RefWriter(node, caller, pending.repo, action=ACTION)
    with node.database.read() as session:
        known = list({ref.oid for ref in list_refs(session, pending.repo.id)})
    refuse_faulty(node, pending, known)
    kinds = _check_kinds(pending, write)
    _check_connected(pending, write, known)
    allowed = _check_history(node, caller, pending, write, writer, kinds)
    if pending.write is not None and pending.open_numbers():
        _rehearse(writer, pending, _still_open(pending, allowed))
        leave_out(node, pending, known)
    updates = _still_open(pending, allowed)
    if updates:
        _move(writer, pending, updates)
    return pending.reports()


Updates = dict[int, AllowedUpdate]
"""The updates that may still succeed, by the number of their command."""


def _still_open(pending: PendingPush, allowed: Updates) -> Updates:
    return {number: allowed[number] for number in pending.open_numbers()}


def _check_kinds(pending: PendingPush, write: Write) -> dict[Oid, ObjectKind]:
    """Refuse new values that are missing, or no commit on a branch; return the kinds of the others."""
    tips = pending.open_tips()
    if not tips:
        return {}
    kinds = read_kinds(write, tips.values())
    for number, oid in tips.items():
        if oid not in kinds:
            pending.refuse(number, _MISSING)
        elif kinds[oid].kind != "commit" and pending.commands[number].name.startswith(HEADS):
            pending.refuse(number, "a branch must point to a commit")
    return kinds


def _check_connected(pending: PendingPush, write: Write, known: Sequence[Oid]) -> None:
    tips = pending.open_tips()
    if not tips:
        return
    unconnected = find_unconnected(write, list(set(tips.values())), known, pending.switch)
    for number, oid in tips.items():
        if oid in unconnected:
            pending.refuse(number, _SHALLOW if pending.push.request.shallow else _MISSING)


def _check_history(
    node: Node,
    caller: Principal,
    pending: PendingPush,
    write: Write,
    writer: RefWriter,
    kinds: dict[Oid, ObjectKind],
) -> Updates:
    """Return what the policy allows; only now is all history at hand. Forced and unsigned updates may be refused."""
    allowed: Updates = {}
    for number in pending.open_numbers():
        new_oid = pending.commands[number].new_oid
        update = _update(pending, number, kinds[new_oid].peeled_oid if new_oid else None)
        is_fast_forward = partial(_moves_forward, write, update, pending.switch)
        verify = partial(
            verify_introduced, node, caller, pending.repo, update, objects=write, switch=pending.switch
        )
        try:
            allowed[number] = writer.allow(update, is_fast_forward=is_fast_forward, signatures_verify=verify)
        except PolicyDenied as denied:
            pending.refuse_policy(number, denied)
        except (LimitExceeded, ProgramMissing) as error:
            pending.refuse(number, error.code.value)
    return allowed


def _moves_forward(write: Write, update: RefUpdate, switch: KillSwitch) -> bool:
    assert update.old_oid is not None and update.new_oid is not None, "asked of a move only"
    return is_ancestor(write, update.old_oid, update.new_oid, switch)


def _rehearse(writer: RefWriter, pending: PendingPush, updates: Updates) -> None:
    """Refuse what the ref transaction would refuse now, before a pack is published for nothing."""
    try:
        outcomes = writer.rehearse(list(updates.values()), atomic=pending.is_atomic)
        _refuse_failed(pending, updates, outcomes)
    except _REF_ERRORS as error:
        _refuse_atomic(pending, updates, error)


def _move(writer: RefWriter, pending: PendingPush, updates: Updates) -> None:
    """Publish the pack, then move the refs and note each one that lost a race."""
    try:
        outcomes = writer.move(
            list(updates.values()), receipt=None, write=pending.write, atomic=pending.is_atomic
        )
        _refuse_failed(pending, updates, outcomes)
    except _REF_ERRORS as error:
        _refuse_atomic(pending, updates, error)


def _refuse_failed(pending: PendingPush, updates: Updates, outcomes: Sequence[RefOutcome]) -> None:
    for number, outcome in zip(updates, outcomes, strict=True):
        if outcome.error is not None:
            pending.refuse(number, _error_text(outcome.error))


def _refuse_atomic(pending: PendingPush, updates: Updates, error: _RefError) -> None:
    """Note the one update that failed an atomic push; the others fail with it."""
    for number, allowed in updates.items():
        if allowed.update.refname == error.refname:
            pending.refuse(number, _error_text(error))


def _error_text(error: PackhouseError) -> str:
    if isinstance(error, RefMismatch):
        return "the ref has moved, fetch first" if error.actual is not None else "the ref does not exist"
    if isinstance(error, RefNameConflict):
        return f"conflicts with {error.existing.decode('utf-8')}"
    if isinstance(error, NewNameRefused):
        return f"invalid name: {error.reason}"
    if isinstance(error, DefaultBranchProtected):
        return _DEFAULT_BRANCH
    return error.code.value
