"""Facts from the kernel about processes: which belong to a server, and how much memory they use."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

GONE_WAIT_S = 30

_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def session_members(session_id: int) -> dict[int, str]:
    """Return process id to command line of every live process in the session.

    A zombie counts as live while its parent is in the session, because the parent should have reaped it. An orphan
    belongs to process 1. In a container that may be a program that reaps no process.
    """
    members = {}
    parents = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
            command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
        except (FileNotFoundError, ProcessLookupError):
            continue  # it ended while we looked
        if int(fields[3]) == session_id:
            members[int(entry.name)] = command.strip() or f"({fields[0]})"
            parents[int(entry.name)] = int(fields[1])
    return {
        process_id: command
        for process_id, command in members.items()
        if command != "(Z)" or parents[process_id] in members
    }


def own_children(word: str) -> set[int]:
    """Return the ids of this process's running children whose command line has the word."""
    found = set()
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            if _parent(entry) == os.getpid() and word.encode() in _command_line(entry):
                found.add(int(entry.name))
        except (FileNotFoundError, ProcessLookupError):
            continue  # it ended while we looked
    return found


def _parent(entry: Path) -> int:
    return int(_stat_fields(entry)[1])


def _command_line(entry: Path) -> bytes:
    """Return the words of a process: for a moment none while it is started, for good none when it is dead."""
    while not (command := (entry / "cmdline").read_bytes()):
        if _stat_fields(entry)[0] in "ZX":
            break
        time.sleep(0.001)
    return command


def _stat_fields(entry: Path) -> list[str]:
    """Return what proc(5) tells of a process, from its state on."""
    return (entry / "stat").read_text().rpartition(")")[2].split()


def resident_bytes(session_id: int) -> int:
    """Return the sum of the resident memory of a session's processes.

    Shared pages count for each process, so the sum is an upper bound. Source: proc(5), statm.
    """
    total = 0
    for process_id in session_members(session_id):
        try:
            total += int(Path(f"/proc/{process_id}/statm").read_text().split()[1]) * _PAGE_BYTES
        except (FileNotFoundError, ProcessLookupError):
            continue  # it ended while we looked
    return total


def cpu_seconds(session_id: int) -> float:
    """Return the processor time that a session's processes and their ended children have used.

    Source: proc(5), stat, fields 14 to 17.
    """
    ticks = 0
    for process_id in session_members(session_id):
        try:
            fields = Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue  # it ended while we looked
        ticks += sum(map(int, fields[11:15]))
    return ticks / _TICKS_PER_S


def signal_session(session_id: int, number: int) -> None:
    """Send a signal to every process of the session."""
    for process_id in session_members(session_id):
        try:
            os.kill(process_id, number)
        except ProcessLookupError:
            continue


@contextmanager
def hangup_ignored(ignored: bool) -> Iterator[None]:
    """Start programs in this block so that they ignore SIGHUP, or handle it: a child inherits the choice."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN if ignored else signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(signal.SIGHUP, before)


def wait_until_gone(session_id: int, timeout_s: float = GONE_WAIT_S) -> dict[int, str]:
    """Wait until the session is empty. Return the processes that are left after `timeout_s`."""
    deadline = time.monotonic() + timeout_s
    while (left := session_members(session_id)) and time.monotonic() < deadline:
        time.sleep(0.02)
    return left
