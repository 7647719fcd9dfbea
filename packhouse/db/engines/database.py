"""`open_database(url)`: the one way to a database."""

import importlib
from pathlib import Path
from typing import Final

from packhouse.db.engines.sqlite import SqliteDatabase
from packhouse.db.session import (
    Database,
    DatabaseAway,
    Row,
    Session,
    SqlValue,
    TransactionLost,
)
from packhouse.errors import Code, Invalid
from packhouse.limits import DEFAULT_LIMITS, Limits

__all__ = [
    "Database",
    "DatabaseAway",
    "Row",
    "Session",
    "SqlValue",
    "TransactionLost",
    "open_database",
]

_SQLITE_PREFIX: Final = "sqlite:///"


class DatabaseUrlUnknown(Invalid):
    """No engine takes this address. The address is not shown, because it may hold a password."""

    code = Code.DATABASE_URL_UNKNOWN


def open_database(url: str, *, connections_max: int = 16, limits: Limits = DEFAULT_LIMITS) -> Database:
    """Return the database at `sqlite:///PATH` (PATH as it is, not percent-encoded) or `postgresql://…`.

    Nothing is connected yet. `connections_max` bounds the connections of this process to PostgreSQL. Raises Invalid
    for any other address, without repeating it: it may hold a password.
    """
    if url.startswith(_SQLITE_PREFIX) and len(url) > len(_SQLITE_PREFIX):
        return SqliteDatabase(Path(url.removeprefix(_SQLITE_PREFIX)), limits=limits)
    if url.startswith(("postgresql://", "postgres://")):
        return _open_postgresql(url, connections_max=connections_max, wait_max_s=limits.database_wait_max_s)
    raise DatabaseUrlUnknown()


def _open_postgresql(url: str, *, connections_max: int, wait_max_s: int) -> Database:
    """Return the database of an engine that is loaded here: its driver takes a tenth of the start-up time."""
    engine = importlib.import_module("packhouse.db.engines.postgresql")
    database: Database = engine.PostgresqlDatabase(
        url, connections_max=connections_max, wait_max_s=wait_max_s
    )
    return database
