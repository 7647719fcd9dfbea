"""PostgreSQL 14 or newer through psycopg and its pool; transactions are READ COMMITTED.

Source for error codes and isolation: PostgreSQL manual, appendix A and chapter 13.
"""

import logging
import os
import re
import threading
import weakref
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final, NoReturn

import psycopg
from psycopg import errors as pg_errors
from psycopg.conninfo import conninfo_to_dict
from psycopg.types.numeric import Int8Dumper
from psycopg_pool import ConnectionPool, PoolTimeout

from packhouse import limits
from packhouse.clock import Clock, system_clock
from packhouse.db.engines.outage import Outage
from packhouse.db.engines.schema import POSTGRESQL_WORDS, apply_migrations
from packhouse.db.session import (
    QUERIES,
    Database,
    DatabaseAway,
    Row,
    Session,
    SqlValue,
    TransactionLost,
    log_outage,
)
from packhouse.errors import Code, Corrupt, Invalid

_VERSION_MIN: Final = 140_000
_NAMES_INDEX: Final = "repos_by_name"
_MIGRATION_LOCK: Final = 0x7061636B  # "pack": a number that other users of the database do not take
_PARAM: Final = re.compile(r"(?<!:):([a-z]\w*)")
_TIME_LIMITS_S: Final = {
    "statement_timeout": limits.statement_max_s,
    "lock_timeout": limits.statement_lock_max_s,
    "idle_in_transaction_session_timeout": limits.statement_max_s,
}
# These notice a server that vanished without a word. Source: PostgreSQL manual, 34.1.2 (libpq, parameters).
_CONNECTION_DEFAULTS: Final = {
    "application_name": "packhouse",
    "keepalives_idle": "30",
    "keepalives_interval": "10",
    "keepalives_count": "3",
}
_HAS_OUR_TABLES: Final = (
    b"SELECT to_regclass('schema_migrations') IS NOT NULL AND to_regclass('ref_log') IS NOT NULL"
)
_Connection = psycopg.Connection[tuple[Any, ...]]

# The pool logs each attempt to connect. We log an outage once.
logging.getLogger("psycopg.pool").setLevel(logging.ERROR)


class DatabaseUrlMalformed(Invalid):
    """The driver cannot read the address. The address is not shown, because it may hold a password."""

    code = Code.DATABASE_URL_MALFORMED


class PostgresqlTooOld(Invalid):
    """The PostgreSQL server is too old. `found` is the number of its version."""

    code = Code.POSTGRESQL_TOO_OLD
    found: str | int


class PostgresqlNotUtf8(Invalid):
    """The database has another encoding than UTF8. `found` is its encoding."""

    code = Code.POSTGRESQL_NOT_UTF8
    found: str


class DatabaseDamaged(Corrupt):
    """PostgreSQL found its files damaged. `reason` is its message."""

    code = Code.DATABASE_DAMAGED
    reason: str


def _translate_query(query: str) -> bytes:
    return _PARAM.sub(r"%(\1)s", query.replace("%", "%%")).encode("utf-8")


_QUERIES: Final = {name: _translate_query(text) for name, text in QUERIES.items()}


class PostgresqlSession(Session):
    """A session on one connection of the pool."""

    __slots__ = ("_connection",)

    def __init__(self, connection: _Connection) -> None:
        self._connection = connection

    def all(self, query: str, /, **params: SqlValue) -> list[Row]:
        """See Session."""
        try:
            return self._connection.execute(_QUERIES[query], params, prepare=True).fetchall()
        except psycopg.Error as error:
            _raise_translated(error)

    def one(self, query: str, /, **params: SqlValue) -> Row | None:
        """See Session."""
        try:
            return self._connection.execute(_QUERIES[query], params, prepare=True).fetchone()
        except psycopg.Error as error:
            _raise_translated(error)

    def run(self, query: str, /, **params: SqlValue) -> int:
        """See Session."""
        try:
            return self._connection.execute(_QUERIES[query], params, prepare=True).rowcount
        except psycopg.Error as error:
            _raise_translated(error)

    def run_many(self, query: str, rows: Sequence[Mapping[str, SqlValue]], /) -> int:
        """See Session."""
        if len(rows) == 1:
            return self.run(query, **rows[0])
        try:
            with self._connection.cursor() as cursor:
                cursor.executemany(_QUERIES[query], rows)
                return cursor.rowcount
        except psycopg.Error as error:
            _raise_translated(error)

    def define(self, statement: str, /) -> None:
        """See Session."""
        try:
            self._connection.execute(statement.encode("utf-8"), prepare=False)
        except psycopg.Error as error:
            _raise_translated(error)


class PostgresqlDatabase(Database):
    """A database on a server. It has at most `connections_max` connections; further sessions wait for one."""

    def __init__(self, url: str, *, connections_max: int, wait_max_s: int) -> None:
        try:
            given = conninfo_to_dict(url)
        except psycopg.ProgrammingError:
            raise DatabaseUrlMalformed() from None  # the driver's message repeats the address
        self._connect_options: dict[str, Any] = {
            name: value
            for name, value in (
                *_CONNECTION_DEFAULTS.items(),
                ("connect_timeout", str(wait_max_s)),
                ("tcp_user_timeout", str(wait_max_s * 1000)),
            )
            if name not in given
        }
        self._wait_max_s = wait_max_s
        self._url = url
        self._place = (
            f"postgresql://{given.get('host', '')}:{given.get('port', 5432)}/{given.get('dbname', '')}"
        )
        self._connections_max = connections_max
        self._opening = threading.Lock()
        self._pool: ConnectionPool[_Connection] | None = None
        self._closed = False
        self._outage = Outage(wait_max_s=self._wait_max_s)
        _databases.add(self)

    @contextmanager
    def read(self) -> Iterator[Session]:
        """See Database."""
        with self._connection() as connection:
            yield PostgresqlSession(connection)

    @contextmanager
    def snapshot(self) -> Iterator[Session]:
        """See Database."""
        with (
            self._connection() as connection,
            _transaction(connection, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"),
        ):
            yield PostgresqlSession(connection)

    @contextmanager
    def write(self) -> Iterator[Session]:
        """See Database."""
        with (
            self._connection() as connection,
            _transaction(connection, "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE"),
        ):
            yield PostgresqlSession(connection)

    @property
    def place(self) -> str:
        """See Database."""
        return self._place

    def has_schema(self) -> bool:
        """See Database."""
        with self._connection() as connection:
            try:
                return connection.execute(_HAS_OUR_TABLES).fetchone() == (True,)
            except psycopg.Error as error:
                _raise_translated(error)

    def migrate(self, clock: Clock = system_clock) -> None:
        """See Database."""
        with self.write() as session:
            _check_server(session)
            session.define("SET LOCAL statement_timeout = 0")
            session.define("SET LOCAL lock_timeout = 0")
            session.define(f"SELECT pg_advisory_xact_lock({_MIGRATION_LOCK})")
            apply_migrations(session, POSTGRESQL_WORDS, now=clock())

    def close(self) -> None:
        """See Database."""
        self._closed = True
        with self._opening:
            pool, self._pool = self._pool, None
        if pool is not None:
            pool.close()

    @contextmanager
    def _connection(self) -> Iterator[_Connection]:
        pool = self._pool or self._open_pool()
        connection = self._take_connection(pool)
        try:
            yield connection
        finally:
            broken = connection.broken
            pool.putconn(connection)
            if broken:
                self._outage.suspect()
                # The same event has most likely cut the others. Replace them before a caller meets one. Do not ask
                # each of them: that could wait for a network that answers nothing.
                pool.drain()

    def _take_connection(self, pool: "ConnectionPool[_Connection]") -> _Connection:
        try:
            connection = pool.getconn(timeout=self._outage.patience_s())
        except PoolTimeout:
            self._outage.waited(self._find_reason)
        except psycopg.Error as error:  # the pool was closed
            raise DatabaseAway(str(error)) from error
        self._outage.end()
        return connection

    def _find_reason(self) -> str:
        """Return why the server takes no connection; "" if it takes one. The pool does not tell it."""
        options = {**self._connect_options, "connect_timeout": str(limits.database_ask_max_s)}
        try:
            psycopg.connect(self._url, **options).close()
        except psycopg.Error as error:
            return str(error).strip() or type(error).__name__
        return ""

    def _open_pool(self) -> "ConnectionPool[_Connection]":
        with self._opening:
            if self._closed:
                raise DatabaseAway()
            if self._pool is None:
                self._pool = ConnectionPool(
                    self._url,
                    connection_class=psycopg.Connection,
                    kwargs={"autocommit": True, **self._connect_options},
                    configure=_configure,
                    min_size=1,
                    max_size=self._connections_max,
                    timeout=self._wait_max_s,
                    # The pool doubles its pauses between attempts. Give up soon: then the next caller has short ones.
                    reconnect_timeout=limits.database_reconnect_max_s,
                    open=True,
                )
            return self._pool

    def _forget_after_fork(self) -> None:
        """Do not touch the parent's connections. Open new ones when they are needed."""
        self._opening = threading.Lock()
        self._outage = Outage(wait_max_s=self._wait_max_s)
        if self._pool is not None:
            _inherited.append(self._pool)
            self._pool = None


_databases: "weakref.WeakSet[PostgresqlDatabase]" = weakref.WeakSet()
_inherited: "list[ConnectionPool[_Connection]]" = []


def _forget_all_after_fork() -> None:
    for database in list(_databases):
        database._forget_after_fork()


os.register_at_fork(after_in_child=_forget_all_after_fork)


def _configure(connection: _Connection) -> None:
    """Make commits durable whatever the server's default is, and bound how long a stopped process can hold a row."""
    # Use one integer type for all values. Otherwise each query would be prepared again for each size of number.
    connection.adapters.register_dumper(int, Int8Dumper)
    connection.prepared_max = len(_QUERIES) + 100
    connection.execute(
        "SELECT set_config('synchronous_commit', 'on', false)"
        " WHERE current_setting('synchronous_commit') = 'off'"
    )
    for setting, value_s in _TIME_LIMITS_S.items():
        connection.execute("SELECT set_config(%s, %s, false)", [setting, f"{value_s}s"])


def _check_server(session: Session) -> None:
    row = session.one("get_server_facts")
    assert row is not None, "a query without FROM returns one row"
    version, encoding = row
    if int(version) < _VERSION_MIN:
        raise PostgresqlTooOld(version)
    if encoding != "UTF8":
        raise PostgresqlNotUtf8(encoding)


@contextmanager
def _transaction(connection: _Connection, begin: str) -> Iterator[None]:
    try:
        connection.execute(begin.encode("ascii"), prepare=False)
    except pg_errors.FeatureNotSupported as error:  # writing to a standby that is not promoted yet
        log_outage(error)
        raise DatabaseAway(str(error)) from error
    except psycopg.Error as error:
        _raise_translated(error)
    try:
        yield
    except BaseException:
        _roll_back(connection)
        raise
    try:
        connection.execute("COMMIT", prepare=False)
    except psycopg.Error as error:
        _roll_back(connection)
        _raise_translated(error)


def _roll_back(connection: _Connection) -> None:
    if connection.broken or connection.closed:
        return  # the server rolls back by itself when a connection goes
    try:
        connection.execute("ROLLBACK", prepare=False)
    except psycopg.Error:
        # Report the failure that brought us here. The pool drops a closed connection.
        connection.close()


def _raise_translated(error: psycopg.Error) -> NoReturn:
    """Raise an error that a caller can act on. An error that only a bug explains is raised unchanged."""
    if isinstance(error, pg_errors.DeadlockDetected | pg_errors.SerializationFailure):
        raise TransactionLost() from error
    if isinstance(error, pg_errors.UniqueViolation) and error.diag.constraint_name == _NAMES_INDEX:
        # An UPDATE has no ON CONFLICT. The loser of a race for a name looks again, and then finds the winner.
        raise TransactionLost() from error
    if isinstance(error, pg_errors.DataCorrupted | pg_errors.IndexCorrupted):
        log_outage(error)
        raise DatabaseDamaged(str(error)) from error
    if isinstance(error, psycopg.OperationalError):
        log_outage(error)
        raise DatabaseAway(str(error)) from error
    raise error
