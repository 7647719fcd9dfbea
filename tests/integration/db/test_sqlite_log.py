"""The write-ahead log of SQLite stays bounded, whatever readers do, and writers go on as far as that allows."""

import contextlib
import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from packhouse.db.engines.sqlite import SqliteDatabase
from packhouse.db.engines.sqlite_log import WriteAheadLog, list_readers
from packhouse.db.session import Database, DatabaseAway
from packhouse.limits import KIB, Limits
from tests.support.waiting import wait_until

BOUNDS = Limits(
    database_log_reset_bytes=400 * KIB,
    database_log_slow_bytes=1000 * KIB,
    database_log_max_bytes=2000 * KIB,
    database_log_wait_max_s=10,
)
ROW_BYTES = 20_000
ROW_IN_LOG_BYTES = 12 * 4096
"""More than a transaction with one row adds to the log."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "packhouse.db"


@pytest.fixture
def database(path: Path) -> Iterator[SqliteDatabase]:
    with contextlib.closing(open_made(path, BOUNDS)) as database:
        yield database


def open_made(path: Path, bounds: Limits) -> SqliteDatabase:
    database = SqliteDatabase(path, limits=bounds)
    database.migrate()
    with database.write() as session:
        session.define("CREATE TABLE IF NOT EXISTS rows (content blob)")
    return database


def add_row(database: Database) -> None:
    with database.write() as session:
        session.define(f"INSERT INTO rows VALUES (randomblob({ROW_BYTES}))")


def is_written(database: Database) -> bool:
    try:
        add_row(database)
    except DatabaseAway as error:
        return "reader" not in error.reason
    return True


def log_bytes(path: Path) -> int:
    return os.stat(f"{path}-wal").st_size


@contextlib.contextmanager
def foreign_reader(path: Path) -> Iterator[None]:
    """A transaction of another program that stays open."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("BEGIN")
        connection.execute("SELECT count(*) FROM rows").fetchall()
        yield
        connection.execute("COMMIT")


def fill_log(database: Database, path: Path, size_bytes: int) -> None:
    for _ in range(size_bytes // ROW_BYTES):
        if log_bytes(path) >= size_bytes:
            return
        add_row(database)
    raise AssertionError("the log was reset")


def test_a_log_that_nobody_reads_is_reset(database: SqliteDatabase, path: Path) -> None:
    for _ in range(100):
        add_row(database)
        assert log_bytes(path) < BOUNDS.database_log_reset_bytes + ROW_IN_LOG_BYTES


def test_the_log_is_bounded_while_there_are_readers_at_all_times(
    database: SqliteDatabase, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Each reader begins before the one before it ends, so SQLite alone would never begin the log anew."""
    stop = threading.Event()
    began = threading.Event()

    def read() -> None:
        with contextlib.ExitStack() as open_readers:
            open_readers.enter_context(foreign_reader(path))
            while not stop.is_set():
                following = contextlib.ExitStack()
                following.enter_context(foreign_reader(path))
                began.set()
                time.sleep(0.002)
                open_readers.close()
                open_readers = following.pop_all()

    reader = threading.Thread(target=read)
    reader.start()
    assert began.wait(60)
    largest = 0
    for _ in range(200):  # 4 MB
        add_row(database)
        largest = max(largest, log_bytes(path))
    stop.set()
    reader.join()
    assert largest < BOUNDS.database_log_max_bytes + ROW_IN_LOG_BYTES


def test_a_reader_that_stays_slows_writers_down_and_then_has_them_refused(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    bounds = Limits(
        database_log_reset_bytes=400 * KIB,
        database_log_slow_bytes=600 * KIB,
        database_log_max_bytes=1000 * KIB,
        database_log_wait_max_s=0.0,
    )
    with contextlib.closing(open_made(path, bounds)) as database:
        with foreign_reader(path):
            fill_log(database, path, 600 * KIB)
            refused = sum(not is_written(database) for _ in range(100))
            assert refused > 50
            assert log_bytes(path) < 1000 * KIB + ROW_IN_LOG_BYTES
            with database.read() as session:
                session.one("ping")
        wait_until(lambda: is_written(database), "the log is reset once the reader is gone")
        assert log_bytes(path) < bounds.database_log_reset_bytes
    told = [record for record in caplog.records if record.name == "packhouse"]
    assert [record.message for record in told] == [
        "a reader keeps the database's log from being reset",
        "the database's log was reset",
    ]
    assert told[0].fields["readers"] == [os.getpid()]  # type: ignore[attr-defined]  # of our own log
    assert told[0].fields["writes"] == "refused"  # type: ignore[attr-defined]  # of our own log


class Hands:
    """A clock that only sleepers move."""

    def __init__(self) -> None:
        self.now_s = 1000.0
        self.slept_s = 0.0

    def __call__(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds
        self.slept_s += seconds


@pytest.fixture
def hands() -> Hands:
    return Hands()


def test_slowed_writers_share_the_room_that_is_left_over_a_minute(
    path: Path, hands: Hands, caplog: pytest.LogCaptureFixture
) -> None:
    log = WriteAheadLog(BOUNDS, monotonic=hands, sleep=hands.sleep)
    unbounded = Limits(**dict.fromkeys(("database_log_reset_bytes", "database_log_slow_bytes"), 10**12))
    with contextlib.closing(open_made(path, unbounded)) as database, foreign_reader(path):
        fill_log(database, path, BOUNDS.database_log_slow_bytes)
        writes = 0
        with database.read() as session:
            connection: sqlite3.Connection = session._connection  # type: ignore[attr-defined]  # asks the engine
            while hands.slept_s < 20:
                log.make_room(connection, f"{path}-wal", patience_s=1)
                hands.now_s += 0.01  # what the transaction takes
                add_row(database)
                writes += 1
        room = BOUNDS.database_log_max_bytes - BOUNDS.database_log_slow_bytes
        used = log_bytes(path) - BOUNDS.database_log_slow_bytes
        assert writes > 5
        assert 0.2 * room < used < 0.4 * room, "a third of a minute uses up a share of 1 - exp(-1/3)"
    told = [record.fields for record in caplog.records if record.message.startswith("a reader keeps")]  # type: ignore[attr-defined]  # of our own log
    assert [fields["writes"] for fields in told] == ["slowed down"], "told once within a minute"


def test_a_slowed_writer_goes_on_at_once_when_the_reader_is_gone(path: Path, hands: Hands) -> None:
    bounds = Limits(**dict.fromkeys(("database_log_reset_bytes", "database_log_slow_bytes"), 10**12))
    with contextlib.closing(open_made(path, bounds)) as database, contextlib.ExitStack() as readers:
        readers.enter_context(foreign_reader(path))
        fill_log(database, path, BOUNDS.database_log_slow_bytes)

        def sleep(seconds: float) -> None:
            hands.sleep(seconds)
            if hands.slept_s > 1:
                readers.close()

        log = WriteAheadLog(BOUNDS, monotonic=hands, sleep=sleep)
        with database.read() as session:
            connection: sqlite3.Connection = session._connection  # type: ignore[attr-defined]  # asks the engine
            log.make_room(connection, f"{path}-wal", patience_s=7)
            add_row(database)
            assert hands.slept_s == 0
            log.make_room(connection, f"{path}-wal", patience_s=7)
            assert 1 < hands.slept_s < 2
            assert log_bytes(path) == 0
            assert connection.execute("PRAGMA busy_timeout").fetchone() == (7000,)


def test_the_processes_that_read_the_log_are_named(database: SqliteDatabase, path: Path) -> None:
    shm = Path(f"{path}-shm")
    assert list_readers(shm) == []
    add_row(database)
    with foreign_reader(path):
        assert list_readers(shm) == [os.getpid()]
    assert list_readers(shm) == []
    assert list_readers(path.with_name("missing")) == []
