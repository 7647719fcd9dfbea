"""SQLite: one file in WAL mode, every commit on disk before it is acknowledged, one writer at a time.

Threads of one process share transactions (sqlite_group.py). A transaction first takes a blocking lock on a file beside
the database. SQLite itself waits for its lock by polling. That starved a process for seconds where a blocking lock
takes milliseconds.
"""

import contextlib
import os
import sqlite3
import weakref
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Final

from packhouse.clock import Clock, system_clock
from packhouse.db.engines.schema import SQLITE_WORDS, apply_migrations, check_release, is_up_to_date
from packhouse.db.engines.sqlite_connection import (
    Handle,
    SqliteSession,
    SqliteTransaction,
    locked,
    open_lock_file,
    raise_translated,
    set_patience,
    snapshot_of,
)
from packhouse.db.engines.sqlite_file import SqliteFile
from packhouse.db.engines.sqlite_group import GroupCommit
from packhouse.db.engines.sqlite_log import WriteAheadLog
from packhouse.db.session import Database, DatabaseAway, Session
from packhouse.errors import Code, Invalid
from packhouse.limits import DEFAULT_LIMITS, Limits, idle_connections_max, vacuum_free_share

_VERSION_MIN: Final = (3, 37)  # STRICT tables; RETURNING came with 3.35
_INCREMENTAL: Final = 2  # sqlite.org, "PRAGMA auto_vacuum"

_COUNT_OUR_TABLES: Final = (
    "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name IN ('schema_migrations', 'ref_log')"
)


class SqliteTooOld(Invalid):
    """The SQLite library is too old. `found` is its version."""

    code = Code.SQLITE_TOO_OLD
    found: str


class SqliteDatabase(Database):
    """A database file. Connections are kept for reuse. One session takes one connection."""

    def __init__(self, path: Path, *, limits: Limits = DEFAULT_LIMITS) -> None:
        if sqlite3.sqlite_version_info < _VERSION_MIN:
            raise SqliteTooOld(sqlite3.sqlite_version)
        self._file = SqliteFile(path, wait_max_s=limits.database_wait_max_s)
        self._idle: list[Handle] = []
        self._busy: set[Handle] = set()
        self._closed = False
        self._limits = limits
        self._log = WriteAheadLog(limits)
        self._commits = self._make_commits()
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
            with snapshot_of(handle):
                yield handle.session
        finally:
            self._give_back(handle)

    def write(self) -> AbstractContextManager[Session]:
        """See Database."""
        return self._commits.write()

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
                set_patience(connection, self._file)
                return bool(connection.execute(_COUNT_OUR_TABLES).fetchone() == (2,))
        except sqlite3.Error as error:
            raise_translated(error, self._file)
        finally:
            self._file.leave()

    def find_orphaned_log(self) -> Path | None:
        """See Database."""
        return self._file.log_path if self._file.has_orphaned_log() else None

    def set_log_aside(self, *, now: int) -> Path | None:
        """See Database."""
        lock_file = open_lock_file(self._file)
        try:
            # The process that makes the file holds the lock until the file has content.
            with locked(self._file, lock_file):
                return self._file.set_log_aside(now=now) if self._file.has_orphaned_log() else None
        finally:
            os.close(lock_file)

    def migrate(self, clock: Clock = system_clock) -> None:
        """See Database."""
        if self._file.make():
            handle = Handle(self._file)  # gives the file its first page
            self._busy.add(handle)
            self._give_back(handle)
        if self.has_schema():
            with self.read() as session:  # the disk may be full or read-only, and the schema complete
                check_release(session)
                if is_up_to_date(session, SQLITE_WORDS):
                    return
        with self.write() as session:
            apply_migrations(session, SQLITE_WORDS, now=clock())

    def vacuum_some(self) -> bool:
        """See Database. Does nothing in a file that was made without `auto_vacuum`."""
        handle = self._take()
        try:
            is_due = self._has_many_free(handle.session)
        finally:
            self._give_back(handle)
        if is_due:
            with self.write() as session:
                for _ in range(self._limits.vacuum_pages):
                    # Python ends this statement after one page, whatever number it names.
                    session.define("PRAGMA incremental_vacuum(1)")
        return is_due

    def _has_many_free(self, session: SqliteSession) -> bool:
        free = session.ask("freelist_count")
        is_much = free >= self._limits.vacuum_free_pages_min and free * vacuum_free_share > session.ask(
            "page_count"
        )
        return is_much and session.ask("auto_vacuum") == _INCREMENTAL

    def close(self) -> None:
        """See Database."""
        self._closed = True
        self._close_idle()

    def _make_commits(self) -> GroupCommit:
        return GroupCommit(
            self._begin,
            blocks_max=self._limits.group_commit_blocks_max,
            age_max_s=self._limits.group_commit_age_max_s,
        )

    def _begin(self) -> SqliteTransaction:
        handle = self._take()
        try:
            return SqliteTransaction(handle, self._log, self._give_back)
        except BaseException:
            self._give_back(handle)
            raise

    def _take(self) -> Handle:
        if self._closed:
            raise DatabaseAway()
        # A file that was deleted or replaced must not get another commit: the commit would be lost with it.
        identity = self._file.identify()
        while True:
            try:
                handle = self._idle.pop()
            except IndexError:
                handle = Handle(self._file)
                break
            if handle.is_of(identity):
                break
            handle.close()
        self._busy.add(handle)
        return handle

    def _give_back(self, handle: Handle) -> None:
        if handle not in self._busy:
            return  # a fork happened inside the block: the handle belongs to the parent
        self._busy.discard(handle)
        if self._closed or not handle.is_of(handle.opened_as):
            # All connections that were open when the device went away keep it busy. It can come back without them.
            handle.close()
            self._close_idle()
        elif len(self._idle) >= idle_connections_max:
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
        self._commits = self._make_commits()
        for handle in inherited:
            os.close(handle.lock_file)


_databases: "weakref.WeakSet[SqliteDatabase]" = weakref.WeakSet()
_inherited: list[sqlite3.Connection] = []


def _forget_all_after_fork() -> None:
    for database in list(_databases):
        database._forget_after_fork()


os.register_at_fork(after_in_child=_forget_all_after_fork)
