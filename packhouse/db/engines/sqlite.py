"""SQLite: one file in WAL mode, every commit on disk before it is acknowledged, one writer at a time.

Writers first take a blocking lock on a file beside the database. SQLite itself waits for its lock by polling. That
starved a process for seconds where a blocking lock takes milliseconds. Source for the settings: sqlite.org, "PRAGMA
Statements" and "Write-Ahead Logging".
"""

import contextlib
import fcntl
import os
import sqlite3
import threading
import weakref
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NoReturn

from packhouse import limits
from packhouse.clock import Clock, system_clock
from packhouse.db.engines.schema import SQLITE_WORDS, apply_migrations, check_release, has_all_migrations
from packhouse.db.engines.sqlite_file import Identity, SqliteFile
from packhouse.db.session import QUERIES, Database, DatabaseAway, Row, Session, SqlValue
from packhouse.errors import Code, Corrupt, Invalid
from packhouse.limits import DEFAULT_LIMITS

_VERSION_MIN: Final = (3, 37)  # STRICT tables; RETURNING came with 3.35
_DAMAGED: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_AWAY: Final = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_PROTOCOL,
        sqlite3.SQLITE_NOLFS,
    }
)
# After these failures the connection is still usable. After any other one the next session gets a new connection.
_PASSING: Final = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_READONLY,
    }
)
_PRAGMAS: Final = (
    "PRAGMA synchronous = FULL",
    "PRAGMA foreign_keys = ON",
    f"PRAGMA journal_size_limit = {64 * limits.MIB}",
    f"PRAGMA cache_size = -{2 * limits.KIB}",
)


_COUNT_OUR_TABLES: Final = (
    "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name IN ('schema_migrations', 'ref_log')"
)


class SqliteTooOld(Invalid):
    """The SQLite library is too old. `found` is its version."""

    code = Code.SQLITE_TOO_OLD
    found: str


class DatabaseFileDamaged(Corrupt):
    """SQLite found its file damaged. `reason` is its message."""

    code = Code.DATABASE_FILE_DAMAGED
    reason: str


class SqliteSession(Session):
    """A session on one SQLite connection."""

    __slots__ = ("_connection", "_file")

    def __init__(self, connection: sqlite3.Connection, file: SqliteFile) -> None:
        self._connection = connection
        self._file = file

    def all(self, query: str, /, **params: SqlValue) -> list[Row]:
        """See Session."""
        try:
            return self._connection.execute(QUERIES[query], params).fetchall()
        except sqlite3.Error as error:
            _raise_translated(error, self._file)

    def one(self, query: str, /, **params: SqlValue) -> Row | None:
        """See Session."""
        try:
            rows = self._connection.execute(QUERIES[query], params).fetchall()
        except sqlite3.Error as error:
            _raise_translated(error, self._file)
        return rows[0] if rows else None

    def run(self, query: str, /, **params: SqlValue) -> int:
        """See Session."""
        try:
            return self._connection.execute(QUERIES[query], params).rowcount
        except sqlite3.Error as error:
            _raise_translated(error, self._file)

    def run_many(self, query: str, rows: Sequence[Mapping[str, SqlValue]], /) -> int:
        """See Session."""
        try:
            return self._connection.executemany(QUERIES[query], rows).rowcount
        except sqlite3.Error as error:
            _raise_translated(error, self._file)

    def define(self, statement: str, /) -> None:
        """See Session."""
        try:
            self._connection.execute(statement)
        except sqlite3.Error as error:
            _raise_translated(error, self._file)


class _Handle:
    """A connection, its session and an open file to lock. One thread uses them at a time.

    `opened_as` is the file of the connection. `failures` is the number of failures that the file had had when it was
    opened. Once either has changed, the connection must not be used again. The same holds if it could not roll back
    (`is_stuck`).
    """

    __slots__ = (
        "connection",
        "failures",
        "file",
        "is_frozen",
        "is_stuck",
        "lock_file",
        "opened_as",
        "session",
    )

    def __init__(self, file: SqliteFile) -> None:
        self.file = file
        self.failures = file.failures
        self.is_stuck = False
        self.is_frozen = file.is_frozen()
        file.enter()
        try:
            self.lock_file = _open_lock_file(file)
            try:
                self.connection = _connect(file, self.lock_file, frozen=self.is_frozen)
                try:
                    self.opened_as = file.identify()
                except BaseException:
                    self.connection.close()
                    raise
            except BaseException:
                os.close(self.lock_file)
                raise
        except BaseException:
            file.leave()
            raise
        self.session = SqliteSession(self.connection, file)

    def is_of(self, identity: Identity) -> bool:
        """Tell whether the connection may be used again for the file that has the path now."""
        if self.is_frozen and not self.file.is_frozen():
            return False  # others may write to the file now, and this connection would not notice
        return not self.is_stuck and self.opened_as == identity and self.failures == self.file.failures

    def close(self) -> None:
        """Close everything. A device that is gone may refuse, which does not matter."""
        with contextlib.suppress(sqlite3.Error):
            self.connection.close()
        with contextlib.suppress(OSError):
            os.close(self.lock_file)
        self.file.leave()


class SqliteDatabase(Database):
    """A database file. Connections are kept for reuse. One session takes one connection."""

    def __init__(self, path: Path, *, wait_max_s: int = DEFAULT_LIMITS.database_wait_max_s) -> None:
        if sqlite3.sqlite_version_info < _VERSION_MIN:
            raise SqliteTooOld(sqlite3.sqlite_version)
        self._file = SqliteFile(path, wait_max_s=wait_max_s)
        self._idle: list[_Handle] = []
        self._busy: set[_Handle] = set()
        self._closed = False
        self._here = threading.local()
        _databases.add(self)

    @contextmanager
    def read(self) -> Iterator[Session]:
        """See Database."""
        handle = self._take()
        try:
            yield handle.session
        finally:
            self._give_back(handle)

    @contextmanager
    def snapshot(self) -> Iterator[Session]:
        """See Database."""
        handle = self._take()
        try:
            with _transaction(handle, "BEGIN"):
                yield handle.session
        finally:
            self._give_back(handle)

    @contextmanager
    def write(self) -> Iterator[Session]:
        """See Database."""
        assert not getattr(self._here, "writing", False), "a write inside a write waits for itself"
        handle = self._take()
        self._here.writing = True
        try:
            # Each handle has opened the file itself, so the lock excludes other threads as well as other processes.
            with _locked(self._file, handle.lock_file), _transaction(handle, "BEGIN IMMEDIATE"):
                yield handle.session
        finally:
            self._here.writing = False
            self._give_back(handle)

    @property
    def place(self) -> str:
        """See Database."""
        return str(self._file.path.absolute())

    def has_schema(self) -> bool:
        """See Database."""
        if not self._file.is_made():
            return False
        self._file.enter()
        try:
            # Use a separate connection: those for sessions make a lock file and switch the file to WAL.
            address = self._file.address(frozen=self._file.is_frozen())
            with contextlib.closing(sqlite3.connect(address, uri=True)) as connection:
                _set_patience(connection, self._file)
                return bool(connection.execute(_COUNT_OUR_TABLES).fetchone() == (2,))
        except sqlite3.Error as error:
            _raise_translated(error, self._file)
        finally:
            self._file.leave()

    def find_orphaned_log(self) -> Path | None:
        """See Database."""
        return self._file.log_path if self._file.has_orphaned_log() else None

    def set_log_aside(self, *, now: int) -> Path | None:
        """See Database."""
        lock_file = _open_lock_file(self._file)
        try:
            # The process that makes the file holds the lock until the file has content.
            with _locked(self._file, lock_file):
                return self._file.set_log_aside(now=now) if self._file.has_orphaned_log() else None
        finally:
            os.close(lock_file)

    def migrate(self, clock: Clock = system_clock) -> None:
        """See Database."""
        if self._file.make():
            handle = _Handle(self._file)  # gives the file its first page
            self._busy.add(handle)
            self._give_back(handle)
        if self.has_schema():
            with self.read() as session:  # the disk may be full or read-only, and the schema complete
                check_release(session)
                if has_all_migrations(session, SQLITE_WORDS):
                    return
        with self.write() as session:
            apply_migrations(session, SQLITE_WORDS, now=clock())

    def close(self) -> None:
        """See Database."""
        self._closed = True
        self._close_idle()

    def _take(self) -> _Handle:
        if self._closed:
            raise DatabaseAway()
        # A file that was deleted or replaced must not get another commit: the commit would be lost with it.
        identity = self._file.identify()
        while True:
            try:
                handle = self._idle.pop()
            except IndexError:
                handle = _Handle(self._file)
                break
            if handle.is_of(identity):
                break
            handle.close()
        self._busy.add(handle)
        return handle

    def _give_back(self, handle: _Handle) -> None:
        if handle not in self._busy:
            return  # a fork happened inside the block: the handle belongs to the parent
        self._busy.discard(handle)
        if self._closed or not handle.is_of(handle.opened_as):
            # All connections that were open when the device went away keep it busy. It can come back without them.
            handle.close()
            self._close_idle()
        elif len(self._idle) >= limits.idle_connections_max:
            handle.close()
        else:
            self._idle.append(handle)

    def _close_idle(self) -> None:
        with contextlib.suppress(IndexError):  # other threads take from the list as well
            while True:
                self._idle.pop().close()

    def _forget_after_fork(self) -> None:
        """Do not touch the parent's connections: closing one here would drop the parent's file locks.

        Source: sqlite.org, "How To Corrupt An SQLite Database File", 2.6.
        """
        inherited = [*self._idle, *self._busy]
        _inherited.extend(handle.connection for handle in inherited)
        self._idle = []
        self._busy = set()
        self._here = threading.local()
        for handle in inherited:
            os.close(handle.lock_file)


_databases: "weakref.WeakSet[SqliteDatabase]" = weakref.WeakSet()
_inherited: list[sqlite3.Connection] = []


def _forget_all_after_fork() -> None:
    for database in list(_databases):
        database._forget_after_fork()


os.register_at_fork(after_in_child=_forget_all_after_fork)


@contextmanager
def _transaction(handle: _Handle, begin: str) -> Iterator[None]:
    connection = handle.connection
    try:
        connection.execute(begin)
    except sqlite3.Error as error:
        _raise_translated(error, handle.file)
    try:
        yield
    except BaseException:
        _roll_back(handle)
        raise
    try:
        connection.execute("COMMIT")
    except sqlite3.Error as error:
        _roll_back(handle)
        _raise_translated(error, handle.file)


def _roll_back(handle: _Handle) -> None:
    """Undo the transaction. If that fails, the connection is given up; the caller reports the first failure."""
    try:
        handle.connection.rollback()
    except sqlite3.Error:
        handle.is_stuck = True


@contextmanager
def _locked(file: SqliteFile, lock_file: int) -> Iterator[None]:
    try:
        fcntl.flock(lock_file, fcntl.LOCK_EX)
    except OSError as error:
        file.failures += 1
        file.tell(error)
        raise DatabaseAway(str(error)) from error
    try:
        yield
    finally:
        try:
            fcntl.flock(lock_file, fcntl.LOCK_UN)
        except OSError:  # closing the file unlocks it too
            file.failures += 1


def _open_lock_file(file: SqliteFile) -> int:
    try:
        if file.is_read_only():
            return os.open(file.path.parent, os.O_RDONLY | os.O_CLOEXEC)  # there are no writers to wait for
        return os.open(file.lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        file.tell(error)
        raise DatabaseAway(str(error)) from error


def _connect(file: SqliteFile, lock_file: int, *, frozen: bool) -> sqlite3.Connection:
    try:
        # Never make the file here. A file that is missing now existed before, and an empty one cannot replace it.
        connection = sqlite3.connect(
            file.address(frozen=frozen),
            uri=True,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=256,
        )
    except sqlite3.Error as error:
        _raise_translated(error, file)
    try:
        _set_patience(connection, file)  # first, because the next statements may have to wait
        for pragma in _PRAGMAS:
            connection.execute(pragma).fetchall()
        if not frozen:
            _switch_to_wal(connection, file, lock_file)
    except sqlite3.Error as error:
        connection.close()
        _raise_translated(error, file)
    except BaseException:
        connection.close()
        raise
    return connection


def _set_patience(connection: sqlite3.Connection, file: SqliteFile) -> None:
    connection.execute(f"PRAGMA busy_timeout = {file.wait_max_s * 1000}").fetchall()


def _switch_to_wal(connection: sqlite3.Connection, file: SqliteFile, lock_file: int) -> None:
    """Switch the file to WAL mode unless it is in it, one process after the other.

    If two processes switch a new file at once, each can wait for the other. SQLite then fails one with "database is
    locked" without waiting. The mode stays in the file, so only the first processes take the lock. Source: sqlite.org,
    "sqlite3_busy_handler", on deadlocks.
    """
    if connection.execute("PRAGMA journal_mode").fetchone() == ("wal",):
        return
    with _locked(file, lock_file):
        connection.execute("PRAGMA journal_mode = WAL").fetchall()


def _raise_translated(error: sqlite3.Error, file: SqliteFile) -> NoReturn:
    """Raise an error that a caller can act on. An error that only a bug explains is raised unchanged."""
    # The low byte is the primary result code. Source: sqlite.org, "Result and Error Codes".
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code not in _DAMAGED | _AWAY:
        raise error
    if code not in _PASSING:
        file.failures += 1
    trouble = file.find_trouble() if code in _DAMAGED else ""
    if trouble:
        away = DatabaseAway(trouble)
        file.tell(away)
        raise away from error
    file.tell(error)
    if code in _DAMAGED:
        raise DatabaseFileDamaged(str(error)) from error
    raise DatabaseAway(str(error)) from error
