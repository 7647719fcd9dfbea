"""Sessions and databases: what queries run on, with either engine below.

Python code contains no statements. They have names and are in `db/queries/*.sql`.
"""

import logging
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Final, TypeVar

from packhouse import limits
from packhouse.clock import Clock, system_clock
from packhouse.errors import Code, Unavailable
from packhouse.log import log_event

SqlValue = str | int | bytes | None
Row = tuple[Any, ...]
T = TypeVar("T")


class TransactionLost(Unavailable):
    """The engine rolled this transaction back (deadlock, serialization failure). Nothing of it holds."""

    code = Code.TRANSACTION_LOST


class DatabaseAway(Unavailable):
    """The database does not answer, is full or refuses us. A commit that was under way may have happened.

    `reason` is the driver's text. It is for operators, since it may name hosts and files.
    """

    code = Code.DATABASE_AWAY
    reason: str = ""


def log_outage(error: Exception) -> None:
    """Log the driver's message for the operator. Callers learn only that the database is not available.

    Messages of drivers name hosts and files, never passwords.
    """
    log_event("database failed", level=logging.ERROR, error=type(error).__name__, reason=str(error).strip())


class Session(ABC):
    """Runs named queries on one connection. One thread uses it, and only inside its `with` block.

    Every method raises Unavailable if the database is away, and Corrupt if it reports damaged files.
    """

    __slots__ = ()

    @abstractmethod
    def all(self, query: str, /, **params: SqlValue) -> list[Row]:
        """Run a query and return its rows in the query's order. The query bounds their number."""

    @abstractmethod
    def one(self, query: str, /, **params: SqlValue) -> Row | None:
        """Run a query that returns at most one row. Return None if there is none."""

    @abstractmethod
    def run(self, query: str, /, **params: SqlValue) -> int:
        """Run a statement. Return the number of changed rows."""

    @abstractmethod
    def run_many(self, query: str, rows: Sequence[Mapping[str, SqlValue]], /) -> int:
        """Run a statement once for each of `rows`. Return the number of rows that all of them changed."""

    @abstractmethod
    def define(self, statement: str, /) -> None:
        """Run a statement without a name: a step of a migration."""


class Database(ABC):
    """One SQL database. The threads of a process share it, and a fork may inherit it.

    `read`, `snapshot` and `write` give sessions. Their blocks must be short, without Git or network work. Do not open a
    `write` inside another one: it would wait for itself. Threads may share a transaction, so a `write` block takes no
    lock that another thread may hold while it writes. A `read` inside it does not see what the block builds on.
    """

    @abstractmethod
    def read(self) -> AbstractContextManager[Session]:
        """Give a session in which each query sees the state at its own moment."""

    @abstractmethod
    def snapshot(self) -> AbstractContextManager[Session]:
        """Give a read-only session in which all queries see the state of one moment."""

    @abstractmethod
    def write(self) -> AbstractContextManager[Session]:
        """Give a session in a writing transaction: durable at the end of the block, undone when the block raises.

        The end of the block may wait for other threads, and raise Unavailable instead of the block's own error.
        Raises TransactionLost (PostgreSQL only) if the engine rolls it back for another one. `transact` tries again.
        """

    @property
    @abstractmethod
    def place(self) -> str:
        """Where the database is, for operators; without credentials."""

    @abstractmethod
    def has_schema(self) -> bool:
        """Tell whether there is a database with our tables. Makes and changes nothing."""

    def find_orphaned_log(self) -> Path | None:
        """Return the write-ahead log beside a missing or empty file (SQLite only)."""
        return None

    def set_log_aside(self, *, now: int) -> Path | None:  # noqa: ARG002  # for the engine that has one
        """Rename such a log, so that a new database can be made beside it. Return the new path."""
        return None

    @abstractmethod
    def migrate(self, clock: Clock = system_clock) -> None:
        """Make the schema, or bring it up to this release. Any number of processes may do so at once.

        Raises DatabaseTooNew if a release later than the next one has changed the database.
        """

    def vacuum_some(self) -> bool:
        """Give some unused pages of the file back to the file system, if it has many (SQLite only).

        Returns whether there may be more to give back. Takes some milliseconds, so that writers go on in between.
        """
        return False

    @abstractmethod
    def close(self) -> None:
        """Close every idle connection. A connection in use is closed when its session ends."""

    def transact(self, work: Callable[[Session], T]) -> T:
        """Run `work` in a writing transaction. Return its result once the transaction is durable.

        `work` runs again when the engine rolls the transaction back, so SQL must be its only effect. Raises
        Unavailable after `limits.transaction_attempts_max` attempts.
        """
        for _ in range(limits.transaction_attempts_max - 1):
            try:
                with self.write() as session:
                    return work(session)
            except TransactionLost:
                continue
        with self.write() as session:
            return work(session)

    def check(self) -> None:
        """Return if the database answers; raise Unavailable otherwise."""
        with self.read() as session:
            session.one("ping")


_QUERIES_DIR: Final = Path(__file__).parent / "queries"
_NAME_LINE: Final = re.compile(r"^-- name: (\w+)$", re.MULTILINE)
_COMMENT_LINE: Final = re.compile(r"^--.*\n?", re.MULTILINE)


def load_queries() -> dict[str, str]:
    """Return every statement of `db/queries/*.sql` by its name, without comments and the last semicolon."""
    queries: dict[str, str] = {}
    for path in sorted(_QUERIES_DIR.glob("*.sql")):
        parts = _NAME_LINE.split(path.read_text("utf-8"))
        for name, text in zip(parts[1::2], parts[2::2], strict=True):
            assert name not in queries, f"two queries are named {name}"
            queries[name] = _COMMENT_LINE.sub("", text).strip().removesuffix(";")
    return queries


QUERIES: Final = load_queries()
"""The statements by name, with `:param` places as SQLite takes them."""
