"""The write-ahead log of a SQLite file stays bounded, also while readers come all the time or one stays.

SQLite checkpoints the log at each COMMIT beyond 1000 pages, but begins it anew only at a moment at which no reader uses
it. With readers at all times there may be no such moment. So a writer asks for one: a checkpoint with TRUNCATE holds
the write lock, and waits for the readers that are there. New readers do not need the log then. Source: sqlite.org,
"Write-Ahead Logging", "Avoiding Excessively Large WAL Files"; "PRAGMA wal_checkpoint".

A reader that stays, such as a program with an open transaction, makes that impossible. Then writers are slowed down: in
the time `limits.database_log_pace_s` they may use up the room that the log has at the moment. The room is never used
up, and the writes go on. A write that would have to wait for too long is refused.
"""

import logging
import math
import os
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from packhouse import limits
from packhouse.db.session import DatabaseAway
from packhouse.limits import DEFAULT_LIMITS, Limits
from packhouse.log import log_event

_OF_READERS: Final = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})
_LOOK_EVERY_S: Final = 0.1  # a slowed writer looks whether the reader is gone
# os_unix.c, UNIX_SHM_BASE; wal.c, WAL_READ_LOCK: a reader locks one of these bytes of the -shm file, unless it needs
# no log. Byte 123 is the lock of readers that do not need the log.
_READ_LOCKS: Final = range(124, 128)


class WriteAheadLog:
    """Keeps the log of one database file within its bounds. Called by a writer of this process that holds the lock."""

    def __init__(
        self,
        bounds: Limits = DEFAULT_LIMITS,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._bounds = bounds
        self._monotonic = monotonic
        self._sleep = sleep
        self._try_at = -math.inf
        self._paced: tuple[int, float] | None = None
        self._failing_since = math.inf
        self._told_at = -math.inf
        self._is_told = False

    def make_room(self, connection: sqlite3.Connection, log_path: str, *, patience_s: float) -> None:
        """Reset the log if it is large, or wait as long as its size demands. The connection has no transaction.

        `patience_s` is the connection's own patience with locks, which holds again afterwards. Raises DatabaseAway if
        the wait would be longer than `database_log_wait_max_s`, and sqlite3.Error if the checkpoint fails.
        """
        size = _size_of(log_path)
        if size < self._bounds.database_log_reset_bytes or self._reset(connection, patience_s):
            self._note_reset()
            return
        if size < self._bounds.database_log_slow_bytes:
            return
        wait_s = self._wait_s(size)
        self._tell(size, wait_s, log_path)
        if self._is_refused(wait_s):
            raise DatabaseAway(f"a reader keeps the write-ahead log from being reset: {log_path}")
        end = self._monotonic() + wait_s
        while (left_s := end - self._monotonic()) > 0:
            self._sleep(min(left_s, _LOOK_EVERY_S))
            if self._reset(connection, patience_s):
                self._note_reset()
                return
        self._paced = size, self._monotonic()

    def _wait_s(self, size: int) -> float:
        """Return how long the next transaction must wait after the last one."""
        room = self._bounds.database_log_max_bytes - size
        if room <= 0:
            return math.inf
        if self._paced is None:
            return 0.0
        size_before, at = self._paced
        return (size - size_before) * limits.database_log_pace_s / room - (self._monotonic() - at)

    def _is_refused(self, wait_s: float) -> bool:
        return wait_s > self._bounds.database_log_wait_max_s

    def _reset(self, connection: sqlite3.Connection, patience_s: float) -> bool:
        """Try to empty the log, unless that failed a moment ago."""
        if self._monotonic() < self._try_at:
            return False
        connection.execute(
            f"PRAGMA busy_timeout = {round(limits.database_log_readers_wait_s * 1000)}"
        ).fetchall()
        try:
            is_busy, _, _ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        except sqlite3.Error as error:
            if getattr(error, "sqlite_errorcode", 0) & 0xFF not in _OF_READERS:
                raise
            is_busy = 1
        finally:
            connection.execute(f"PRAGMA busy_timeout = {round(patience_s * 1000)}").fetchall()
        if not is_busy:
            return True
        now = self._monotonic()
        self._try_at = now + limits.database_log_try_again_s
        self._failing_since = min(self._failing_since, now)
        return False

    def _tell(self, size: int, wait_s: float, log_path: str) -> None:
        now = self._monotonic()
        if now - self._told_at < limits.database_tell_again_s:
            return
        if now - self._failing_since < limits.database_log_tell_after_s and not self._is_refused(wait_s):
            return
        self._told_at = now
        self._is_told = True
        log_event(
            "a reader keeps the database's log from being reset",
            level=logging.WARNING,
            log=log_path,
            bytes=size,
            readers=list_readers(Path(log_path.removesuffix("-wal") + "-shm")),
            writes="refused" if self._is_refused(wait_s) else "slowed down",
        )

    def _note_reset(self) -> None:
        self._paced = None
        self._try_at = -math.inf
        self._failing_since = math.inf
        if self._is_told:
            self._is_told = False
            self._told_at = -math.inf
            log_event("the database's log was reset", level=logging.WARNING)


def list_readers(shm_path: Path) -> list[int]:
    """Return the processes that use the log, this one included, as far as the kernel tells.

    The file is not opened: closing it would drop the locks that this process has on it.
    """
    try:
        inode = shm_path.stat().st_ino
        lines = Path("/proc/locks").read_text("ascii").splitlines()
    except OSError:
        return []
    found = set()
    for line in lines:  # proc_locks(5): `1: POSIX ADVISORY READ 4711 08:01:1234 124 124`
        fields = line.split()
        if len(fields) == 8 and fields[5].endswith(f":{inode}"):
            end = math.inf if fields[7] == "EOF" else int(fields[7])
            if int(fields[6]) <= _READ_LOCKS[-1] and end >= _READ_LOCKS[0]:
                found.add(int(fields[4]))
    return sorted(found)


def _size_of(log_path: str) -> int:
    try:
        return os.stat(log_path).st_size
    except OSError:  # without a log there is nothing to bound; a lost disk is noticed by the transaction
        return 0
