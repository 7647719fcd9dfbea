"""Peak memory of a server and everything it starts, sampled."""

import os
import threading
from pathlib import Path
from types import TracebackType

from tests.support.processes import session_members

SAMPLE_INTERVAL_S = 0.02
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


def resident_bytes(session_id: int) -> int:
    """Return the resident memory of every process of a session, added up.

    Pages that several hold count for each, so the sum is an upper bound. Source: proc(5), statm.
    """
    total = 0
    for process_id in session_members(session_id):
        try:
            total += int(Path(f"/proc/{process_id}/statm").read_text().split()[1]) * _PAGE_BYTES
        except (FileNotFoundError, ProcessLookupError):
            continue  # it ended while we looked
    return total


class PeakMemory:
    """Context manager: `before` is the memory at its start, `peak` the highest seen until its end, in bytes."""

    def __init__(self, session_id: int) -> None:
        self._session_id = session_id
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self.before = 0
        self.peak = 0

    def __enter__(self) -> "PeakMemory":
        self.before = self.peak = resident_bytes(self._session_id)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stop.wait(SAMPLE_INTERVAL_S):
            self.peak = max(self.peak, resident_bytes(self._session_id))

    @property
    def growth_mib(self) -> float:
        """How much the peak was above the start, in MiB."""
        return (self.peak - self.before) / 2**20
