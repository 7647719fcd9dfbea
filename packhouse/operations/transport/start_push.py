"""Taking a push: commands checked here, the pack checked in quarantine, then one ref transaction.

`start_push` checks names and policy, and starts index-pack in a quarantine when a pack will come. The caller feeds the
pack to `PendingPush.process`. `PendingPush.finish` checks objects, connectivity and history, publishes the objects, and
moves the refs in one transaction.

index-pack reports faulty objects and still takes them into the quarantine, so that refs without faulty objects can be
found. A pack with faulty objects is never published: its sound objects are packed anew and checked again.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from packhouse.auth import PolicyDenied, Principal, RefPolicy
from packhouse.db import Repo, RepoNotFound, list_refs
from packhouse.errors import Code, LimitExceeded, PackhouseError, Unavailable
from packhouse.git import EPHEMERAL, HEADS, NOTES, TAGS, Oid, RefName, is_refname, new_name_fault
from packhouse.git.commands.index_pack import unpack_failure
from packhouse.git.commands.kill_switch import KillSwitch
from packhouse.git.commands.process import GitProcess, ProgramMissing
from packhouse.git.wire import ReceiveRequest, RefCommand
from packhouse.node import Node
from packhouse.operations.refs.signed_updates import verify_introduced
from packhouse.operations.transport.push_state import (
    DEFAULT_BRANCH,
    OUTSIDE,
    PushState,
    RefReport,
    Updates,
)
from packhouse.operations.transport.remotes import Remote, read_repo
from packhouse.repository import (
    Kept,
    RefWriter,
    RepositoryDamaged,
    RepositoryMended,
    RepoView,
    Write,
    find_reason,
    find_unconnected,
    head_target,
    keep_only,
    moves_forward,
    read_kinds,
    trace_faults,
)

ACTION: Final = "push"
"""The action of these moves in the ref log."""


class NewObjectsNotTaken(Unavailable):
    """The disk refuses new files. `reason` is the system's, for the operator."""

    code = Code.NEW_OBJECTS_NOT_TAKEN
    reason: str | None


@dataclass(frozen=True, slots=True)
class StartPush:
    """The remote that is pushed to, and the part of the request before the pack.

    `pack_objects` is the count in the pack's header; None when there is no pack.
    """

    remote: Remote
    request: ReceiveRequest
    pack_objects: int | None


class PendingPush:
    """A push whose pack may still be arriving. Close it in every case.

    `process` is index-pack, which waits for the pack. It is None when no pack is wanted, and then the caller drops the
    bytes of a pack. `fault_log` reads its messages and its output. `lines` are shown to the user above the report.
    `switch` ends, from any thread, every git process of this push.
    """

    def __init__(self, node: Node, caller: Principal, repo: Repo, state: PushState) -> None:
        self._node = node
        self._caller = caller
        self._repo = repo
        self._state = state
        self._view = RepoView(node, repo)
        self._write: Write | None = None
        self.process: GitProcess | None = None
        self.switch = KillSwitch()
        self.request = state.request
        self.fault_log = state.fault_log
        self.lines = state.lines

    @property
    def commands(self) -> Sequence[RefCommand]:
        """The commands, in the client's order."""
        return self.request.commands

    def start_unpacking(self) -> None:
        """Start index-pack on an empty write over the repository. Closes the push when that fails."""
        try:
            write = self._write = Write(self._view)
            write.make_folder()
            self.process = write.git_with_roots(self.request.shallow).start_unpacking(
                allowed=self._state.allowed_faults,
                max_bytes=self._node.config.push_max_bytes,
                shows_progress="quiet" not in self.request.capabilities,
            )
            self.switch.attach(self.process)
        except OSError as error:
            self.close()
            raise NewObjectsNotTaken(error.strerror) from error
        except BaseException:  # no caller has the push yet, so it must be closed here
            self.close()
            raise

    def explain_failure(self, messages: str) -> str:
        """Return the reason why index-pack, which failed with these messages, did not take the pack.

        Raises RepositoryDamaged when the pack builds on an object that the repository has lost, and RepositoryMended.
        """
        failed = unpack_failure(messages)
        reason = find_reason(self._node, self._repo, failed, may_lack=True)
        if reason is not None:
            raise reason
        return failed.refused or "index-pack failed"

    def finish(self) -> list[RefReport]:
        """Check the received objects, publish them and move the refs; return the result of every command.

        index-pack must have succeeded, if it was started. Raises failures of the whole push (the repository was deleted
        meanwhile, a process ran out of time); then no ref has moved.
        """
        state = self._state
        writer = RefWriter(self._node, self._caller, self._repo, action=ACTION)
        with self._node.database.read() as session:
            known = list({ref.oid for ref in list_refs(session, self._repo.id)})
        allowed = self._judge(writer, known)
        if self._write is not None and (updates := state.still_open(allowed)):
            with state.refusing_failed(updates):
                outcomes = writer.rehearse(list(updates.values()), atomic=state.is_atomic)
                state.refuse_failed(updates, outcomes)
            if state.leaves_out:
                kept = Kept(state.open_values(), known, state.allowed_faults, self.request.shallow)
                with state.refusing_unpacked(), self._view.telling_damage():
                    self._write = keep_only(self._node, self._write, kept, self.switch, must=state.has_faults)
        if updates := state.still_open(allowed):
            with state.refusing_failed(updates):
                outcomes = writer.move(
                    list(updates.values()), receipt=None, write=self._write, atomic=state.is_atomic
                )
                state.refuse_failed(updates, outcomes)
        return state.reports()

    def _judge(self, writer: RefWriter, known: Sequence[Oid]) -> Updates:
        """Refuse commands because of their objects or history; return the updates that the policy allows.

        `known` are the values of the repository's refs.
        """
        state, switch = self._state, self.switch
        write = self._write or Write(self._view)
        if self._write is not None and state.has_faults:
            state.refuse_faulty(self._trace_faults(write, known))
        kinds = read_kinds(write, state.open_values())
        state.refuse_kinds(kinds)
        state.refuse_unconnected(find_unconnected(write, state.open_values(), known, switch))
        allowed: Updates = {}
        for number, update in state.open_updates(kinds).items():
            is_fast_forward = partial(moves_forward, write, update, switch)
            verify = partial(
                verify_introduced, self._node, self._caller, self._repo, update, objects=write, switch=switch
            )
            try:
                allowed[number] = writer.allow(
                    update, is_fast_forward=is_fast_forward, signatures_verify=verify
                )
            except PolicyDenied as denied:
                state.refuse_policy(number, denied)
            except (LimitExceeded, ProgramMissing) as error:
                state.refuse(number, error.code.value)
        return allowed

    def _trace_faults(self, write: Write, known: Sequence[Oid]) -> dict[Oid, str] | None:
        """Return the first faulty object below each new value that leads to one; None when these values are unknown."""
        log = self.fault_log
        if log.is_incomplete:
            return None
        try:
            with self._view.telling_damage():
                traces = trace_faults(
                    write,
                    log.faults,
                    self._state.open_values(),
                    known,
                    shallow=self.request.shallow,
                    switch=self.switch,
                )
        except (RepositoryDamaged, RepositoryMended, RepoNotFound):
            raise
        except PackhouseError:
            return None
        return {oid: trace.describe() for oid, trace in traces.items()}

    def discard(self) -> None:
        """Remove everything that was not published. Call it after git has ended."""
        if self._write is not None:
            self._write.discard()
        self._view.close()

    def close(self) -> None:
        """End git and remove everything that was not published."""
        self.switch.trip()
        if self.process is not None:
            self.process.close()
        self.discard()


def start_push(node: Node, caller: Principal, command: StartPush) -> PendingPush:
    """Check the commands as far as possible without the pack, and prepare for the pack.

    Raises NotFound and PolicyUnusable. The failure of a single command is in the report of the push.
    """
    with node.database.read() as session:
        repo = read_repo(session, caller, command.remote)
    caller.policy.require_usable()
    state = PushState(command.remote, command.request, node.config.import_allowed_fault_names)
    _check_commands(caller.policy, state, b"" if command.remote.namespace else head_target(repo))
    pending = PendingPush(node, caller, repo, state)
    # Git sends an empty pack when the server has all objects. It needs no process and no file.
    if command.pack_objects and state.open_values():
        pending.start_unpacking()
    return pending


def _check_commands(policy: RefPolicy, state: PushState, default_branch: bytes) -> None:
    """Refuse the commands that fail with any pack. `default_branch` is empty where it may be deleted."""
    seen: set[bytes] = set()
    for number, command in enumerate(state.commands):
        text = _name_fault(command, state.remote.namespace)
        if text == OUTSIDE and state.remote.is_import:
            state.skipped.add(number)
            continue
        if text is None and command.name in seen:
            text = "more than one update of the same ref"
        seen.add(command.name)
        if text is not None:
            state.refuse(number, text)
            continue
        try:
            # History and signatures are checked once the pack is here.
            policy.check_update(
                state.remote.namespace,
                RefName(command.name),
                old_oid=command.old_oid,
                new_oid=command.new_oid,
                is_fast_forward=lambda: True,
                signatures_verify=lambda: True,
            )
        except PolicyDenied as denied:
            state.refuse_policy(number, denied)
            continue
        if command.new_oid is None and command.name == default_branch:
            state.refuse(number, DEFAULT_BRANCH)
    state.tell_of_names()


def _name_fault(command: RefCommand, namespace: str) -> str | None:
    """Return why a ref of this name cannot be pushed; None for a good name."""
    name = command.name
    if not is_refname(name):
        return "invalid name"
    if namespace == EPHEMERAL and not name.startswith((HEADS, TAGS)):
        return "only branches and tags can be pushed here"
    if not name.startswith((HEADS, TAGS, NOTES)):
        return OUTSIDE
    # An existing ref of such a name may move and be deleted.
    fault = new_name_fault(name) if command.old_oid is None and command.new_oid is not None else None
    return None if fault is None else f"invalid name: {fault}"
