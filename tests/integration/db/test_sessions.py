"""Sessions: what a transaction keeps, undoes and sees, and for whom it waits."""

import fcntl
import multiprocessing
import os
import sqlite3
import threading
import time
import traceback
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from packhouse.db import session as db_session
from packhouse.db.engines.database import Database, DatabaseAway, open_database
from packhouse.db.engines.postgresql import _TIME_LIMITS_S, PostgresqlDatabase
from packhouse.db.orgs import Org, find_org, insert_org, list_orgs
from packhouse.db.refs import get_ref
from packhouse.db.repos import find_repo_by_id
from packhouse.errors import Corrupt, Invalid, Unavailable
from packhouse.git.refname import RefName
from packhouse.ids import RepoKey
from packhouse.limits import Limits
from tests.support.builders.rows import apply, branch_update, oid
from tests.support.servers.postgres import PostgresServer

FORK = multiprocessing.get_context("fork")


@pytest.fixture
def sqlite(tmp_path: Path) -> Iterator[Database]:
    """A database for tests of SQLite only."""
    database = open_database(f"sqlite:///{tmp_path / 'packhouse.db'}")
    database.migrate()
    yield database
    database.close()


def test_a_block_that_raises_changes_nothing(database: Database) -> None:
    def write_and_fail() -> None:
        with database.write() as session:
            insert_org(session, name="gone", now=1)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_and_fail()
    with database.read() as session:
        assert find_org(session, "gone") is None
    with database.write() as session:
        insert_org(session, name="kept", now=1)
    with database.read() as session:
        assert find_org(session, "kept") is not None


def test_readers_do_not_see_uncommitted_changes_and_do_not_wait(database: Database) -> None:
    with database.write() as writer:
        insert_org(writer, name="later", now=1)
        with database.read() as reader:
            assert find_org(reader, "later") is None
    with database.read() as reader:
        assert find_org(reader, "later") is not None


def test_a_snapshot_sees_one_moment(database: Database) -> None:
    with database.snapshot() as before:
        assert list_orgs(before, limit=10) == []
        with database.write() as session:
            insert_org(session, name="new", now=1)
        assert list_orgs(before, limit=10) == []
    with database.snapshot() as after:
        assert [org.name for org in list_orgs(after, limit=10)] == ["new"]


def test_threads_share_a_database(database: Database) -> None:
    def write(number: int) -> None:
        for count in range(10):
            with database.write() as session:
                insert_org(session, name=f"org-{number}-{count}", now=1)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with database.read() as session:
        assert len(list_orgs(session, limit=1000)) == 80


def test_a_closed_database_raises_unavailable(database: Database) -> None:
    database.close()
    database.close()
    with pytest.raises(Unavailable), database.read() as session:
        session.one("ping")


def test_a_session_that_outlives_close_ends_normally(database: Database) -> None:
    with database.read() as session:
        session.one("ping")
        database.close()


@pytest.mark.parametrize("database_kind", ["sqlite", "postgres"], indirect=True)
@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
def test_a_forked_child_uses_its_own_connections(database: Database, org: Org) -> None:
    with database.read() as session:
        session.one("ping")

    def child() -> None:
        with database.write() as session:
            insert_org(session, name="of-the-child", now=1)
        database.close()

    process = FORK.Process(target=child)
    process.start()
    process.join(120)
    assert process.exitcode == 0
    with database.write() as session:
        insert_org(session, name="of-the-parent", now=1)
    with database.read() as session:
        assert find_org(session, "of-the-child") is not None
        assert find_org(session, "of-the-parent") is not None
        assert find_org(session, org.name) == org


@pytest.mark.parametrize(
    "url", ["mysql://user:hunter2@host/db", "sqlite:///", "postgresql://user:hunter2@[host/db", "hunter2"]
)
def test_a_wrong_address_is_refused_without_repeating_its_password(url: str) -> None:
    with pytest.raises(Invalid) as refusal:
        open_database(url)
    assert "hunter2" not in "".join(traceback.format_exception(refusal.value))


def test_every_query_has_a_unique_name_and_no_comment() -> None:
    assert len(db_session.QUERIES) > 40
    assert not any("--" in text or text.endswith(";") for text in db_session.QUERIES.values())


def test_sqlite_commits_reach_the_disk_before_they_are_acknowledged(sqlite: Database) -> None:
    with sqlite.read() as session:
        connection: sqlite3.Connection = session._connection  # type: ignore[attr-defined]  # asks the engine
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert connection.execute("PRAGMA synchronous").fetchone() == (2,)
        assert connection.execute("PRAGMA foreign_keys").fetchone() == (1,)


def test_only_the_owner_can_read_sqlite_files(sqlite: Database, tmp_path: Path) -> None:
    modes = {file.name: file.stat().st_mode & 0o777 for file in tmp_path.glob("packhouse.db*")}
    assert len(modes) == 4, modes
    assert set(modes.values()) == {0o600}, modes


def test_sqlite_writers_queue_on_the_lock_file(sqlite: Database, tmp_path: Path) -> None:
    order: list[str] = []

    def write() -> None:
        with sqlite.write() as session:
            order.append("written")
            insert_org(session, name="patient", now=1)

    lock = os.open(tmp_path / "packhouse.db.lock", os.O_RDWR)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        thread = threading.Thread(target=write)
        thread.start()
        time.sleep(0.2)
        order.append("released")
        fcntl.flock(lock, fcntl.LOCK_UN)
        thread.join()
    finally:
        os.close(lock)
    assert order == ["released", "written"]


def test_a_damaged_sqlite_file_is_reported_as_corrupt(tmp_path: Path) -> None:
    (tmp_path / "packhouse.db").write_bytes(b"this is no database, and it is long enough to tell" * 100)
    database = open_database(f"sqlite:///{tmp_path / 'packhouse.db'}")
    with pytest.raises(Corrupt):
        database.migrate()
    database.close()


def test_a_sqlite_folder_that_is_missing_is_reported_as_away(tmp_path: Path) -> None:
    database = open_database(f"sqlite:///{tmp_path / 'nowhere' / 'packhouse.db'}")
    with pytest.raises(DatabaseAway):
        database.check()
    database.close()


def test_a_missing_postgresql_server_is_reported_as_away() -> None:
    database = open_database(
        "postgresql://nobody:hush@127.0.0.1:1/none", limits=Limits(database_wait_max_s=1)
    )
    with pytest.raises(DatabaseAway, match="Connection refused") as away:
        database.check()
    assert "hush" not in str(away.value)
    database.close()


def test_postgresql_commits_are_durable_whatever_the_servers_default(
    postgres_server: PostgresServer,
) -> None:
    url = postgres_server.new_database()
    database = open_database(f"{url}?options=-c%20synchronous_commit%3Doff")
    with database.read() as session:
        assert isinstance(database, PostgresqlDatabase)
        connection = session._connection  # type: ignore[attr-defined]  # asks the engine
        assert connection.execute("SHOW synchronous_commit").fetchone() == ("on",)
    database.close()


def test_a_restart_of_postgresql_loses_no_update_and_refuses_a_few() -> None:
    with PostgresServer() as server:
        database = open_database(server.new_database())
        database.migrate()
        with database.write() as session:
            org = insert_org(session, name="acme", now=1)
        server.halt()
        with pytest.raises(Unavailable), database.write() as session:
            insert_org(session, name="lost", now=1)
        server.launch()
        deadline = time.monotonic() + 120
        while True:
            try:
                with database.write() as session:
                    insert_org(session, name="after", now=1)
                break
            except Unavailable:
                assert time.monotonic() < deadline
                time.sleep(0.1)
        with database.read() as session:
            assert find_org(session, "acme") == org
            assert find_org(session, "lost") is None
            assert find_org(session, "after") is not None
        database.close()


def test_a_postgresql_standby_answers_reads_and_refuses_writes_as_away() -> None:
    with PostgresServer() as server:
        url = server.new_database()
        database = open_database(url)
        database.migrate()
        server.halt()
        (server.data / "standby.signal").touch()
        server.launch()
        standby = open_database(url)
        with standby.read() as session:
            assert find_org(session, "acme") is None
        with pytest.raises(DatabaseAway, match="during recovery"), standby.write() as session:
            insert_org(session, name="acme", now=1)
        standby.close()
        database.close()


def test_callers_learn_soon_that_postgresql_is_away_and_the_log_says_it_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with PostgresServer() as server:
        database = open_database(server.new_database(), limits=Limits(database_wait_max_s=600))
        database.check()
        began = time.monotonic()
        server.halt()
        for _ in range(4):
            with pytest.raises(DatabaseAway):
                database.check()
        assert time.monotonic() - began < 300  # each would have waited for ten minutes
        server.launch()
        while True:
            try:
                database.check()
                break
            except DatabaseAway:
                assert time.monotonic() - began < 300
                time.sleep(0.1)
        database.close()
    told = [record.message for record in caplog.records if record.name == "packhouse"]
    assert told == ["database failed", "database is away", "database answers again"]


def test_a_transaction_that_the_engine_rolls_back_is_run_again(
    postgres_server: PostgresServer,
) -> None:
    database = open_database(postgres_server.new_database())
    database.migrate()
    with database.write() as session:
        insert_org(session, name="one", now=1)
        insert_org(session, name="two", now=1)
    met = threading.Barrier(2)
    attempts: list[str] = []

    def cross(first: str, second: str) -> None:
        def work(session: db_session.Session) -> None:
            attempts.append(first)
            session.define(f"UPDATE orgs SET created_at = created_at + 1 WHERE name = '{first}'")
            if attempts.count(first) == 1:
                met.wait(120)
            session.define(f"UPDATE orgs SET created_at = created_at + 1 WHERE name = '{second}'")

        database.transact(work)

    threads = [threading.Thread(target=cross, args=pair) for pair in (("one", "two"), ("two", "one"))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(attempts) >= 3
    with database.read() as session:
        assert [org.created_at for org in list_orgs(session, limit=10)] == [3, 3]
    database.close()


def test_hot_reads_take_one_query_each(database: Database, org: Org, repo_id: RepoKey) -> None:
    apply(database, repo_id, branch_update("main", None, oid(1)))
    with database.read() as session:
        repo = find_repo_by_id(session, repo_id)
        assert repo is not None
        assert repo.refs_version == 1
        ref = get_ref(session, repo_id, "", RefName(b"refs/heads/main"))
        assert ref is not None
        assert (ref.oid, ref.created_at, ref.updated_at) == (oid(1), 200, 200)


def test_a_postgresql_database_that_cannot_hold_unicode_is_refused(postgres_server: PostgresServer) -> None:
    database = open_database(postgres_server.new_database(encoding="LATIN1", locale="C"))
    with pytest.raises(Invalid):
        database.migrate()
    database.close()


def test_a_statement_that_waits_for_rows_of_another_program_ends_with_an_error(
    postgres_server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(_TIME_LIMITS_S, "lock_timeout", 1)
    url = postgres_server.new_database()
    database = open_database(url)
    database.migrate()
    with database.write() as session:
        insert_org(session, name="acme", now=1)
    with psycopg.connect(url) as other:
        other.execute("UPDATE settings SET value = value")
        with pytest.raises(Unavailable), database.write() as session:
            session.run("bump_keys_version")
        other.rollback()
    with database.write() as session:
        assert session.run("bump_keys_version") == 1
    database.close()
