"""One switch that ends whatever git runs for a request, now and from now on."""

import threading
from dataclasses import dataclass, field

from packhouse.git.commands.process import GitProcess


@dataclass(slots=True)
class KillSwitch:
    """Pulled when a client goes away, from another thread than the one that waits for git."""

    _guard: threading.Lock = field(default_factory=threading.Lock)
    _running: list[GitProcess] = field(default_factory=list)
    _tripped: bool = False

    @property
    def is_tripped(self) -> bool:
        """Tell whether the switch was pulled: the work has no reader any more."""
        return self._tripped

    def attach(self, process: GitProcess) -> None:
        """Put a process that just started under the switch; it ends at once when that was pulled before."""
        with self._guard:
            self._running = [known for known in self._running if known.poll() is None]
            self._running.append(process)
            tripped = self._tripped
        if tripped:
            process.kill()

    def trip(self) -> None:
        """Kill the attached processes, and each one that is attached later. Its caller sees git fail."""
        with self._guard:
            self._tripped = True
            running, self._running = self._running, []
        for process in running:
            if process.poll() is None:
                process.kill()
