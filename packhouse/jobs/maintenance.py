"""The background thread that keeps packs few and sweeps leftovers, one in each server process."""

import logging
import queue
import threading
from typing import Final

from packhouse.log import log_event
from packhouse.operations.consolidate import consolidate
from packhouse.operations.node import Node
from packhouse.operations.sweep import list_stray_packs, sweep

_SWEEP_EVERY_S: Final = 600.0
_STOP_WITHIN_S: Final = 30.0


class Maintenance:
    """Works off the node's maintenance requests until stopped."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="maintenance", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Finish the repository in hand and end the thread; what is left waits for the next start."""
        self._stopping.set()
        self._thread.join(_STOP_WITHIN_S)

    def _run(self) -> None:
        self._guarded("sweep", self._sweep_all)
        self._guarded("list stray packs", self._list_strays)
        idle_s = 0.0
        while not self._stopping.is_set():
            try:
                repo_id = self._node.maintenance.get(timeout=0.2)
            except queue.Empty:
                idle_s += 0.2
                if idle_s >= _SWEEP_EVERY_S:
                    idle_s = 0.0
                    self._guarded("sweep", self._sweep_all)
                continue
            self._guarded("consolidate", consolidate, self._node, repo_id)

    def _sweep_all(self) -> None:
        sweep(self._node)

    def _list_strays(self) -> None:
        for repo_id in self._node.store.iter_repo_ids():
            if self._stopping.is_set():
                return
            list_stray_packs(self._node, repo_id)

    def _guarded(self, what: str, work: object, *args: object) -> None:
        """Run one piece of work; a failure is logged and must not end the thread that all others need."""
        assert callable(work)
        try:
            work(*args)
        except Exception:  # noqa: BLE001 - whatever it is, the next repository still wants its turn
            log_event(
                "maintenance failed", level=logging.ERROR, exc_info=True, work=what, args=repr(args[1:])
            )


def start_maintenance(node: Node) -> Maintenance:
    """Start the thread; the server stops it at shutdown."""
    return Maintenance(node)
