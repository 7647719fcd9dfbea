"""What the kernel says about processes: who belongs to a server, and how much memory they hold."""

import os
import time
from pathlib import Path


def session_members(session_id: int) -> dict[int, str]:
    """Return process id to command line of every live process in the session; zombies count as live."""
    members = {}
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
    return members


def resident_bytes(process_id: int) -> int:
    """Return the memory a process holds that no other holds too (private), and its fair part of the shared.

    0 when it has ended. Source: proc(5), smaps_rollup, "Pss".
    """
    try:
        for line in Path(f"/proc/{process_id}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return 0
    return 0


def signal_session(session_id: int, number: int) -> None:
    """Send a signal to every process of the session."""
    for process_id in session_members(session_id):
        try:
            os.kill(process_id, number)
        except ProcessLookupError:
            continue


def wait_until_gone(session_id: int, timeout_s: float) -> dict[int, str]:
    """Wait until the session is empty; return who is left after `timeout_s`."""
    deadline = time.monotonic() + timeout_s
    while (left := session_members(session_id)) and time.monotonic() < deadline:
        time.sleep(0.02)
    return left
