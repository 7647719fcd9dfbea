"""Tells the background loops of this process that a transaction has left them work."""

import threading


class Wakeups:
    """A count that grows. Loops wait until it is larger than the count that they saw. Other processes poll instead."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._count = 0

    def notify(self) -> None:
        """Wake every waiting loop. Call it after the commit, not in the transaction."""
        with self._changed:
            self._count += 1
            self._changed.notify_all()

    def wait(self, seen: int, timeout_s: float) -> int:
        """Return the count once it is larger than `seen`, at the latest after `timeout_s` seconds."""
        with self._changed:
            self._changed.wait_for(lambda: self._count > seen, timeout_s)
            return self._count
