"""Sampled peak memory of a server and all its processes."""

import threading
from types import TracebackType

from tests.support.servers.processes import resident_bytes

SAMPLE_INTERVAL_S = 0.02


class PeakMemory:
    """Context manager: `before` is the memory at its start, `peak` the highest sample until its end, in bytes."""

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
        """How far the peak was above the start, in MiB."""
        return (self.peak - self.before) / 2**20
