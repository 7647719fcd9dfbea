"""A SQLite file that goes away, comes back, is emptied or replaced while it is in use."""

import contextlib
import logging
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from packhouse.db.engines.database import Database, DatabaseAway, open_database
from packhouse.db.engines.sqlite_connection import raise_translated
from packhouse.db.engines.sqlite_file import SqliteFile
from packhouse.db.orgs import find_org, insert_org
from packhouse.db.session import Session
from packhouse.errors import Corrupt
from tests.support.servers.loop_disk import loop_disk


def open_made(path: Path) -> Database:
    """Return a database with the organisation acme."""
    database = open_database(f"sqlite:///{path}")
    database.migrate()
    add_org(database, "acme")
    return database


def add_org(database: Database, name: str) -> None:
    with database.write() as session:
        insert_org(session, name=name, now=1)


def has_org(database: Database, name: str) -> bool:
    with database.read() as session:
        return find_org(session, name) is not None


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "packhouse.db"


@pytest.fixture
def database(path: Path) -> Iterator[Database]:
    database = open_made(path)
    yield database
    database.close()


def test_a_deleted_file_takes_no_commit_is_not_recreated_and_is_used_once_it_is_back(
    database: Database, path: Path
) -> None:
    aside = path.with_name("aside")
    path.rename(aside)
    with pytest.raises(DatabaseAway, match="No such file"):
        add_org(database, "lost")
    with pytest.raises(DatabaseAway):
        database.check()
    assert not path.exists()
    aside.rename(path)
    assert has_org(database, "acme")
    assert not has_org(database, "lost")


def test_a_repeated_failure_is_logged_once(
    database: Database, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path.rename(path.with_name("aside"))
    for _ in range(5):
        with pytest.raises(DatabaseAway):
            database.check()
    told = [record for record in caplog.records if record.name == "packhouse"]
    assert [(record.message, record.levelno, bool(record.exc_info)) for record in told] == [
        ("database failed", logging.ERROR, False)
    ]


@pytest.mark.parametrize("name", ["a?mode=memory", "b#c", "d%20e", "f g", "h\N{SNOWMAN}"])
def test_a_path_is_not_decoded(tmp_path: Path, name: str) -> None:
    database = open_made(tmp_path / name)
    assert has_org(database, "acme")
    database.close()
    assert (tmp_path / name).stat().st_size > 0


@pytest.mark.parametrize(
    ("code", "raised"),
    [
        (sqlite3.SQLITE_PROTOCOL, DatabaseAway),
        (sqlite3.SQLITE_NOLFS, DatabaseAway),
        (sqlite3.SQLITE_IOERR_READ, DatabaseAway),
        (sqlite3.SQLITE_READONLY_DBMOVED, DatabaseAway),
        (sqlite3.SQLITE_CORRUPT, Corrupt),
        (sqlite3.SQLITE_NOTADB, Corrupt),
        (sqlite3.SQLITE_ERROR, sqlite3.OperationalError),
    ],
)
def test_a_complaint_of_sqlite_about_a_readable_file_is_believed(
    database: Database, path: Path, code: int, raised: type[Exception]
) -> None:
    error = sqlite3.OperationalError("what SQLite says")
    error.sqlite_errorcode = code
    with pytest.raises(raised):
        raise_translated(error, SqliteFile(path))


def test_the_log_of_a_symlinked_file_is_found_beside_its_target(tmp_path: Path) -> None:
    target = tmp_path / "disk"
    target.mkdir()
    link = tmp_path / "packhouse.db"
    link.symlink_to(target / "real.db")
    (target / "real.db").touch()
    (target / "real.db-wal").write_bytes(b"what may save the operator")
    database = open_database(f"sqlite:///{link}")
    assert database.find_orphaned_log() == target / "real.db-wal"
    with pytest.raises(Corrupt):
        database.migrate()
    database.close()


def test_an_emptied_file_counts_as_away_and_its_log_is_kept(database: Database, path: Path) -> None:
    log = path.with_name("packhouse.db-wal")
    before = log.read_bytes()
    os.truncate(path, 0)
    for attempt in (database.check, lambda: add_org(database, "lost"), lambda: has_org(database, "acme")):
        with pytest.raises(DatabaseAway, match="is empty"):
            attempt()
    assert log.read_bytes() == before


def test_a_database_is_not_made_beside_the_log_of_a_lost_one(path: Path) -> None:
    log = path.with_name("packhouse.db-wal")
    for content in (None, b""):
        log.write_bytes(b"what may save the operator")
        if content is not None:
            path.write_bytes(content)
        database = open_database(f"sqlite:///{path}")
        with pytest.raises(Corrupt, match="log lies beside an empty database"):
            database.migrate()
        database.close()
        assert log.read_bytes() == b"what may save the operator"
        assert path.exists() is (content is not None)


def test_a_file_that_replaces_the_database_file_is_read(
    database: Database, path: Path, tmp_path: Path
) -> None:
    other = open_made(tmp_path / "other.db")
    add_org(other, "globex")
    other.close()
    assert not has_org(database, "globex")
    for end in ("-wal", "-shm"):
        path.with_name(f"packhouse.db{end}").unlink()
    (tmp_path / "other.db").rename(path)
    assert has_org(database, "globex")


def test_failed_connections_leave_no_files_open(database: Database, path: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    path.rename(path.with_name("aside"))
    for _ in range(20):
        with pytest.raises(DatabaseAway):
            database.check()
    path.with_name("aside").rename(path)
    assert has_org(database, "acme")
    assert len(os.listdir("/proc/self/fd")) <= before


def test_probing_a_file_drops_no_lock_of_sqlite(database: Database, path: Path) -> None:
    """Closing any descriptor of a file drops all POSIX locks that the process has on it."""
    file = SqliteFile(path)
    with database.read() as session:
        session.one("ping")
        held = count_locks(path)
        assert held > 0
        assert file.find_trouble() == ""
        assert count_locks(path) == held


def count_locks(path: Path) -> int:
    return Path("/proc/locks").read_text().count(f":{path.stat().st_ino} ")


def test_a_vanished_disk_counts_as_away_not_as_damage_and_may_come_back(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with loop_disk(tmp_path) as disk:
        database = open_made(disk.path / "packhouse.db")
        for number in range(300):  # more than a connection keeps in memory
            add_org(database, f"org-{number}-{'x' * 200}")
        with contextlib.ExitStack() as held:
            writing = held.enter_context(pytest.raises(DatabaseAway))
            session = held.enter_context(database.write())
            reader = held.enter_context(database.read())
            reader.one("ping")
            insert_org(session, name="lost", now=1)
            disk.vanish()
        assert "Input/output error" in str(writing.value) or "disk I/O error" in str(writing.value)
        Path("/proc/sys/vm/drop_caches").write_text("3")
        for attempt in (
            lambda: has_org(database, "org-7"),
            lambda: add_org(database, "lost"),
            database.check,
        ):
            for _ in range(3):
                with pytest.raises(DatabaseAway):
                    attempt()
        told = [record for record in caplog.records if record.name == "packhouse"]
        assert {(record.message, record.levelno) for record in told} == {("database failed", logging.ERROR)}
        assert not any(record.exc_info for record in told)
        disk.pull_out()
        disk.plug_in()
        assert has_org(database, "acme")
        add_org(database, "after")
        assert not has_org(database, "lost")
        database.close()


def test_unreadable_pages_do_not_count_as_damage(tmp_path: Path) -> None:
    """The connection stays open, so that SQLite meets the failed read itself and calls it corruption."""

    def read_all(session: Session) -> None:
        for number in range(2000):
            find_org(session, f"org-{number}-{'x' * 2000}")

    with loop_disk(tmp_path) as disk:
        database = open_made(disk.path / "packhouse.db")
        for number in range(2000):
            add_org(database, f"org-{number}-{'x' * 2000}")
        with database.read() as session:
            session.one("ping")
            disk.vanish()
            Path("/proc/sys/vm/drop_caches").write_text("3")
            with pytest.raises(DatabaseAway) as away:
                read_all(session)
        assert isinstance(away.value.__cause__, sqlite3.DatabaseError)
        assert away.value.__cause__.sqlite_errorcode == sqlite3.SQLITE_CORRUPT
        database.close()
