"""What the queries run on: sessions and databases, whichever engine is below.

Statements are not written in Python: they have names and live in `db/queries/*.sql`.
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
from packhouse.error_codes import Code
from packhouse.errors import Unavailable
from packhouse.log import log_event

SqlValue = str | int | bytes | None
Row = tuple[Any, ...]
T = TypeVar("T")


class TransactionLost(Unavailable):
    """The engine made this transaction give way (deadlock, serialization failure). Nothing of it holds."""

    code = Code.TRANSACTION_LOST


class DatabaseAway(Unavailable):
    """The database does not answer, is full or shut us out. A commit that was under way may have happened.

    `reason` is what its driver says; it is for operators, since it may name hosts and files.
    """

    code = Code.DATABASE_AWAY
    reason: str = ""


def log_outage(error: Exception) -> None:
    """Tell the operator what the database's driver says; callers only hear that it is not available.

    Drivers name hosts and files in their messages, never passwords.
    """
    log_event("database failed", level=logging.ERROR, error=type(error).__name__, reason=str(error).strip())


class Session(ABC):
    """Runs named queries on one connection; used by one thread, never after its `with` block.

    Every method raises Unavailable when the database is away and Corrupt when it says its files are damaged.
    """

    __slots__ = ()

    @abstractmethod
    def all(self, query: str, /, **params: SqlValue) -> list[Row]:
        """Run a query and return its rows, in the query's order. The query bounds their number."""

    @abstractmethod
    def one(self, query: str, /, **params: SqlValue) -> Row | None:
        """Run a query that returns at most one row; None when there is none."""

    @abstractmethod
    def run(self, query: str, /, **params: SqlValue) -> int:
        """Run a statement and return how many rows it changed."""

    @abstractmethod
    def run_many(self, query: str, rows: Sequence[Mapping[str, SqlValue]], /) -> int:
        """Run a statement once for each of `rows` and return how many rows all of them changed."""

    @abstractmethod
    def define(self, statement: str, /) -> None:
        """Run a statement that has no name: a step of a migration."""


class Database(ABC):
    """One SQL database, shared by the threads of a process and safe to inherit through a fork.

    `read`, `snapshot` and `write` hand out sessions; blocks must be short and hold no Git or network work.
    Do not open a `write` inside another one: it would wait for itself.
    """

    @abstractmethod
    def read(self) -> AbstractContextManager[Session]:
        """Give a session in which each query sees the state of its own moment."""

    @abstractmethod
    def snapshot(self) -> AbstractContextManager[Session]:
        """Give a read-only session in which all queries see the state of one moment."""

    @abstractmethod
    def write(self) -> AbstractContextManager[Session]:
        """Give a session in a writing transaction: durable when the block ends, undone when it raises.

        Raises TransactionLost (PostgreSQL only) when it had to give way to others; `transact` tries again.
        """

    @property
    @abstractmethod
    def place(self) -> str:
        """Where the database is, for operators; without credentials."""

    @abstractmethod
    def has_schema(self) -> bool:
        """Tell whether there is a database with tables of ours. Makes and changes nothing."""

    def find_orphaned_log(self) -> Path | None:
        """Return the write-ahead log that lies beside a missing or empty file (SQLite only)."""
        return None

    def set_log_aside(self, *, now: int) -> Path | None:  # noqa: ARG002  # for the engine that has one
        """Give such a log another name, which is returned, so that a new database can be made beside it."""
        return None

    @abstractmethod
    def migrate(self, clock: Clock = system_clock) -> None:
        """Bring the schema up to this release, or make it. Any number of processes may do so at once.

        Raises DatabaseTooNew when a release later than the next one has changed the database.
        """

    @abstractmethod
    def close(self) -> None:
        """Close every idle connection, and each one still in use when its session ends."""

    def transact(self, work: Callable[[Session], T]) -> T:
        """Run `work` in a writing transaction and return its answer once that is durable.

        `work` is run again when the transaction had to give way, so it must have no effect but SQL. Raises
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
"""The statements by name, with `:param` places, as SQLite takes them."""
