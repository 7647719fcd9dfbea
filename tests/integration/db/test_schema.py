"""Migrations: one schema on both engines, made once even if many processes start together."""

import multiprocessing
import re
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

import packhouse
from packhouse.db.engines import schema
from packhouse.db.engines.database import Database, open_database
from packhouse.db.engines.schema import (
    POSTGRESQL_WORDS,
    SQLITE_WORDS,
    DatabaseTooNew,
    load_migrations,
    lowest_release_beside,
)
from packhouse.db.orgs import Org, find_org
from packhouse.db.session import QUERIES
from packhouse.ids import RepoKey
from tests.support.servers.postgres import PostgresServer

RELEASED = [(1,), (2,), (3,), (4,), (5,), (6,), (7,), (8,)]
"""The versions of the migrations of this release."""

SPAWN = multiprocessing.get_context("spawn")

_SQLITE_COLUMNS = """
    SELECT t.name, c.name, c."notnull" OR c.pk FROM sqlite_schema AS t, pragma_table_info(t.name) AS c
    WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite%'
"""
_POSTGRESQL_COLUMNS = """
    SELECT table_name, column_name, CASE is_nullable WHEN 'NO' THEN 1 ELSE 0 END
    FROM information_schema.columns WHERE table_schema = 'public'
"""


def migrate(url: str) -> None:
    database = open_database(url)
    database.migrate()
    database.close()


def read_columns(database: Database, query: str) -> set[tuple[str, str, int]]:
    with database.read() as session:
        rows = session._connection.execute(query).fetchall()  # type: ignore[attr-defined]  # asks the engine
    return set(rows)


def test_both_engines_have_the_same_tables_and_columns(
    tmp_path: Path, postgres_server: PostgresServer
) -> None:
    lite = open_database(f"sqlite:///{tmp_path / 'packhouse.db'}")
    full = open_database(postgres_server.new_database())
    lite.migrate()
    full.migrate()
    columns = read_columns(lite, _SQLITE_COLUMNS)
    assert columns == read_columns(full, _POSTGRESQL_COLUMNS)
    tables = {table for table, _, _ in columns}
    assert {table for table, column, _ in columns if column == "created_at"} == tables
    assert tables > {
        "orgs", "keys", "signing_keys", "repos", "refs", "ref_log", "stored_packs", "journal", "upstreams",
        "git_credentials", "webhooks", "jobs", "settings",
    }  # fmt: skip
    lite.close()
    full.close()


def test_text_is_compared_by_bytes_on_postgresql_whatever_the_locale(
    postgres_server: PostgresServer,
) -> None:
    database = open_database(postgres_server.new_database())
    database.migrate()
    with database.read() as session:
        connection = session._connection  # type: ignore[attr-defined]  # asks the engine
        others = connection.execute(
            """SELECT table_name, column_name FROM information_schema.columns
               WHERE table_schema = 'public' AND data_type = 'text' AND collation_name IS DISTINCT FROM 'C'
                   AND table_name <> 'schema_migrations'"""
        ).fetchall()
    assert others == []
    database.close()


def test_migrating_again_changes_nothing(database: Database, org: Org) -> None:
    database.migrate()
    with database.read() as session:
        assert find_org(session, org.name) == org
        assert session.all("list_schema_migrations") == RELEASED


def test_a_schema_of_a_later_release_is_not_changed(database_url: str) -> None:
    database = open_database(database_url)
    database.migrate()
    with database.write() as session:
        session.run("insert_schema_migration", version=9999, name="from_the_future", now=1)
    database.migrate()
    with database.read() as session:
        assert session.all("list_schema_migrations") == [*RELEASED, (9999,)]
    database.close()


def become_later(monkeypatch: pytest.MonkeyPatch, folder: Path, release: int) -> None:
    """Turn this code into a later release, with one migration for each release in between."""
    folder.mkdir(exist_ok=True)
    for path in schema._MIGRATIONS_DIR.glob("*.sql"):
        shutil.copy(path, folder)
    for number in range(packhouse.RELEASE + 1, release + 1):
        text = f"CREATE TABLE later_{number} (id {{serial}}, created_at {{bigint}} NOT NULL) {{strict}};"
        (folder / f"90{number:02}_later.sql").write_text(text)
    monkeypatch.setattr(schema, "_MIGRATIONS_DIR", folder)
    monkeypatch.setattr(schema, "RELEASE", release)


@pytest.mark.parametrize("is_new", [True, False])
def test_a_database_may_be_one_release_ahead_but_not_two(
    database_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, is_new: bool
) -> None:
    ours = open_database(database_url)
    if not is_new:
        ours.migrate()
    for ahead, may_open in ((1, True), (2, False), (3, False)):
        with monkeypatch.context() as later:
            become_later(later, tmp_path / "later", packhouse.RELEASE + ahead)
            migrate(database_url)
        if may_open:
            ours.migrate()
            continue
        with pytest.raises(DatabaseTooNew, match=f"takes release {packhouse.RELEASE + ahead - 1} or later"):
            ours.migrate()
    ours.close()


def test_the_lowest_release_is_never_lowered(
    database_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    database = open_database(database_url)
    database.migrate()
    with database.write() as session:
        session.run("raise_lowest_release", lowest="10", now=1)
    become_later(monkeypatch, tmp_path / "later", 10)
    database.migrate()
    with database.read() as session:
        assert session.one("find_lowest_release") == ("10",)
    database.close()


def test_the_release_before_may_run_beside_each_release_except_the_second_and_third() -> None:
    assert [lowest_release_beside(release) for release in (1, 2, 3, 4, 5)] == [0, 2, 3, 3, 4]


@pytest.mark.parametrize(("release", "version"), [(1, 5), (2, 6)])
def test_a_server_of_release_1_or_2_does_not_open_a_schema_that_this_release_has_changed(
    database_url: str,
    monkeypatch: pytest.MonkeyPatch,
    migrate_to: Callable[[Database, int], None],
    release: int,
    version: int,
) -> None:
    database = open_database(database_url)
    migrate_to(database, version)
    database.migrate()
    monkeypatch.setattr(schema, "RELEASE", release)
    monkeypatch.setattr(schema, "load_migrations", lambda _words: [])
    with pytest.raises(DatabaseTooNew, match="takes release 3 or later"):
        database.migrate()
    database.close()


def test_a_running_server_of_release_1_fails_and_does_not_read_the_list_of_packs(
    database: Database, repo_id: RepoKey
) -> None:
    for statement in (
        f"SELECT name FROM packs WHERE repo_id = {repo_id} AND retired_at IS NULL",
        f"INSERT INTO packs (repo_id, name, size_bytes, objects, created_at) VALUES ({repo_id}, 'a', 1, 1, 1)",
        f"DELETE FROM packs WHERE repo_id = {repo_id}",
    ):
        with (
            pytest.raises((sqlite3.OperationalError, psycopg.errors.UndefinedTable), match="packs"),
            database.write() as session,
        ):
            session.define(statement)


def test_processes_that_start_at_once_migrate_once(database_url: str) -> None:
    processes = [SPAWN.Process(target=migrate, args=(database_url,)) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0] * 4
    database = open_database(database_url)
    with database.read() as session:
        assert session.all("list_schema_migrations") == RELEASED
    database.close()


WHOLE_TABLE = {
    "ping",
    "list_schema_migrations",
    "get_server_facts",
    # They read one database index, and seldom. The bound of the journal bounds them, too.
    "measure_journal",
    "list_journals",
    # It stops at the first row.
    "allow_release_without_journal",
}
"""Queries that read a whole table on purpose."""


def test_no_query_reads_a_whole_table(tmp_path: Path) -> None:
    database = open_database(f"sqlite:///{tmp_path / 'packhouse.db'}")
    database.migrate()
    scans = []
    with database.read() as session:
        for name, query in QUERIES.items():
            # An INSERT's plan names child tables that it looks into only while a foreign key is violated.
            if name in WHOLE_TABLE or not query.startswith(("SELECT", "UPDATE", "DELETE")):
                continue
            nulls = dict.fromkeys(re.findall(r":([a-z]\w*)", query))
            connection = session._connection  # type: ignore[attr-defined]  # asks the engine
            plan = connection.execute(f"EXPLAIN QUERY PLAN {query}", nulls).fetchall()
            steps = [step[3] for step in plan]
            # The rows of a subquery, or of a list in a parameter, are no table.
            made = {step.removeprefix("MATERIALIZE ") for step in steps if step.startswith("MATERIALIZE ")}
            scans += [
                (name, step)
                for step in steps
                if step.startswith("SCAN ") and step.split()[1] not in made and "VIRTUAL TABLE" not in step
            ]
    database.close()
    assert scans == []


def test_each_migration_has_a_text_for_both_engines() -> None:
    lite, full = load_migrations(SQLITE_WORDS), load_migrations(POSTGRESQL_WORDS)
    assert [(step.version,) for step in lite] == [(step.version,) for step in full] == RELEASED
    own = {step.version: len(step.statements) for step in full}
    own.update((step.version, own[step.version] - len(step.statements)) for step in lite)
    assert {version: count for version, count in own.items() if count} == {7: 2}, "settings of a table"
