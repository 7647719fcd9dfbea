"""Writers of one process that share COMMITs, on a real file: what is durable, what is undone, who sees what."""

import contextlib
import random
import sqlite3
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from packhouse.db.engines.database import DatabaseAway, Session
from packhouse.db.engines.sqlite import SqliteDatabase
from packhouse.db.orgs import find_org, insert_org
from packhouse.limits import Limits
from tests.support.builders.seeds import seed_of
from tests.support.servers.loop_disk import loop_disk
from tests.support.waiting import WAIT_S, wait_until


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "packhouse.db"


@pytest.fixture
def database(path: Path) -> Iterator[SqliteDatabase]:
    with contextlib.closing(open_made(path)) as database:
        yield database


def open_made(path: Path) -> SqliteDatabase:
    """Return a database with a table of numbers."""
    database = SqliteDatabase(path, limits=Limits(group_commit_age_max_s=WAIT_S))
    database.migrate()
    with database.write() as session:
        session.define("CREATE TABLE numbers (name text PRIMARY KEY, value integer NOT NULL, pad blob)")
    return database


def connection_of(session: Session) -> sqlite3.Connection:
    connection: sqlite3.Connection = session._connection  # type: ignore[attr-defined]  # asks the engine
    return connection


def put(session: Session, name: str, value: int, *, pad: int = 0) -> None:
    session.define(f"INSERT OR REPLACE INTO numbers VALUES ('{name}', {value}, zeroblob({pad}))")


def numbers(session: Session) -> dict[str, int]:
    return dict(connection_of(session).execute("SELECT name, value FROM numbers"))


def read_numbers(database: SqliteDatabase) -> dict[str, int]:
    with database.read() as session:
        return numbers(session)


Work = Callable[[Session], None]


def write_together(database: SqliteDatabase, first: Work, *others: Work) -> list[BaseException | None]:
    """Run all in one group, in this order. Return what each `write` raised."""
    outcomes: list[BaseException | None] = [None] * (1 + len(others))

    def run(place: int, work: Work) -> None:
        try:
            with database.write() as session:
                work(session)
        except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - the outcome
            outcomes[place] = error

    threads: list[threading.Thread] = []

    def run_first(session: Session) -> None:
        for place, work in enumerate(others, 1):
            threads.append(threading.Thread(target=run, args=(place, work)))
            threads[-1].start()
            wait_until(lambda: len(database._commits._queue) == len(threads), "the thread waits for the lock")
        first(session)

    run(0, run_first)
    for thread in threads:
        thread.join(WAIT_S)
        assert not thread.is_alive()
    return outcomes


def putting(name: str, value: int = 1, *, pad: int = 0) -> Work:
    return lambda session: put(session, name, value, pad=pad)


def test_waiting_writers_share_one_commit_of_sqlite(database: SqliteDatabase) -> None:
    statements: list[str] = []

    def first(session: Session) -> None:
        connection_of(session).set_trace_callback(statements.append)
        put(session, "first", 1)

    assert write_together(database, first, *(putting(f"n{n}") for n in range(8))) == [None] * 9
    assert statements.count("COMMIT") == 1
    assert statements.count("BEGIN IMMEDIATE") == 0, "it ran before the trace began"
    assert sum(statement.startswith("SAVEPOINT") for statement in statements) == 8
    assert len(read_numbers(database)) == 9


def test_a_writer_sees_earlier_writers_of_its_group_and_readers_see_none_of_it(
    database: SqliteDatabase,
) -> None:
    seen: list[dict[str, int]] = []

    def look(session: Session) -> None:
        seen.append(numbers(session))
        seen.append(read_numbers(database))
        with database.snapshot() as snapshot:
            seen.append(numbers(snapshot))
        put(session, "b", 1)

    assert write_together(database, putting("a"), look) == [None, None]
    assert seen == [{"a": 1}, {}, {}]
    assert read_numbers(database) == {"a": 1, "b": 1}


def test_a_writer_that_fails_is_undone_alone(database: SqliteDatabase) -> None:
    error = LookupError("b")

    def fail(session: Session) -> None:
        put(session, "a", 2, pad=100_000)
        put(session, "b", 2)
        raise error

    def fail_in_sql(session: Session) -> None:
        put(session, "d", 2)
        session.define("INSERT INTO numbers VALUES ('a', 3, NULL)")

    outcomes = write_together(database, putting("a"), fail, putting("c"), fail_in_sql, putting("e"))
    assert outcomes[1] is error
    assert isinstance(outcomes[3], sqlite3.IntegrityError)
    assert [outcomes[place] for place in (0, 2, 4)] == [None, None, None]
    assert read_numbers(database) == {"a": 1, "c": 1, "e": 1}


def test_a_writer_that_fills_the_file_is_undone_or_ends_its_group(database: SqliteDatabase) -> None:
    def first(session: Session) -> None:
        put(session, "a", 1)
        pages = connection_of(session).execute("PRAGMA page_count").fetchone()[0]
        connection_of(session).execute(f"PRAGMA max_page_count = {pages + 5}").fetchall()

    outcomes = write_together(database, first, putting("b"), putting("c", pad=1_000_000), putting("d"))
    assert isinstance(outcomes[2], DatabaseAway)
    acknowledged = {name for name, error in zip("abcd", outcomes, strict=True) if error is None}
    assert read_numbers(database).keys() == acknowledged
    assert "d" in acknowledged
    assert ("a" in acknowledged) == ("b" in acknowledged)


def test_a_failed_commit_fails_the_whole_group_and_not_the_next(database: SqliteDatabase) -> None:
    def owe(session: Session) -> None:
        """Break a rule that SQLite checks at COMMIT."""
        session.define("PRAGMA defer_foreign_keys = ON")
        session.define(
            "INSERT INTO refs (repo_id, namespace, refname, oid, created_at, updated_at)"
            " VALUES (999, 'n', 'r', 'o', 1, 1)"
        )

    def fail(session: Session) -> None:
        assert numbers(session) == {"a": 1}
        raise LookupError

    outcomes = write_together(database, putting("a"), owe, fail, putting("c"))
    assert isinstance(outcomes[3], sqlite3.IntegrityError), (
        "the writer that committed gets SQLite's own error"
    )
    assert [type(error) for error in outcomes[:3]] == [DatabaseAway] * 3
    assert read_numbers(database) == {}
    assert write_together(database, putting("d"), putting("e")) == [None, None]
    assert read_numbers(database) == {"d": 1, "e": 1}


def test_a_disk_that_vanishes_fails_the_whole_group(tmp_path: Path) -> None:
    with loop_disk(tmp_path) as disk:
        database = open_made(disk.path / "packhouse.db")
        acknowledged = write_together(database, putting("before"), putting("with it"))

        def pull_out(session: Session) -> None:
            put(session, "c", 1)
            disk.vanish()

        outcomes = write_together(database, putting("a"), putting("b"), pull_out)
        assert acknowledged == [None, None]
        assert [type(error) for error in outcomes] == [DatabaseAway] * 3
        with pytest.raises(DatabaseAway), database.write() as session:
            put(session, "later", 1)
        disk.pull_out()
        disk.plug_in()
        assert read_numbers(database) == {"before": 1, "with it": 1}
        assert write_together(database, putting("after"), putting("all")) == [None, None]
        database.close()


def test_a_full_disk_fails_the_whole_group(tmp_path: Path) -> None:
    with loop_disk(tmp_path) as disk:
        database = open_made(disk.path / "packhouse.db")
        filler = disk.path / "filler"
        with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(65536))
        # 700 KB stay in the memory of the connection until the COMMIT.
        outcomes = write_together(database, *(putting(name, pad=350_000) for name in "ab"))
        assert [type(error) for error in outcomes] == [DatabaseAway] * 2
        assert read_numbers(database) == {}
        filler.unlink()
        assert write_together(database, putting("c"), putting("d")) == [None, None]
        assert read_numbers(database) == {"c": 1, "d": 1}
        database.close()


def test_a_file_that_vanishes_within_a_group_takes_no_further_commit(
    database: SqliteDatabase, path: Path
) -> None:
    aside = path.with_name("aside")

    def first(session: Session) -> None:
        put(session, "a", 1)
        path.rename(aside)

    outcomes = write_together(database, first, putting("b"))
    assert [type(error) for error in outcomes] == [DatabaseAway] * 2
    aside.rename(path)
    assert read_numbers(database) == {}


def test_a_failed_read_beside_a_group_ends_it(database: SqliteDatabase) -> None:
    """After a failure, connections that were open must not be used again."""

    def first(session: Session) -> None:
        put(session, "a", 1)
        database._file.failures += 1

    outcomes = write_together(database, first, putting("b"))
    assert isinstance(outcomes[0], DatabaseAway)
    assert outcomes[1] is None
    assert read_numbers(database) == {"b": 1}


def test_an_interrupted_writer_stops_nobody(database: SqliteDatabase) -> None:
    def interrupt(session: Session) -> None:
        put(session, "b", 1)
        raise KeyboardInterrupt

    outcomes = write_together(database, putting("a"), interrupt, putting("c"))
    assert isinstance(outcomes[1], KeyboardInterrupt)
    assert read_numbers(database) == {"a": 1, "c": 1}


def test_named_queries_run_in_a_shared_transaction(database: SqliteDatabase) -> None:
    def insert(session: Session) -> None:
        assert find_org(session, "first") is not None
        insert_org(session, name="second", now=1)

    def first(session: Session) -> None:
        insert_org(session, name="first", now=1)

    assert write_together(database, first, insert) == [None, None]


class Clerk:
    """A thread of the random history. `kept` has what it was told to be durable."""

    def __init__(self, database: SqliteDatabase, number: int, seed: int) -> None:
        self._database = database
        self._name = f"clerk{number}"
        self._random = random.Random(f"{seed} {number}")
        self.kept: dict[str, int] = {}
        self.counted = 0

    def run(self, steps: int) -> None:
        for step in range(steps):
            kind = self._random.choice(["write", "write", "write", "fail", "break", "look"])
            names = [f"{self._name} {self._random.randrange(5)}" for _ in range(self._random.randint(1, 4))]
            try:
                with self._database.write() as session:
                    self._write(session, kind, names, step)
            except (LookupError, sqlite3.IntegrityError):
                assert kind in ("fail", "break")
            else:
                assert kind in ("write", "look")
                self.counted += 1
                self.kept.update(dict.fromkeys(names, step))

    def _write(self, session: Session, kind: str, names: list[str], step: int) -> None:
        before = numbers(session)
        assert self.kept.items() <= before.items(), "it sees all of its own writes"
        put(session, "count", before["count"] + 1)
        for name in names:
            put(session, name, step, pad=self._random.choice([0, 10, 20_000]))
        if kind == "look":
            outside = read_numbers(self._database)
            assert self.kept.items() <= outside.items()
            assert outside["count"] <= before["count"]
        elif kind == "fail":
            raise LookupError
        elif kind == "break":
            session.define("INSERT INTO numbers VALUES ('count', 0, NULL)")


def test_random_writers_agree_with_a_model(request: pytest.FixtureRequest, database: SqliteDatabase) -> None:
    seed = seed_of(request)
    with database.write() as session:
        put(session, "count", 0)
    clerks = [Clerk(database, number, seed) for number in range(6)]
    failures: list[BaseException] = []

    def run(clerk: Clerk) -> None:
        try:
            clerk.run(60)
        except BaseException as error:  # noqa: BLE001 - the test shows it
            failures.append(error)

    threads = [threading.Thread(target=run, args=(clerk,)) for clerk in clerks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WAIT_S)
    assert not failures
    expected = {"count": sum(clerk.counted for clerk in clerks)}
    for clerk in clerks:
        expected |= clerk.kept
    assert read_numbers(database) == expected
    with database.read() as session:
        assert connection_of(session).execute("PRAGMA integrity_check").fetchall() == [("ok",)]
