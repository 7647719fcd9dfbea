"""The background loop that keeps packs few and sweeps leftovers. Each process runs one."""

import logging
import threading
from collections.abc import Callable
from typing import Final

from packhouse.errors import Unavailable
from packhouse.limits import vacuum_steps_max
from packhouse.log import log_event
from packhouse.node import Node, ShouldStop, report_unknown_folders
from packhouse.repository import adopt_all, find_lost_packs, maintain, recheck_damage, relieve_journal, sweep

_SWEEP_EVERY_S: Final = 600.0
_REST_MAX_S: Final = 2.0  # between two pages of long work
_RELIEVE_EVERY_S: Final = 60.0
_LOOK_EVERY_S: Final = 0.2  # a loop without requests notices within this time that it must stop


def maintain_packs(node: Node, stopping: threading.Event) -> None:
    """Serve the node's maintenance requests until `stopping` is set, and sweep at intervals."""
    maintenance = Maintenance(node, stopping)
    maintenance.begin()
    while not stopping.is_set():
        maintenance.run_once(wait_s=_LOOK_EVERY_S)


class Maintenance:
    """The upkeep of one process. When one step fails, the failure is logged and the next steps run."""

    def __init__(self, node: Node, stopping: threading.Event) -> None:
        self._node = node
        self._stopping = stopping
        self._sweep_at = 0.0
        self._relieve_at = 0.0

    def begin(self) -> None:
        """Do the work that is due once at start: sweep, and look for leftovers and lost packs of earlier processes."""
        node = self._node
        _guarded("sweep", sweep, node)
        _guarded("count unknown folders", report_unknown_folders, node.config, node.database)
        _guarded("take over repositories", adopt_all, node, Pace(node, self._stopping))
        _guarded("find lost packs", find_lost_packs, node, Pace(node, self._stopping))
        _guarded("recheck damage", recheck_damage, node)
        self._sweep_at = self._node.monotonic() + _SWEEP_EVERY_S

    def run_once(self, *, wait_s: float) -> None:
        """Maintain the next repository with a request, if one comes within `wait_s`; sweep when that is due."""
        repo_id = self._node.maintenance.get(timeout_s=wait_s)
        if repo_id is not None:
            _guarded("maintain", maintain, self._node, repo_id)
        if self._node.monotonic() >= self._relieve_at:
            _guarded("relieve the journal", relieve_journal, self._node, self._stopping.is_set)
            self._relieve_at = self._node.monotonic() + _RELIEVE_EVERY_S
        if self._node.monotonic() >= self._sweep_at:
            _guarded("sweep", sweep, self._node)
            _guarded("take over repositories", adopt_all, self._node, Pace(self._node, self._stopping))
            _guarded("recheck damage", recheck_damage, self._node)
            _guarded("vacuum the database", _vacuum, self._node, self._stopping.is_set)
            self._sweep_at = self._node.monotonic() + _SWEEP_EVERY_S


class Pace:
    """Long work asks it between two pages whether to stop. It then rests for as long as the last page took.

    So the work leaves half of the processor to requests, of which most come just when the work is longest: after a
    start with very many repositories.
    """

    def __init__(self, node: Node, stopping: threading.Event) -> None:
        self._node = node
        self._stopping = stopping
        self._begun_at = node.monotonic()

    def __call__(self) -> bool:
        """Rest, then tell whether to stop."""
        took_s = self._node.monotonic() - self._begun_at
        must_stop = self._stopping.wait(min(took_s, _REST_MAX_S))
        self._begun_at = self._node.monotonic()
        return must_stop


def _vacuum(node: Node, should_stop: ShouldStop) -> None:
    """Give unused space of the database back, in small transactions between those of others."""
    for _ in range(vacuum_steps_max):
        if should_stop() or not node.database.vacuum_some():
            return


def _guarded(what: str, work: Callable[..., object], *args: object) -> None:
    """Run one step. A failure is logged and does not end the loop, which all repositories need."""
    try:
        work(*args)
    except Unavailable as error:  # the next write to a repository makes a new request
        log_event("maintenance put off", level=logging.WARNING, work=what, reason=error.code.value)
    except OSError as error:  # a full, read-only or failing disk, which may recover
        log_event("maintenance put off", level=logging.WARNING, work=what, reason=str(error.strerror))
    except Exception:  # noqa: BLE001 - after any failure, the next repository must have its chance
        facts = [argument for argument in args if isinstance(argument, str)]
        log_event("maintenance failed", level=logging.ERROR, exc_info=True, work=what, on=facts)
