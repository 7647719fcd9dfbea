"""Connections to a database file: how they are opened and locked, and what their failures mean.

Source for the settings: sqlite.org, "PRAGMA Statements" and "Write-Ahead Logging".
"""

import contextlib
import fcntl
import os
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final, NoReturn

from packhouse import limits
from packhouse.db.engines.sqlite_file import Identity, SqliteFile
from packhouse.db.engines.sqlite_group import SharedTransaction
from packhouse.db.engines.sqlite_log import WriteAheadLog
from packhouse.db.session import QUERIES, DatabaseAway, Row, Session, SqlValue
from packhouse.errors import Code, Corrupt

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
    f"PRAGMA journal_size_limit = {limits.database_log_kept_bytes}",
    f"PRAGMA cache_size = -{2 * limits.KIB}",
)


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
            raise_translated(error, self._file)

    def one(self, query: str, /, **params: SqlValue) -> Row | None:
        """See Session."""
        try:
            rows = self._connection.execute(QUERIES[query], params).fetchall()
        except sqlite3.Error as error:
            raise_translated(error, self._file)
        return rows[0] if rows else None

    def run(self, query: str, /, **params: SqlValue) -> int:
        """See Session."""
        try:
            return self._connection.execute(QUERIES[query], params).rowcount
        except sqlite3.Error as error:
            raise_translated(error, self._file)

    def run_many(self, query: str, rows: Sequence[Mapping[str, SqlValue]], /) -> int:
        """See Session."""
        try:
            return self._connection.executemany(QUERIES[query], rows).rowcount
        except sqlite3.Error as error:
            raise_translated(error, self._file)

    def ask(self, pragma: str, /) -> int:
        """Return the number that a PRAGMA gives."""
        try:
            return int(self._connection.execute(f"PRAGMA {pragma}").fetchone()[0])
        except sqlite3.Error as error:
            raise_translated(error, self._file)

    def define(self, statement: str, /) -> None:
        """See Session."""
        try:
            self._connection.execute(statement)
        except sqlite3.Error as error:
            raise_translated(error, self._file)


class Handle:
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
        "log_path",
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
            self.lock_file = open_lock_file(file)
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
        self.log_path = str(file.log_path)
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


@contextmanager
def snapshot_of(handle: Handle) -> Iterator[None]:
    """Let all queries of the block see the state of one moment."""
    connection = handle.connection
    try:
        connection.execute("BEGIN")
    except sqlite3.Error as error:
        raise_translated(error, handle.file)
    try:
        yield
    except BaseException:
        _roll_back(handle)
        raise
    try:
        connection.execute("COMMIT")
    except sqlite3.Error as error:
        _roll_back(handle)
        raise_translated(error, handle.file)


def _roll_back(handle: Handle) -> None:
    """Undo the transaction. If that fails, the connection is given up; the caller reports the first failure."""
    try:
        handle.connection.rollback()
    except sqlite3.Error:
        handle.is_stuck = True


class SqliteTransaction(SharedTransaction):
    """A writing transaction, and the writers' lock for as long. `give_back` gets the handle at the end.

    Each handle has opened the lock file itself, so the lock excludes all other handles, in this process too.
    """

    __slots__ = ("_give_back", "_handle")

    def __init__(self, handle: Handle, log: WriteAheadLog, give_back: Callable[[Handle], None]) -> None:
        self.session = handle.session
        self._handle = handle
        self._give_back = give_back
        _lock(handle.file, handle.lock_file)
        try:
            self._make_room(log)
            self._run("BEGIN IMMEDIATE")
        except BaseException:
            _unlock(handle.file, handle.lock_file)
            raise

    def is_sound(self) -> bool:
        """See SharedTransaction."""
        # A failed statement may have rolled everything back: sqlite.org, "Response To Errors Within A Transaction".
        handle = self._handle
        return handle.connection.in_transaction and handle.is_of(handle.file.identify())

    def mark(self) -> None:
        """See SharedTransaction."""
        self._run("SAVEPOINT block")

    def keep(self) -> None:
        """See SharedTransaction."""
        self._run("RELEASE block")

    def undo(self) -> None:
        """See SharedTransaction."""
        self._run("ROLLBACK TO block")
        self._run("RELEASE block")

    def commit(self) -> None:
        """See SharedTransaction."""
        self._run("COMMIT")

    def roll_back(self) -> None:
        """See SharedTransaction."""
        _roll_back(self._handle)

    def close(self) -> None:
        """See SharedTransaction."""
        _unlock(self._handle.file, self._handle.lock_file)
        self._give_back(self._handle)

    def _make_room(self, log: WriteAheadLog) -> None:
        handle = self._handle
        try:
            log.make_room(handle.connection, handle.log_path, patience_s=handle.file.wait_max_s)
        except sqlite3.Error as error:
            raise_translated(error, handle.file)

    def _run(self, statement: str) -> None:
        try:
            self._handle.connection.execute(statement)
        except sqlite3.Error as error:
            raise_translated(error, self._handle.file)


@contextmanager
def locked(file: SqliteFile, lock_file: int) -> Iterator[None]:
    """Hold the writers' lock in the block. Waits for its other holders, threads and processes."""
    _lock(file, lock_file)
    try:
        yield
    finally:
        _unlock(file, lock_file)


def _lock(file: SqliteFile, lock_file: int) -> None:
    try:
        fcntl.flock(lock_file, fcntl.LOCK_EX)
    except OSError as error:
        file.failures += 1
        file.tell(error)
        raise DatabaseAway(str(error)) from error


def _unlock(file: SqliteFile, lock_file: int) -> None:
    try:
        fcntl.flock(lock_file, fcntl.LOCK_UN)
    except OSError:  # closing the file unlocks it too
        file.failures += 1


def open_lock_file(file: SqliteFile) -> int:
    """Open the file that writers lock, and make it if it is missing. Raises DatabaseAway."""
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
        raise_translated(error, file)
    try:
        set_patience(connection, file)  # first, because the next statements may have to wait
        for pragma in _PRAGMAS:
            connection.execute(pragma).fetchall()
        if not file.is_made():
            connection.execute(
                "PRAGMA auto_vacuum = INCREMENTAL"
            ).fetchall()  # has an effect before the first page
        if not frozen:
            _switch_to_wal(connection, file, lock_file)
    except sqlite3.Error as error:
        connection.close()
        raise_translated(error, file)
    except BaseException:
        connection.close()
        raise
    return connection


def set_patience(connection: sqlite3.Connection, file: SqliteFile) -> None:
    """Let statements of the connection wait for locks that other programs hold."""
    connection.execute(f"PRAGMA busy_timeout = {file.wait_max_s * 1000}").fetchall()


def _switch_to_wal(connection: sqlite3.Connection, file: SqliteFile, lock_file: int) -> None:
    """Switch the file to WAL mode unless it is in it, one process after the other.

    If two processes switch a new file at once, each can wait for the other. SQLite then fails one with "database is
    locked" without waiting. The mode stays in the file, so only the first processes take the lock. Source: sqlite.org,
    "sqlite3_busy_handler", on deadlocks.
    """
    if connection.execute("PRAGMA journal_mode").fetchone() == ("wal",):
        return
    with locked(file, lock_file):
        connection.execute("PRAGMA journal_mode = WAL").fetchall()


def raise_translated(error: sqlite3.Error, file: SqliteFile) -> NoReturn:
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
