"""Taking a push: commands checked here, the pack judged in quarantine, then one ref transaction.

start_push             policy and names; a quarantine and index-pack, when a pack is to come
(the caller)           feeds the pack to `PendingPush.process`
PendingPush.finish     faulty objects, connectivity, history; what only refused refs lead to is left out; publication
"""

from collections.abc import Sequence
from dataclasses import dataclass

from packhouse.auth import Principal
from packhouse.errors import Code, Unavailable
from packhouse.git.commands.index_pack import unpack_failure
from packhouse.git.wire import ReceiveRequest, RefCommand
from packhouse.node import Node
from packhouse.operations.transport.push_faults import allowed_faults, note_unread_files
from packhouse.operations.transport.push_judgement import judge_push
from packhouse.operations.transport.push_rules import check_commands
from packhouse.operations.transport.push_state import PushState, RefReport
from packhouse.operations.transport.remotes import Remote, read_repo
from packhouse.repository import RepoView, Write, find_reason


class NewObjectsNotTaken(Unavailable):
    """The disk refuses new files. `reason` is the system's, for the operator."""

    code = Code.NEW_OBJECTS_NOT_TAKEN
    reason: str | None


@dataclass(frozen=True, slots=True)
class StartPush:
    """Which remote is pushed to, and what the client sent before the pack.

    `pack_objects` is the count in the pack's header; None when there is no pack.
    """

    remote: Remote
    request: ReceiveRequest
    pack_objects: int | None


class PendingPush:
    """A push whose pack may still be on its way. Close it, whatever happens.

    `process` is index-pack, waiting for the pack; None when no pack is wanted, and what comes in its place is to be
    thrown away. `fault_log` reads what it says. `lines` are what the user reads above the report. `switch` ends,
    from any thread, whatever git runs for this push.
    """

    def __init__(self, node: Node, caller: Principal, state: PushState) -> None:
        self._node = node
        self._caller = caller
        self._state = state
        self.request = state.request
        self.process = state.process
        self.fault_log = state.fault_log
        self.lines = state.lines
        self.switch = state.switch

    @property
    def commands(self) -> Sequence[RefCommand]:
        """The commands, in the client's order."""
        return self.request.commands

    def note_unread_files(self, lines: bytes) -> None:
        """Take what index-pack wrote to its output: the `.gitmodules` that it could not look into."""
        note_unread_files(self._state, lines)

    def explain_failure(self, messages: str) -> str:
        """Return why index-pack, which failed with these messages, did not take the pack.

        Raises RepositoryDamaged when the pack builds on an object that the repository has lost, and RepositoryMended.
        """
        failed = unpack_failure(messages)
        reason = find_reason(self._node, self._state.repo, failed, may_lack=True)
        if reason is not None:
            raise reason
        return failed.refused or "index-pack failed"

    def finish(self) -> list[RefReport]:
        """Check what arrived, publish it and move the refs; return the outcome of every command.

        index-pack has ended well, if there was one. Raises what stops the whole push (the repository was deleted
        meanwhile, a process ran out of time); then nothing moved.
        """
        judge_push(self._node, self._caller, self._state)
        return self._state.reports()

    def discard(self) -> None:
        """Remove everything that was not published; git has ended."""
        self._state.discard()

    def close(self) -> None:
        """End git and remove everything that was not published."""
        self._state.close()


def start_push(node: Node, caller: Principal, command: StartPush) -> PendingPush:
    """Judge the commands as far as that goes without the pack, and make ready for the pack.

    Raises NotFound and PolicyUnusable; a command that fails alone is told in the report of the push.
    """
    with node.database.read() as session:
        repo = read_repo(session, caller, command.remote)
    caller.policy.require_usable()
    push = PushState(command.remote, command.request, repo, RepoView(node, repo))
    check_commands(node, caller, push)
    # An empty pack, which git sends when the server has everything, is not worth a process or a file.
    if command.pack_objects and any(push.commands[number].new_oid for number in push.open_numbers()):
        _start_index_pack(node, push)
    return PendingPush(node, caller, push)


def _start_index_pack(node: Node, push: PushState) -> None:
    """Start index-pack on an empty write over the repository."""
    try:
        write = Write(push.view)
        push.write = write
        write.make_folder()
        push.process = write.git_with_roots(push.request.shallow).start_unpacking(
            allowed=allowed_faults(node, push),
            max_bytes=node.config.push_max_bytes,
            shows_progress="quiet" not in push.request.capabilities,
        )
        push.switch.attach(push.process)
    except OSError as error:
        push.close()
        raise NewObjectsNotTaken(error.strerror) from error
    except BaseException:  # nobody else knows of the push yet, so nobody else would close it
        push.close()
        raise
