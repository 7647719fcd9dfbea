"""The loop that works on leased rows: one process at a time holds a row.

A lease is a claim with an end. The loop extends the leases of its process three times before they end. When a
process is killed, its leases end and another process claims the rows. A process that was only asleep learns with its
next extension which rows it has lost.
"""

import logging
import os
import socket
import threading
from collections.abc import Callable, Collection
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import wait as wait_for
from enum import Enum
from typing import Any, Final, Protocol

from packhouse import limits
from packhouse.errors import Unavailable
from packhouse.log import log_event
from packhouse.node import Node

_SETTLE_S: Final = 0.01  # between two rounds, even if this process is told more often that there is work
_AWAY_S: Final = 1.0  # until the next round after the database was away


class LeasedWork(Protocol):
    """The work of a lease loop. One thread calls its methods, and other threads do the work."""

    @property
    def outage_message(self) -> str:
        """The message that the log shows once when the database is away."""
        ...

    def extend_leases(self) -> None:
        """Extend every lease, and drop the rows that another process has taken. Raises Unavailable."""
        ...

    def start_due(self) -> bool:
        """Record ended work, claim due work and start it; False when there was nothing to do.

        Raises Unavailable.
        """
        ...

    def close(self) -> None:
        """Wait a moment for running work, then release the rows."""
        ...


class Round(Enum):
    """The result of one round of a lease loop."""

    WORKED = "worked"
    IDLE = "idle"
    AWAY = "away"


class LeaseLoop:
    """Runs leased work in one thread."""

    def __init__(self, node: Node, work: LeasedWork, stopping: threading.Event) -> None:
        self._node = node
        self._work = work
        self._stopping = stopping
        self._extend_at = 0.0
        self._is_away = False

    def run(self) -> None:
        """Work until `stopping` is set, then close the work. The caller's wake-ups shorten the waits."""
        seen = 0
        try:
            while not self._stopping.is_set():
                outcome = self.run_once()
                if outcome is Round.AWAY:
                    self._stopping.wait(_AWAY_S)
                elif outcome is Round.IDLE:
                    seen = self._node.wakeups.wait(seen, limits.job_poll_s)
                    self._stopping.wait(_SETTLE_S)
        finally:
            self._work.close()

    def run_once(self) -> Round:
        """Extend the leases when that is due, then start due work. An outage is logged once, when it begins."""
        try:
            self._extend_when_due()
            has_worked = self._work.start_due()
        except Unavailable as error:
            if not self._is_away:
                log_event(self._work.outage_message, level=logging.WARNING, reason=error.code.value)
            self._is_away = True
            return Round.AWAY
        self._is_away = False
        return Round.WORKED if has_worked else Round.IDLE

    def _extend_when_due(self) -> None:
        """Extend the leases three times within their length. The first round after an outage extends them at once."""
        moment = self._node.monotonic()
        if moment < self._extend_at:
            return
        self._work.extend_leases()
        self._extend_at = moment + self._node.config.job_lease_s / 3


def make_worker_name(random_bytes: Callable[[int], bytes]) -> str:
    """Return a name for the holder of leases. Each start of each process gets another name."""
    return f"{socket.gethostname()}-{os.getpid()}-{random_bytes(4).hex()}"


def end_threads(threads: ThreadPoolExecutor, under_way: Collection[Future[Any]]) -> None:
    """Drop work that has not begun, and wait a moment for running work."""
    threads.shutdown(wait=False, cancel_futures=True)
    wait_for(under_way, limits.finishing_max_s)
