"""The background loop that keeps packs few and sweeps leftovers, one in each server process."""

import logging
import queue
import threading
from collections.abc import Callable
from typing import Final

from packhouse.errors import Unavailable
from packhouse.log import log_event
from packhouse.node.installation import report_unknown_folders
from packhouse.node.node import Node
from packhouse.repository.upkeep.consolidate import consolidate
from packhouse.repository.upkeep.damage_report import find_lost_packs, recheck_damage
from packhouse.repository.upkeep.sweep import adopt_all, sweep

_SWEEP_EVERY_S: Final = 600.0
_LOOK_EVERY_S: Final = 0.2


def maintain_packs(node: Node, stopping: threading.Event) -> None:
    """Work off the node's maintenance requests until `stopping` is set, and sweep now and then."""
    _guarded("sweep", sweep, node)
    _guarded("count unknown folders", report_unknown_folders, node.config, node.database)
    _guarded("take over repositories", adopt_all, node, stopping.is_set)
    _guarded("find lost packs", find_lost_packs, node, stopping.is_set)
    _guarded("recheck damage", recheck_damage, node)
    idle_s = 0.0
    while not stopping.is_set():
        try:
            repo_id = node.maintenance.get(timeout=_LOOK_EVERY_S)
        except queue.Empty:
            idle_s += _LOOK_EVERY_S
            if idle_s >= _SWEEP_EVERY_S:
                idle_s = 0.0
                _guarded("sweep", sweep, node)
                _guarded("take over repositories", adopt_all, node, stopping.is_set)
                _guarded("recheck damage", recheck_damage, node)
            continue
        _guarded("consolidate", consolidate, node, repo_id)


def _guarded(what: str, work: Callable[..., object], *args: object) -> None:
    """Run one piece of work; a failure is logged and must not end the loop that all repositories need."""
    try:
        work(*args)
    except Unavailable as error:  # the next write to a repository asks again
        log_event("maintenance put off", level=logging.WARNING, work=what, reason=error.message)
    except OSError as error:  # a full, read-only or failing disk, which may pass
        log_event("maintenance put off", level=logging.WARNING, work=what, reason=str(error.strerror))
    except Exception:  # noqa: BLE001 - whatever it is, the next repository still wants its turn
        facts = [argument for argument in args if isinstance(argument, str)]
        log_event("maintenance failed", level=logging.ERROR, exc_info=True, work=what, on=facts)
