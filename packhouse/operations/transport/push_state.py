"""The state of a push: what was asked for, what is here of it, and what is known so far to fail."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from packhouse.auth import PolicyDenied
from packhouse.db import Repo
from packhouse.git import Oid
from packhouse.git.commands.fault_log import FaultLog
from packhouse.git.commands.kill_switch import KillSwitch
from packhouse.git.commands.process import GitProcess
from packhouse.git.wire import ReceiveRequest, RefCommand
from packhouse.operations.transport.remotes import Remote
from packhouse.repository import RepoView, Write

_ATOMIC_FAILURE: Final = "atomic push failure"
_SHOWN_NAME_MAX_BYTES: Final = 200


@dataclass(frozen=True, slots=True)
class RefReport:
    """What became of one command; `error` is None when the ref moved."""

    name: bytes
    error: str | None


@dataclass(slots=True)
class PushState:
    """A push whose pack may still be on its way. `request` is what the client sent before the pack.

    `refused` maps the number of a command to the reason why it cannot succeed. `process` is index-pack, waiting
    for the pack; None when no pack is wanted, and what comes in its place is to be thrown away. `fault_log` reads
    what it says. `skipped` are the numbers of commands that are left out, without being a failure. `lines` are what
    the user reads above the report. `switch` ends whatever git runs for this push, from any thread.
    """

    remote: Remote
    request: ReceiveRequest
    repo: Repo
    view: RepoView
    refused: dict[int, str] = field(default_factory=dict)
    skipped: set[int] = field(default_factory=set)
    lines: list[str] = field(default_factory=list)
    fault_log: FaultLog = field(default_factory=FaultLog)
    write: Write | None = None
    process: GitProcess | None = None
    switch: KillSwitch = field(default_factory=KillSwitch)

    @property
    def commands(self) -> Sequence[RefCommand]:
        """The commands, in the client's order."""
        return self.request.commands

    @property
    def is_atomic(self) -> bool:
        """Tell whether the client wants all or nothing."""
        return "atomic" in self.request.capabilities

    def refuse(self, number: int, text: str) -> None:
        """Note why a command fails; the first reason stays."""
        self.refused.setdefault(number, text)

    def refuse_policy(self, number: int, denied: PolicyDenied) -> None:
        """Note a refusal by policy, also for the line that the user sees."""
        if number not in self.refused:
            text = f"denied by policy ({denied.op})"
            self.refused[number] = text
            self.lines.append(f"{self.shown_name(number)}: {text}")

    def open_numbers(self) -> list[int]:
        """Return the numbers of the commands that may still succeed: none of an atomic push that lost one."""
        if self.is_atomic and self.refused:
            return []
        closed = self.refused.keys() | self.skipped
        return [number for number in range(len(self.commands)) if number not in closed]

    def refuse_open(self, text: str) -> None:
        """Note why every command fails that needs objects and has not failed yet."""
        for number in self.open_numbers():
            if self.commands[number].new_oid is not None:
                self.refuse(number, text)

    def leaves_out(self) -> bool:
        """Tell whether objects may have come that nothing needs, or that must not stay."""
        closed = self.refused.keys() | self.skipped
        return bool(self.fault_log.faults) or any(self.commands[number].new_oid for number in closed)

    def shown_name(self, number: int) -> str:
        """Return the name of a ref for the user."""
        return self.commands[number].name[:_SHOWN_NAME_MAX_BYTES].decode("utf-8", "replace")

    def reports(self) -> list[RefReport]:
        """Return the outcome of every command, in the client's order."""
        fallback = _ATOMIC_FAILURE if self.is_atomic and self.refused else None
        return [
            RefReport(command.name, self.refused.get(number, fallback))
            for number, command in enumerate(self.commands)
        ]

    def discard(self) -> None:
        """Remove everything that was not published; git has ended."""
        if self.write is not None:
            self.write.discard()
        self.view.close()

    def close(self) -> None:
        """End git and remove everything that was not published."""
        self.switch.trip()
        if self.process is not None:
            self.process.close()
        self.discard()

    def open_tips(self) -> dict[int, Oid]:
        """Return the new values of the commands that may still succeed, deletions left out."""
        commands = ((number, self.commands[number]) for number in self.open_numbers())
        return {number: command.new_oid for number, command in commands if command.new_oid is not None}
