"""The commands of a push: which may still succeed, and the reasons why the others fail.

The user reads a reason after `ng <ref>`.
"""

import contextlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from packhouse import limits
from packhouse.auth import PolicyDenied
from packhouse.db import DefaultBranchProtected, RefMismatch, RefNameConflict, RefOutcome, RefUpdate
from packhouse.errors import LimitExceeded, PackhouseError, TimedOut
from packhouse.git import HEADS, NewNameRefused, Oid, RefName
from packhouse.git.commands.fault_log import FaultLog
from packhouse.git.wire import ReceiveRequest, RefCommand
from packhouse.operations.transport.remotes import Remote
from packhouse.repository import AllowedUpdate, JudgedAgain, ObjectKind, UpstreamRejected

DEFAULT_BRANCH: Final = "deletion of the default branch is not allowed"
OUTSIDE: Final = "only branches, tags and notes can be pushed"

_ATOMIC_FAILURE: Final = "atomic push failure"
_MISSING: Final = "missing necessary objects"
_NO_COMMIT: Final = "a branch must point to a commit"
_SHALLOW: Final = "shallow update not allowed"
_UNTRACED: Final = "the push has faulty objects, and which refs lead to them cannot be found out"

_IMPORT_TAKES_THEM: Final = "faults of old histories like these are let through on the +import remote"
_WHAT_TO_PUSH: Final = (
    "push what can be stored: git push <remote> 'refs/heads/*:refs/heads/*' 'refs/tags/*:refs/tags/*'"
    " 'refs/notes/*:refs/notes/*'"
)
_NAMED_IN_A_LINE: Final = 5
_SHOWN_NAME_MAX_BYTES: Final = 200

_REF_ERRORS: Final = (RefMismatch, RefNameConflict, DefaultBranchProtected, NewNameRefused, UpstreamRejected)
"""The errors of a ref transaction that are about a single ref."""


@dataclass(frozen=True, slots=True)
class RefReport:
    """The result of one command; `error` is None when the ref moved."""

    name: bytes
    error: str | None


Updates = dict[int, AllowedUpdate]
"""Updates that the policy allows, by the number of their command."""


@dataclass(slots=True)
class PushState:
    """The state of a push. `request` is the part that the client sent before the pack.

    `refused` maps the number of a command to the reason why it cannot succeed. `skipped` are the numbers of commands
    that are left out without a failure. `lines` are shown to the user above the report. `fault_log` has the faulty
    objects. `import_faults` are the faults of old histories that an import may bring.
    """

    remote: Remote
    request: ReceiveRequest
    import_faults: Sequence[str] = ()
    refused: dict[int, str] = field(default_factory=dict)
    skipped: set[int] = field(default_factory=set)
    lines: list[str] = field(default_factory=list)
    fault_log: FaultLog = field(default_factory=FaultLog)

    @property
    def commands(self) -> Sequence[RefCommand]:
        """The commands, in the client's order."""
        return self.request.commands

    @property
    def is_atomic(self) -> bool:
        """Tell whether the client wants all or nothing."""
        return "atomic" in self.request.capabilities

    @property
    def allowed_faults(self) -> Sequence[str]:
        """The faults that the objects of this push may have."""
        return self.import_faults if self.remote.is_import else ()

    @property
    def has_faults(self) -> bool:
        """Tell whether index-pack has reported faulty objects, or may have."""
        return bool(self.fault_log.faults) or self.fault_log.is_incomplete

    @property
    def leaves_out(self) -> bool:
        """Tell whether the pack may hold objects that no ref needs, or that must not stay."""
        closed = self.refused.keys() | self.skipped
        return bool(self.fault_log.faults) or any(self.commands[number].new_oid for number in closed)

    def open_numbers(self) -> list[int]:
        """Return the numbers of the commands that may still succeed. An atomic push with a failed command has none."""
        if self.is_atomic and self.refused:
            return []
        closed = self.refused.keys() | self.skipped
        return [number for number in range(len(self.commands)) if number not in closed]

    def open_tips(self) -> dict[int, Oid]:
        """Return the new values of the commands that may still succeed, without deletions."""
        commands = ((number, self.commands[number]) for number in self.open_numbers())
        return {number: command.new_oid for number, command in commands if command.new_oid is not None}

    def open_values(self) -> list[Oid]:
        """Return the new values of the commands that may still succeed, each once."""
        return list(dict.fromkeys(self.open_tips().values()))

    def open_updates(self, kinds: Mapping[Oid, ObjectKind]) -> dict[int, RefUpdate]:
        """Return the updates of the commands that may still succeed. `kinds` has the kind of each new value."""
        updates = {}
        for number in self.open_numbers():
            command = self.commands[number]
            peeled = kinds[command.new_oid].peeled_oid if command.new_oid else None
            updates[number] = RefUpdate(
                self.remote.namespace, RefName(command.name), command.old_oid, command.new_oid, peeled
            )
        return updates

    def still_open(self, allowed: Updates) -> Updates:
        """Return the allowed updates whose commands may still succeed."""
        return {number: allowed[number] for number in self.open_numbers()}

    def refuse(self, number: int, text: str) -> None:
        """Note why a command fails. The first reason of a command stays."""
        self.refused.setdefault(number, text)

    def refuse_open(self, text: str) -> None:
        """Note one reason for all open commands that need objects."""
        for number in self.open_tips():
            self.refuse(number, text)

    def tell_of_names(self) -> None:
        """Tell the user once which refs are left out, and how to push without them."""
        if self.skipped:
            names = [self.shown_name(number) for number in sorted(self.skipped)[:_NAMED_IN_A_LINE]]
            more = ", …" if len(self.skipped) > len(names) else ""
            count = f"{len(self.skipped)} ref{'s' if len(self.skipped) > 1 else ''}"
            self.lines.append(
                f"skipped {count} outside refs/heads, refs/tags and refs/notes, not stored: {', '.join(names)}{more}"
            )
        elif OUTSIDE in self.refused.values():
            self.lines.append(_WHAT_TO_PUSH)

    def refuse_policy(self, number: int, denied: PolicyDenied) -> None:
        """Note a refusal by the policy, also for the line that the user sees."""
        if number not in self.refused:
            text = f"denied by policy ({denied.op})"
            self.refused[number] = text
            self.lines.append(f"{self.shown_name(number)}: {text}")

    def refuse_faulty(self, reasons: Mapping[Oid, str] | None) -> None:
        """Refuse the refs that lead to faulty objects, and tell the user which objects these are.

        `reasons` has the first faulty object below a new value. None means that the refs with faulty objects are
        unknown; then all refs are refused.
        """
        if reasons is None:
            self._refuse_untraced()
        else:
            self._refuse_traced(reasons)
        faults = self.fault_log.faults.values()
        if not self.remote.is_import and all(fault.name in self.import_faults for fault in faults):
            self.lines.append(_IMPORT_TAKES_THEM)

    def _refuse_traced(self, reasons: Mapping[Oid, str]) -> None:
        faulty = {number: reasons[oid] for number, oid in self.open_tips().items() if oid in reasons}
        for number, reason in faulty.items():
            self.refuse(number, reason)
            if len(self.lines) < limits.push_told_refs_max:
                self.lines.append(f"{self.shown_name(number)}: {reason}")
        if len(faulty) > limits.push_told_refs_max:
            self.lines.append(f"{len(faulty)} refs in all lead to objects that are refused")

    def _refuse_untraced(self) -> None:
        self.refuse_open(_UNTRACED)
        few = list(self.fault_log.faults.values())[: limits.push_told_refs_max]
        self.lines += [f"object {fault.oid}: {fault.name}: {fault.text}" for fault in few]

    def refuse_kinds(self, kinds: Mapping[Oid, ObjectKind]) -> None:
        """Refuse new values that are missing, and branches on objects that are not commits."""
        for number, oid in self.open_tips().items():
            if oid not in kinds:
                self.refuse(number, _MISSING)
            elif kinds[oid].kind != "commit" and self.commands[number].name.startswith(HEADS):
                self.refuse(number, _NO_COMMIT)

    def refuse_unconnected(self, unconnected: Collection[Oid]) -> None:
        """Refuse the new values below which an object is missing."""
        for number, oid in self.open_tips().items():
            if oid in unconnected:
                self.refuse(number, _SHALLOW if self.request.shallow else _MISSING)

    def refuse_failed(self, updates: Updates, outcomes: Sequence[RefOutcome]) -> None:
        """Refuse the updates that the ref transaction has refused."""
        for number, outcome in zip(updates, outcomes, strict=True):
            if outcome.error is not None:
                self.refuse(number, _error_text(outcome.error))

    @contextlib.contextmanager
    def refusing_failed(self, updates: Updates) -> Iterator[None]:
        """Refuse the update for which the ref transaction of an atomic push fails; the others fail with it."""
        try:
            yield
        except _REF_ERRORS as error:
            for number, allowed in updates.items():
                if allowed.update.refname == error.refname:
                    self.refuse(number, _error_text(error))

    @contextlib.contextmanager
    def refusing_unpacked(self) -> Iterator[None]:
        """Refuse the commands that need objects when the kept objects of the push cannot be packed anew."""
        try:
            yield
        except JudgedAgain as error:
            self.refuse_open(error.reason)
        except (LimitExceeded, TimedOut) as error:
            self.refuse_open(error.code.value)

    def shown_name(self, number: int) -> str:
        """Return the name of a ref for the user."""
        return self.commands[number].name[:_SHOWN_NAME_MAX_BYTES].decode("utf-8", "replace")

    def reports(self) -> list[RefReport]:
        """Return the result of every command, in the client's order."""
        fallback = _ATOMIC_FAILURE if self.is_atomic and self.refused else None
        return [
            RefReport(command.name, self.refused.get(number, fallback))
            for number, command in enumerate(self.commands)
        ]


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
