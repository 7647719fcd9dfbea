"""The loop that works on rows which one process at a time holds, each by a lease.

A lease is a claim with an end. The loop extends the leases of its process three times before they end. When a
process is killed, its leases end and another process claims the rows. A process that was only asleep learns with its
next extension which rows it has lost.
"""

import logging
import os
import secrets
import socket
import threading
from collections.abc import Collection
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import wait as wait_for
from enum import Enum
from typing import Any, Final, Protocol

from packhouse import limits
from packhouse.errors import Unavailable
from packhouse.log import log_event
from packhouse.node import Node

_SETTLE_S: Final = 0.01  # between two rounds, however often this process is told that there is work
_AWAY_S: Final = 1.0  # before the next round when the database was away


class LeasedWork(Protocol):
    """What a lease loop keeps going. Its methods are called by one thread; the work is done in others."""

    @property
    def outage_message(self) -> str:
        """What the log says once when the database is away."""
        ...

    def extend_leases(self) -> None:
        """Extend every lease, and let go of the rows that another process has taken; raise Unavailable."""
        ...

    def start_due(self) -> bool:
        """Note what has ended, claim what is due and start it; False when there was nothing to do.

        Raises Unavailable.
        """
        ...

    def close(self) -> None:
        """Give the work under way a moment to end, and release what is held."""
        ...


class Round(Enum):
    """What one round of a lease loop came to."""

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
        """Extend the leases when that is due, then start what is due. An outage is logged once, as it begins."""
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
        """Extend three times in a lease. After an outage the first round extends: no third is waited for."""
        moment = self._node.monotonic()
        if moment < self._extend_at:
            return
        self._work.extend_leases()
        self._extend_at = moment + self._node.config.job_lease_s / 3


def make_worker_name() -> str:
    """Return a name for the holder of leases, different in each process and each start."""
    return f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"


def end_threads(threads: ThreadPoolExecutor, under_way: Collection[Future[Any]]) -> None:
    """Start nothing more, and wait a moment for what is under way."""
    threads.shutdown(wait=False, cancel_futures=True)
    wait_for(under_way, limits.finishing_max_s)
