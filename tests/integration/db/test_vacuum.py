"""Unused space of a SQLite file goes back to the file system in small steps, while writers go on."""

import contextlib
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from packhouse.db.engines.database import Database
from packhouse.db.engines.sqlite import SqliteDatabase
from packhouse.db.session import Session
from packhouse.limits import MIB, Limits
from tests.support.waiting import WAIT_S

BOUNDS = Limits(vacuum_free_pages_min=200, vacuum_pages=64)
ROWS = 300
ROW_BYTES = 20_000


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "packhouse.db"


@pytest.fixture
def sqlite(path: Path) -> Iterator[SqliteDatabase]:
    with contextlib.closing(SqliteDatabase(path, limits=BOUNDS)) as database:
        database.migrate()
        yield database


def define(database: Database, *statements: str) -> None:
    with database.write() as session:
        for statement in statements:
            session.define(statement)


def fill(database: Database) -> None:
    """Write rows to be deleted, and behind them rows that stay."""
    define(
        database,
        "CREATE TABLE gone (content blob)",
        "CREATE TABLE kept (number integer PRIMARY KEY, content blob)",
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i <"
        f" {ROWS}) INSERT INTO gone SELECT randomblob({ROW_BYTES}) FROM n",
    )
    for number in range(5):
        define(database, f"INSERT INTO kept VALUES ({number}, randomblob({ROW_BYTES}))")


def connection_of(session: Session) -> sqlite3.Connection:
    connection: sqlite3.Connection = session._connection  # type: ignore[attr-defined]  # asks the engine
    return connection


def ask(database: Database, pragma: str) -> list[int | str]:
    with database.read() as session:
        return [row[0] for row in connection_of(session).execute(f"PRAGMA {pragma}")]


def file_bytes(database: Database, path: Path) -> int:
    ask(database, "wal_checkpoint(TRUNCATE)")
    return path.stat().st_size


def test_a_file_shrinks_in_steps_after_rows_were_deleted(sqlite: SqliteDatabase, path: Path) -> None:
    fill(sqlite)
    assert not sqlite.vacuum_some(), "nothing is unused"
    full = file_bytes(sqlite, path)
    define(sqlite, "DELETE FROM gone")
    assert file_bytes(sqlite, path) == full
    free = ask(sqlite, "freelist_count")[0]
    assert sqlite.vacuum_some()
    assert ask(sqlite, "freelist_count") == [int(free) - BOUNDS.vacuum_pages]
    steps = 1
    while sqlite.vacuum_some():
        steps += 1
    assert steps < 50
    assert file_bytes(sqlite, path) < full / 4 < 2 * MIB
    assert ask(sqlite, "integrity_check") == ["ok"]
    assert ask(sqlite, "freelist_count") != [0], "a few unused pages are left for the next rows"


def test_writers_go_on_while_a_file_shrinks(sqlite: SqliteDatabase, path: Path) -> None:
    fill(sqlite)
    full = file_bytes(sqlite, path)
    define(sqlite, "DELETE FROM gone")
    stop, written = threading.Event(), 0

    def write() -> None:
        nonlocal written
        while not stop.is_set():
            define(sqlite, f"INSERT INTO kept VALUES ({1000 + written}, zeroblob(100))")
            written += 1

    writer = threading.Thread(target=write)
    writer.start()
    steps = 0
    while sqlite.vacuum_some():
        steps += 1
    stop.set()
    writer.join(WAIT_S)
    assert written >= steps - 2 > 5, "between two steps a waiting writer writes"
    with sqlite.read() as session:
        assert connection_of(session).execute("SELECT count(*) FROM kept").fetchone() == (5 + written,)
    assert file_bytes(sqlite, path) < full / 2
    assert ask(sqlite, "integrity_check") == ["ok"]


def test_a_file_of_an_earlier_release_is_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "earlier.db"
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE earlier (number integer)")
    with contextlib.closing(SqliteDatabase(path, limits=BOUNDS)) as database:
        database.migrate()
        fill(database)
        define(database, "DELETE FROM gone")
        assert ask(database, "auto_vacuum") == [0]
        assert not database.vacuum_some()
    with contextlib.closing(sqlite3.connect(path)) as connection:  # as an operator does
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        connection.execute("VACUUM")
    with contextlib.closing(SqliteDatabase(path, limits=BOUNDS)) as database:
        assert ask(database, "auto_vacuum") == [2]


def test_other_engines_have_nothing_to_give_back(database: Database) -> None:
    assert not database.vacuum_some()
