"""What a process knows about a database server that does not answer, so that few callers wait in vain."""

import logging
import threading
import time
from collections.abc import Callable
from typing import NoReturn

from packhouse import limits
from packhouse.db.session import DatabaseAway
from packhouse.log import log_event


class Outage:
    """Tells how long to wait for a connection. Logs once when the server goes away and once when it comes back.

    While the server answers, callers may wait `wait_max_s`, because connections are only scarce. Once it is away, a
    caller waits a moment. After a wait in vain, other callers are refused at once for a short while. Safe to share
    between threads.
    """

    def __init__(self, *, wait_max_s: float, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._wait_max_s = wait_max_s
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._suspected = False
        self._reason = ""
        self._refuse_until = 0.0

    def patience_s(self) -> float:
        """Return the seconds to wait for a connection. Raises DatabaseAway during the pause after a wait in vain."""
        with self._lock:
            if not self._suspected:
                return self._wait_max_s
            if self._monotonic() < self._refuse_until:
                raise DatabaseAway(self._reason)
            return limits.database_outage_wait_max_s

    def suspect(self) -> None:
        """Note that a connection broke: that one alone, or all because the server went away."""
        self._suspected = True

    def waited(self, find_reason: Callable[[], str]) -> NoReturn:
        """Note that no connection came in time. Always raises DatabaseAway.

        `find_reason` asks the server why it does not answer. It returns "" if the server answers and all connections
        were in use.
        """
        reason = self._reason or find_reason()
        with self._lock:
            self._suspected = bool(reason)
            self._refuse_until = self._monotonic() + limits.database_outage_pause_s
            is_news = bool(reason) and not self._reason
            self._reason = reason
        if is_news:
            log_event("database is away", level=logging.ERROR, reason=reason)
        raise DatabaseAway(reason or "all connections are in use")

    def end(self) -> None:
        """Note that the server gave a connection."""
        if not self._suspected:
            return
        with self._lock:
            was_away = bool(self._reason)
            self._suspected = False
            self._reason = ""
        if was_away:
            log_event("database answers again", level=logging.WARNING)
