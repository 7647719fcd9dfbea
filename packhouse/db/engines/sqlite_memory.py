"""SQLite in the memory of this process, for tests that need no file and no second process.

One connection holds the data. Readers use it too while nobody writes. During a write, and for an old snapshot, they get
a copy of what was committed at their moment. SQLite's own ways do not work here. With a shared cache, a reader of a
table that is being written fails. In the `memdb` file system it waits (sqlite.org, "SQLite Shared-Cache Mode"; memdb.c,
`memdbLock`).
"""

import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from typing import Final

from packhouse.clock import Clock, system_clock
from packhouse.db.engines.schema import (
    SQLITE_WORDS,
    Migration,
    apply_migrations,
    is_up_to_date,
    load_migrations,
)
from packhouse.db.session import QUERIES, Database, DatabaseAway, Row, Session, SqlValue

_PRAGMAS: Final = (
    "PRAGMA page_size = 1024",  # an empty schema takes a page for each table and database index
    "PRAGMA journal_mode = MEMORY",
    "PRAGMA foreign_keys = ON",
)


class _Moment:
    """The committed state until the next commit. It has an `image` once a writer has begun in it."""

    __slots__ = ("_copy", "_guard", "image")

    def __init__(self) -> None:
        self.image: bytes | None = None
        self._copy: sqlite3.Connection | None = None
        self._guard = threading.Lock()

    @contextmanager
    def use_copy(self) -> Iterator[sqlite3.Connection]:
        """Give one thread at a time the connection that shows this moment."""
        assert self.image is not None, "nobody has written since, so the truth itself can be read"
        with self._guard:
            if self._copy is None:
                self._copy = _connect(self.image)
            yield self._copy


class _MemorySession(Session):
    """A session on the data, or on a copy of it.

    Without a `moment` each query sees the state at its own moment.
    """

    __slots__ = ("_database", "_is_writer", "_moment")

    def __init__(
        self, database: "SqliteMemory", *, moment: _Moment | None = None, is_writer: bool = False
    ) -> None:
        self._database = database
        self._moment = moment
        self._is_writer = is_writer

    @property
    def _connection(self) -> sqlite3.Connection:
        """The connection with which tests ask the engine, as on the other databases."""
        return self._database.truth

    def all(self, query: str, /, **params: SqlValue) -> list[Row]:
        """See Session."""
        with self._use() as connection:
            return connection.execute(QUERIES[query], params).fetchall()

    def one(self, query: str, /, **params: SqlValue) -> Row | None:
        """See Session."""
        rows = self.all(query, **params)
        return rows[0] if rows else None

    def run(self, query: str, /, **params: SqlValue) -> int:
        """See Session."""
        with self._use() as connection:
            return connection.execute(QUERIES[query], params).rowcount

    def run_many(self, query: str, rows: Sequence[Mapping[str, SqlValue]], /) -> int:
        """See Session."""
        with self._use() as connection:
            return connection.executemany(QUERIES[query], rows).rowcount

    def define(self, statement: str, /) -> None:
        """See Session."""
        with self._use() as connection:
            connection.execute(statement)

    @contextmanager
    def _use(self) -> Iterator[sqlite3.Connection]:
        if self._is_writer:
            yield self._database.truth
        else:
            with self._database.use(self._moment) as connection:
                yield connection


class SqliteMemory(Database):
    """A database that is gone with this object. Opening and migrating one takes a millisecond.

    Read sessions refuse to write. A forked child has its own copy.
    """

    def __init__(self) -> None:
        self.truth = _connect(None)
        self._guard = threading.Lock()
        self._write_lock = threading.Lock()
        self._writer: int | None = None
        self._moment = _Moment()
        self._sessions = 0
        self._closed = False

    @contextmanager
    def read(self) -> Iterator[Session]:
        """See Database."""
        with self._in_use():
            yield _MemorySession(self)

    @contextmanager
    def snapshot(self) -> Iterator[Session]:
        """See Database."""
        with self._in_use():
            yield _MemorySession(self, moment=self._moment)

    @contextmanager
    def write(self) -> Iterator[Session]:
        """See Database."""
        assert self._writer != threading.get_ident(), "a write inside a write waits for itself"
        with self._in_use(), self._write_lock:
            self._begin()
            try:
                yield _MemorySession(self, is_writer=True)
            except BaseException:
                self._end("ROLLBACK")
                raise
            self._end("COMMIT")

    @contextmanager
    def use(self, moment: _Moment | None) -> Iterator[sqlite3.Connection]:
        """Give a connection that shows a moment; without one, the present committed state."""
        with self._guard:
            shown = moment or self._moment
            if shown is self._moment and self._writer is None:
                yield self.truth
                return
        with shown.use_copy() as connection:
            yield connection

    def image(self) -> bytes:
        """Return the committed state, for restore()."""
        with self._write_lock, self._guard:
            return self.truth.serialize()

    def restore(self, image: bytes) -> None:
        """Restore the state at the time of `image`. All later commits are lost, as after a failover."""
        with self._write_lock, self._guard:
            self.truth.deserialize(image)
            self._moment = _Moment()

    @property
    def place(self) -> str:
        """See Database."""
        return ":memory:"

    def has_schema(self) -> bool:
        """See Database."""
        with self._in_use(), self.use(None) as connection:
            return bool(connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0])

    def migrate(self, clock: Clock = system_clock) -> None:
        """See Database. A first migration is a copy. Its rows have the time of the first one in this process."""
        if not self.has_schema():
            assert self._sessions == 0, "a session is open on a database without a schema"
            image = _get_template(tuple(load_migrations(SQLITE_WORDS)), clock)
            self.truth.close()
            self.truth = _connect(image)
            return
        with self.read() as session:
            if is_up_to_date(session, SQLITE_WORDS):
                return
        with self.write() as session:
            apply_migrations(session, SQLITE_WORDS, now=clock())

    def close(self) -> None:
        """See Database."""
        with self._guard:
            self._closed = True
            self._let_go()

    @contextmanager
    def _in_use(self) -> Iterator[None]:
        with self._guard:
            if self._closed:
                raise DatabaseAway("the database in memory was closed")
            self._sessions += 1
        try:
            yield
        finally:
            with self._guard:
                self._sessions -= 1
                self._let_go()

    def _let_go(self) -> None:
        if self._closed and self._sessions == 0:
            self.truth.close()

    def _begin(self) -> None:
        with self._guard:
            if self._moment.image is None:
                self._moment.image = self.truth.serialize()
            self.truth.execute("PRAGMA query_only = OFF")
            self.truth.execute("BEGIN IMMEDIATE")
            self._writer = threading.get_ident()

    def _end(self, how: str) -> None:
        with self._guard:
            try:
                self.truth.execute(how)
                if how == "COMMIT":
                    self._moment = _Moment()
            finally:
                if self.truth.in_transaction:
                    self.truth.execute("ROLLBACK")
                self.truth.execute("PRAGMA query_only = ON")
                self._writer = None


_templates: dict[tuple[Migration, ...], bytes] = {}
_templates_guard = threading.Lock()


def _get_template(migrations: tuple[Migration, ...], clock: Clock) -> bytes:
    """Return the image of an empty database with the schema. A process makes it once, since it takes 10 ms."""
    with _templates_guard:
        if migrations not in _templates:
            empty = SqliteMemory()
            with closing(empty):
                with empty.write() as session:
                    apply_migrations(session, SQLITE_WORDS, now=clock())
                _templates[migrations] = empty.truth.serialize()
        return _templates[migrations]


def _connect(image: bytes | None) -> sqlite3.Connection:
    connection = sqlite3.connect(
        ":memory:", isolation_level=None, check_same_thread=False, cached_statements=256
    )
    if image is not None:
        connection.deserialize(image)
    for pragma in _PRAGMAS:
        connection.execute(pragma).fetchall()
    if image is None:
        connection.execute("VACUUM")  # gives it the first page; without a page there is no image
    connection.execute("PRAGMA query_only = ON")
    return connection
