"""The background loop that keeps packs few and sweeps leftovers, one in each server process."""

import logging
import queue
import threading
from collections.abc import Callable
from typing import Final

from packhouse.errors import Unavailable
from packhouse.log import log_event
from packhouse.operations.consolidate import consolidate
from packhouse.operations.fork_insert import sweep_unsettled
from packhouse.operations.node import Node
from packhouse.operations.sweep import list_stray_packs, sweep

_SWEEP_EVERY_S: Final = 600.0
_LOOK_EVERY_S: Final = 0.2


def maintain_packs(node: Node, stopping: threading.Event) -> None:
    """Work off the node's maintenance requests until `stopping` is set, and sweep now and then."""
    _guarded("sweep", sweep, node)
    _guarded("list stray packs", _list_strays, node, stopping)
    idle_s = 0.0
    while not stopping.is_set():
        try:
            repo_id = node.maintenance.get(timeout=_LOOK_EVERY_S)
        except queue.Empty:
            idle_s += _LOOK_EVERY_S
            if idle_s >= _SWEEP_EVERY_S:
                idle_s = 0.0
                _guarded("sweep", sweep, node)
                _guarded("sweep unsettled folders", sweep_unsettled, node)
            continue
        _guarded("consolidate", consolidate, node, repo_id)


def _list_strays(node: Node, stopping: threading.Event) -> None:
    for repo_id in node.store.iter_repo_ids():
        if stopping.is_set():
            return
        list_stray_packs(node, repo_id)


def _guarded(what: str, work: Callable[..., object], *args: object) -> None:
    """Run one piece of work; a failure is logged and must not end the loop that all repositories need."""
    try:
        work(*args)
    except Unavailable as error:  # the next write to a repository asks again
        log_event("maintenance put off", level=logging.WARNING, work=what, reason=error.message)
    except Exception:  # noqa: BLE001 - whatever it is, the next repository still wants its turn
        facts = [argument for argument in args if isinstance(argument, str)]
        log_event("maintenance failed", level=logging.ERROR, exc_info=True, work=what, on=facts)
