"""One switch that ends all git processes of a request, the running ones and later ones."""

import threading
from dataclasses import dataclass, field

from packhouse.git.commands.process import GitProcess


@dataclass(slots=True)
class KillSwitch:
    """Ends git processes when a client has left. Another thread than the one that waits for git pulls it."""

    _guard: threading.Lock = field(default_factory=threading.Lock)
    _running: list[GitProcess] = field(default_factory=list)
    _tripped: bool = False

    @property
    def is_tripped(self) -> bool:
        """Tell whether the switch was pulled: then no client waits for the work."""
        return self._tripped

    def attach(self, process: GitProcess) -> None:
        """Put a new process under the switch. If the switch was pulled before, the process is killed at once."""
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
