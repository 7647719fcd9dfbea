"""The database in memory: what differs from the one in a file, and what must not."""

import contextlib
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from packhouse.db.engines.sqlite_memory import SqliteMemory
from packhouse.db.orgs import insert_org, list_orgs
from packhouse.db.session import Session
from packhouse.errors import Unavailable

pytestmark = pytest.mark.quick


@pytest.fixture
def database() -> Iterator[SqliteMemory]:
    """A database with the schema of this release and nothing in it."""
    database = SqliteMemory()
    database.migrate()
    yield database
    database.close()


def add(database: SqliteMemory, name: str) -> None:
    with database.write() as session:
        insert_org(session, name=name, now=1)


def names(session: Session) -> list[str]:
    return [org.name for org in list_orgs(session, limit=1000)]


def test_databases_share_nothing(database: SqliteMemory) -> None:
    other = SqliteMemory()
    other.migrate()
    add(other, "theirs")
    with database.read() as session:
        assert names(session) == []
    other.close()


def test_the_database_makes_no_file(
    database: SqliteMemory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    add(database, "one")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", ["read", "snapshot"])
def test_a_session_for_reading_refuses_to_write(database: SqliteMemory, kind: str) -> None:
    with getattr(database, kind)() as session, pytest.raises(sqlite3.OperationalError, match="readonly"):
        insert_org(session, name="never", now=1)
    with getattr(database, kind)() as session:
        add(database, "one")
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            insert_org(session, name="never", now=1)
    with database.read() as session:
        assert names(session) == ["one"]


def test_each_snapshot_keeps_its_own_moment(database: SqliteMemory) -> None:
    with database.snapshot() as first:
        add(database, "a")
        with database.snapshot() as second:
            add(database, "b")
            with contextlib.suppress(ZeroDivisionError), database.write() as session:
                insert_org(session, name="undone", now=1)
                assert names(second) == ["a"]
                raise ZeroDivisionError
            assert (names(first), names(second)) == ([], ["a"])
            with database.read() as now:
                assert names(now) == ["a", "b"]
                add(database, "c")
                assert names(now) == ["a", "b", "c"]


def test_a_transaction_that_fails_to_commit_changes_nothing_and_does_not_block_the_next(
    database: SqliteMemory,
) -> None:
    def add_key_of_nobody() -> None:
        with database.write() as session:
            insert_org(session, name="gone", now=1)
            session.define("PRAGMA defer_foreign_keys = ON")
            session.define("INSERT INTO keys (key_id, org_id, public_pem, created_at) VALUES ('k', 9, '', 1)")

    with pytest.raises(sqlite3.IntegrityError):
        add_key_of_nobody()
    add(database, "next")
    with database.read() as session:
        assert names(session) == ["next"]


def test_writers_take_turns_and_readers_see_no_half_transaction(database: SqliteMemory) -> None:
    stop = threading.Event()
    halves: list[list[str]] = []

    def read() -> None:
        while not stop.wait(0.001):  # a pause, so that readers do not keep writers out
            with database.snapshot() as session:
                if len(names(session)) % 2:
                    halves.append(names(session))

    def write(number: int) -> None:
        for count in range(20):
            with database.write() as session:
                for side in "ab":
                    insert_org(session, name=f"{number}-{count}-{side}", now=1)

    readers = [threading.Thread(target=read) for _ in range(2)]
    writers = [threading.Thread(target=write, args=(number,)) for number in range(3)]
    for thread in readers + writers:
        thread.start()
    for thread in writers:
        thread.join()
    stop.set()
    for thread in readers:
        thread.join()
    assert halves == []
    with database.read() as session:
        assert len(list_orgs(session, limit=1000)) == 120


def test_restoring_an_image_restores_its_state_and_snapshots_keep_theirs(database: SqliteMemory) -> None:
    add(database, "kept")
    image = database.image()
    add(database, "lost")
    with database.snapshot() as before:
        add(database, "lost too")
        assert names(before) == ["kept", "lost"]
        database.restore(image)
        assert names(before) == ["kept", "lost"]
    with database.write() as session:
        insert_org(session, name="new", now=1)
        with database.read() as reader:
            assert names(reader) == ["kept"]
    with database.read() as session:
        assert names(session) == ["kept", "new"]


def test_closing_does_not_wait_for_a_session_and_does_not_break_it(database: SqliteMemory) -> None:
    with database.write() as session:
        database.close()
        insert_org(session, name="last", now=1)
    with pytest.raises(Unavailable):
        database.check()
