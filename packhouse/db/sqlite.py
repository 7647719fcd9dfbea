"""SQLite: one file in WAL mode, every commit on disk before it is acknowledged, one writer at a time.

Writers first take a blocking lock on a file beside the database. Waiting for SQLite's own lock means
polling, which starved a process for seconds where a lock waits milliseconds. Source for the settings:
sqlite.org, "PRAGMA Statements" and "Write-Ahead Logging".
"""

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
from packhouse.db.schema import SQLITE_WORDS, apply_migrations
from packhouse.db.session import QUERIES, Database, DatabaseAway, Row, Session, SqlValue, log_outage
from packhouse.errors import Corrupt, Invalid

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
    }
)
_PRAGMAS: Final = (
    f"PRAGMA busy_timeout = {limits.database_wait_max_s * 1000}",  # first: the next ones may have to wait
    "PRAGMA synchronous = FULL",
    "PRAGMA foreign_keys = ON",
    f"PRAGMA journal_size_limit = {64 * limits.MIB}",
    f"PRAGMA cache_size = -{2 * limits.KIB}",
)


class SqliteSession(Session):
    """A session on one SQLite connection."""

    __slots__ = ("_connection",)

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def all(self, query: str, /, **params: SqlValue) -> list[Row]:
        """See Session."""
        try:
            return self._connection.execute(QUERIES[query], params).fetchall()
        except sqlite3.Error as error:
            _raise_translated(error)

    def one(self, query: str, /, **params: SqlValue) -> Row | None:
        """See Session."""
        try:
            rows = self._connection.execute(QUERIES[query], params).fetchall()
        except sqlite3.Error as error:
            _raise_translated(error)
        return rows[0] if rows else None

    def run(self, query: str, /, **params: SqlValue) -> int:
        """See Session."""
        try:
            return self._connection.execute(QUERIES[query], params).rowcount
        except sqlite3.Error as error:
            _raise_translated(error)

    def run_many(self, query: str, rows: Sequence[Mapping[str, SqlValue]], /) -> int:
        """See Session."""
        try:
            return self._connection.executemany(QUERIES[query], rows).rowcount
        except sqlite3.Error as error:
            _raise_translated(error)

    def define(self, statement: str, /) -> None:
        """See Session."""
        try:
            self._connection.execute(statement)
        except sqlite3.Error as error:
            _raise_translated(error)


class _Handle:
    """A connection, its session and an open file to lock, all used by one thread at a time."""

    __slots__ = ("connection", "lock_file", "session")

    def __init__(self, path: Path) -> None:
        self.lock_file = _open_private(path.with_name(path.name + ".lock"))
        try:
            self.connection = _connect(path, self.lock_file)
        except BaseException:
            os.close(self.lock_file)
            raise
        self.session = SqliteSession(self.connection)

    def close(self) -> None:
        try:
            self.connection.close()
        finally:
            os.close(self.lock_file)


class SqliteDatabase(Database):
    """A database file. Connections are kept for reuse and taken by one session each."""

    def __init__(self, path: Path) -> None:
        if sqlite3.sqlite_version_info < _VERSION_MIN:
            raise Invalid("SQLite 3.37 or newer is needed", found=sqlite3.sqlite_version)
        self._path = path
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
            with _transaction(handle.connection, "BEGIN"):
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
            # Each handle opened the file itself, so this parts threads as well as processes.
            fcntl.flock(handle.lock_file, fcntl.LOCK_EX)
            try:
                with _transaction(handle.connection, "BEGIN IMMEDIATE"):
                    yield handle.session
            finally:
                fcntl.flock(handle.lock_file, fcntl.LOCK_UN)
        finally:
            self._here.writing = False
            self._give_back(handle)

    def migrate(self, clock: Clock = system_clock) -> None:
        """See Database."""
        with self.write() as session:
            apply_migrations(session, SQLITE_WORDS, now=clock())

    def close(self) -> None:
        """See Database."""
        self._closed = True
        while self._idle:
            self._idle.pop().close()

    def _take(self) -> _Handle:
        if self._closed:
            raise DatabaseAway()
        try:
            handle = self._idle.pop()
        except IndexError:
            handle = _Handle(self._path)
        self._busy.add(handle)
        return handle

    def _give_back(self, handle: _Handle) -> None:
        if handle not in self._busy:
            return  # a fork happened inside the block: the handle is the parent's
        self._busy.discard(handle)
        if self._closed or len(self._idle) >= limits.idle_connections_max:
            handle.close()
        else:
            self._idle.append(handle)

    def _forget_after_fork(self) -> None:
        """Leave the parent's connections alone: closing one here would drop the parent's file locks.

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
def _transaction(connection: sqlite3.Connection, begin: str) -> Iterator[None]:
    try:
        connection.execute(begin)
    except sqlite3.Error as error:
        _raise_translated(error)
    try:
        yield
    except BaseException:
        connection.rollback()
        raise
    try:
        connection.execute("COMMIT")
    except sqlite3.Error as error:
        connection.rollback()
        _raise_translated(error)


def _open_private(path: Path) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        log_outage(error)
        raise DatabaseAway(str(error)) from error


def _connect(path: Path, lock_file: int) -> sqlite3.Connection:
    # Made here so that the file, and the -wal and -shm files that copy its mode, are the owner's alone.
    if not path.exists():
        os.close(_open_private(path))
    try:
        connection = sqlite3.connect(
            path, isolation_level=None, check_same_thread=False, cached_statements=256
        )
    except sqlite3.Error as error:
        _raise_translated(error)
    try:
        for pragma in _PRAGMAS:
            connection.execute(pragma).fetchall()
        _switch_to_wal(connection, lock_file)
    except sqlite3.Error as error:
        connection.close()
        _raise_translated(error)
    return connection


def _switch_to_wal(connection: sqlite3.Connection, lock_file: int) -> None:
    """Make the file a WAL database unless it is one, one process after the other.

    Two that switch a new file at once can each wait for the other; SQLite then fails one with "database is
    locked" without waiting. The mode stays in the file, so only the first ones take the lock. Source:
    sqlite.org, "sqlite3_busy_handler", on deadlocks.
    """
    if connection.execute("PRAGMA journal_mode").fetchone() == ("wal",):
        return
    fcntl.flock(lock_file, fcntl.LOCK_EX)
    try:
        connection.execute("PRAGMA journal_mode = WAL").fetchall()
    finally:
        fcntl.flock(lock_file, fcntl.LOCK_UN)


def _raise_translated(error: sqlite3.Error) -> NoReturn:
    """Raise what a caller can act on; an error that only a bug explains comes out as it is."""
    # The low byte is the primary result code. Source: sqlite.org, "Result and Error Codes".
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code not in _DAMAGED | _AWAY:
        raise error
    log_outage(error)
    if code in _DAMAGED:
        raise Corrupt("database file is damaged", reason=str(error)) from error
    raise DatabaseAway(str(error)) from error
