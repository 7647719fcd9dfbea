"""A SQLite database in the file system: which file it is, whether it exists, whether it can be read.

SQLite turns the EIO and ENXIO of a read into SQLITE_CORRUPT (os_unix.c, `unixRead`; vdbe.c, SQLITE_IOERR_CORRUPTFS).
So its error code does not tell a device that went away from a damaged file.
"""

import contextlib
import errno
import os
import threading
import time
import weakref
from pathlib import Path
from typing import Final
from urllib.parse import quote

from packhouse import limits
from packhouse.db.session import DatabaseAway, log_outage
from packhouse.errors import Code, Corrupt
from packhouse.limits import DEFAULT_LIMITS

Identity = tuple[int, int]
"""Device and inode of a file."""

_READ_BYTES: Final = limits.MIB
_CANNOT_SYNC: Final = frozenset({errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP})


class StrayLog(Corrupt):
    """A write-ahead log lies beside an empty database.

    It may hold the last transactions, and SQLite would delete it.
    """

    code = Code.STRAY_LOG
    log: str


class SqliteFile:
    """The file of one SqliteDatabase. Safe for threads.

    `failures` counts the failures of the file so far. Connections that were open at a failure are not used again.
    `wait_max_s` bounds the wait for a lock that another program holds.
    """

    def __init__(self, path: Path, *, wait_max_s: int = DEFAULT_LIMITS.database_wait_max_s) -> None:
        self.path = path
        self.wait_max_s = wait_max_s
        self._guard = threading.Lock()
        self.failures = 0
        self._told: tuple[str, float] | None = None
        self._users = 0
        self._kept: dict[Identity, int] = {}
        self._read_whole_at: float | None = None
        _files.add(self)

    def address(self, *, frozen: bool) -> str:
        """Return the address to open with `uri=True`, for reading and writing. It never makes a missing file.

        A frozen file is read without its log and without locks (sqlite.org, "Uniform Resource Identifiers").
        """
        return f"file:{quote(os.fsencode(self.path))}?{'immutable=1' if frozen else 'mode=rw'}"

    def is_read_only(self) -> bool:
        """Tell whether the disk takes no writes from any process."""
        try:
            return bool(os.statvfs(self.path).f_flag & os.ST_RDONLY)
        except OSError:
            return False

    def is_frozen(self) -> bool:
        """Tell whether no process can change the file, and the file holds all commits.

        On a read-only disk, SQLite opens a WAL database only if the files of the log exist too, as after a killed
        server.
        """
        try:
            return self.is_read_only() and self.log_path.stat().st_size == 0
        except FileNotFoundError:
            return True
        except OSError:
            return False

    @property
    def log_path(self) -> Path:
        """The write-ahead log beside the file. SQLite follows symbolic links first."""
        return Path(f"{os.path.realpath(self.path)}-wal")

    @property
    def lock_path(self) -> Path:
        """The file that writers lock."""
        return self.path.with_name(self.path.name + ".lock")

    def identify(self) -> Identity:
        """Return the identity of the file that has the path now.

        Raises DatabaseAway if the file is missing or empty. A database is never empty once it was made, and SQLite
        would delete the write-ahead log beside an empty file.
        """
        try:
            status = os.stat(self.path)
        except OSError as error:
            self.tell(error)
            raise DatabaseAway(str(error)) from error
        if status.st_size == 0:
            away = DatabaseAway(f"the database file is empty: {self.path}")
            self.tell(away)
            raise away
        return status.st_dev, status.st_ino

    def is_made(self) -> bool:
        """Tell whether the file exists and has content."""
        try:
            return self.path.stat().st_size > 0
        except (FileNotFoundError, NotADirectoryError):
            return False

    def has_orphaned_log(self) -> bool:
        """Tell whether a write-ahead log with content is beside a missing or empty file.

        A new database writes its file before its log. So this log never belongs to a database that is being made.
        """
        try:
            has_log = self.log_path.stat().st_size > 0  # before the file: see above
        except (FileNotFoundError, NotADirectoryError):
            return False
        return has_log and not self.is_made()

    def set_log_aside(self, *, now: int) -> Path:
        """Rename the log. Return its new path."""
        aside = self.log_path.with_name(f"{self.log_path.name}.lost-{now}")
        try:
            self.log_path.rename(aside)
        except OSError as error:
            self.tell(error)
            raise DatabaseAway(str(error)) from error
        return aside

    def make(self) -> bool:
        """Make the file, for its owner alone, unless it exists. Return whether it is still empty.

        Raises Corrupt beside an orphaned log, because SQLite deletes the log when it opens an empty file.
        """
        try:
            if self.has_orphaned_log():
                raise StrayLog(str(self.log_path))
            # Do not open an existing file here: closing it again would drop the locks that connections of this process
            # have on it.
            with contextlib.suppress(FileExistsError):
                os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
            return self.path.stat().st_size == 0
        except OSError as error:
            self.tell(error)
            raise DatabaseAway(str(error)) from error

    def find_trouble(self) -> str:
        """Return why the bytes of the file cannot be read; "" if they can, and then SQLite's complaint is right.

        Reads at most `limits.database_probe_max_bytes` of the file and of the log. Does not read them again within
        `limits.database_probe_pause_s`.
        """
        with self._guard:
            try:
                descriptor = self._open_kept()
                if os.fstat(descriptor).st_size == 0:
                    return "the database file is empty"
                _require_sync(descriptor)
                os.pread(descriptor, 1, 0)
                now = time.monotonic()
                if self._read_whole_at is None or now - self._read_whole_at >= limits.database_probe_pause_s:
                    _read_through(descriptor)
                    self._read_log()
                    self._read_whole_at = now
            except OSError as error:
                return str(error)
            return ""

    def _open_kept(self) -> int:
        """Return a descriptor of the file that has the path now. It stays open.

        Closing it would drop every lock of this process on the file, and with them SQLite's locks: POSIX advisory
        locks belong to process and inode. Source: sqlite.org, "How To Corrupt An SQLite Database File", 2.2.
        """
        status = os.stat(self.path)
        identity = status.st_dev, status.st_ino
        if identity not in self._kept:
            self._kept[identity] = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        else:
            # Opening asks the file system again. The open descriptor may outlive it.
            os.close(os.open(self.path.parent, os.O_RDONLY | os.O_CLOEXEC))
        return self._kept[identity]

    def _read_log(self) -> None:
        with contextlib.suppress(FileNotFoundError), self.log_path.open("rb") as log:  # no process locks it
            _read_through(log.fileno())

    def tell(self, error: Exception) -> None:
        """Log a failure. Log it once while it stays the same: every refused request has a line of its own anyway."""
        reason, now = str(error), time.monotonic()
        if self._told and self._told[0] == reason and now - self._told[1] < limits.database_tell_again_s:
            return
        self._told = reason, now
        log_outage(error)

    def enter(self) -> None:
        """Note that this process opens a connection to the file."""
        with self._guard:
            self._users += 1

    def leave(self) -> None:
        """Note that a connection was closed. After the last one, no descriptor of the file stays open."""
        with self._guard:
            self._users -= 1
            if self._users <= 0:
                self._let_go()

    def _let_go(self) -> None:
        while self._kept:
            with contextlib.suppress(OSError):
                os.close(self._kept.popitem()[1])

    def forget_after_fork(self) -> None:
        """Start anew in a child, which inherits no locks."""
        self._guard = threading.Lock()
        self._users = 0
        self._let_go()


_files: "weakref.WeakSet[SqliteFile]" = weakref.WeakSet()


def _forget_all_after_fork() -> None:
    for file in list(_files):
        file.forget_after_fork()


os.register_at_fork(after_in_child=_forget_all_after_fork)


def _require_sync(descriptor: int) -> None:
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _CANNOT_SYNC:
            raise


def _read_through(descriptor: int) -> None:
    place = 0
    while place < limits.database_probe_max_bytes:
        chunk = os.pread(descriptor, _READ_BYTES, place)
        if not chunk:
            return
        place += len(chunk)
