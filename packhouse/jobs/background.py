"""The background loops of a process, each in a thread of its own.

A new loop is a function in a module of this package, and a member of `LOOPS`. Servers and `packhouse worker` start
the same loops.
"""

import logging
import threading
from collections.abc import Callable, Sequence
from typing import Final

from packhouse import limits
from packhouse.jobs.deliver_webhooks import deliver_webhooks
from packhouse.jobs.expiry import delete_expired
from packhouse.jobs.maintenance import maintain_packs
from packhouse.jobs.worker import run_jobs
from packhouse.log import log_event
from packhouse.node import Node

_AGAIN_S: Final = 1.0  # until a failed loop is started again

Loop = Callable[[Node, threading.Event], None]
"""Runs until the event is set, and then returns within a second or so."""

LOOPS: Final[Sequence[Loop]] = (maintain_packs, run_jobs, deliver_webhooks, delete_expired)


def start_background(node: Node) -> Callable[[], None]:
    """Start every loop. Return the function that ends them, which takes at most `limits.background_stop_max_s`."""
    threads = BackgroundThreads(node, LOOPS)
    return lambda: threads.stop(limits.background_stop_max_s)


class BackgroundThreads:
    """The running loops of one process."""

    def __init__(self, node: Node, loops: Sequence[Loop]) -> None:
        self._stopping = threading.Event()
        self._threads = [
            # daemon: a hanging loop must not keep alive a process that was asked to end
            threading.Thread(target=self._run, args=(loop, node), name=loop.__name__, daemon=True)
            for loop in loops
        ]
        for thread in self._threads:
            thread.start()

    def _run(self, loop: Loop, node: Node) -> None:
        while not self._stopping.is_set():
            try:
                loop(node, self._stopping)
            except Exception:  # noqa: BLE001  # any failure: without this loop its work would stay undone
                log_event("background loop failed", level=logging.ERROR, exc_info=True, loop=loop.__name__)
                self._stopping.wait(_AGAIN_S)

    def stop(self, timeout_s: float) -> None:
        """Ask the loops to end and wait at most `timeout_s` for all of them together."""
        self._stopping.set()
        for thread in self._threads:
            thread.join(timeout_s / max(1, len(self._threads)))
