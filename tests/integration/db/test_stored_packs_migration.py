"""The migration that gives stored packs their states, and the way back to the schema before it."""

import re
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Final

import psycopg
import pytest

from packhouse.db.engines.database import Database, open_database
from packhouse.db.orgs import insert_org
from packhouse.db.packs import (
    PackState,
    PassingPack,
    adopt_packs,
    list_known_packs,
    list_packs,
    list_repos_to_adopt,
    replace_packs,
    start_deleting,
)
from packhouse.db.repos import find_repo_by_id, insert_unborn_repo
from packhouse.git.packs.pack import Pack
from packhouse.ids import RepoId, RepoKey
from tests.support.builders.rows import (
    add_repo,
    add_repo_of_older_release,
    apply,
    ask,
    branch_update,
    note_pack,
    oid,
    write_ref_of_older_release,
)
from tests.support.builders.small_packs import small_pack

_PAGE: Final = Path(__file__).parents[3] / "docs/operating/upgrading.md"
_SQLITE_SCHEMA: Final = (
    "SELECT name, wr, strict FROM pragma_table_list WHERE schema = 'main' ORDER BY name",
    'SELECT t.name, c.cid, c.name, c.type, c."notnull", c.dflt_value, c.pk'
    " FROM sqlite_schema AS t, pragma_table_xinfo(t.name) AS c WHERE t.type = 'table' ORDER BY 1, 2",
    'SELECT t.name, k."table", k."from", k."to" FROM sqlite_schema AS t, pragma_foreign_key_list(t.name) AS k'
    " WHERE t.type = 'table' ORDER BY 1, 2, 3",
    "SELECT name, replace(tbl_name, '\"', ''), replace(sql, '\"', '') FROM sqlite_schema WHERE type <> 'table'"
    " ORDER BY name",
    # The constraints of a table, as words: a column that came later stands behind them.
    "SELECT name, length(sql) - length(replace(sql, 'CHECK', '')) FROM sqlite_schema ORDER BY name",
)
_POSTGRESQL_SCHEMA: Final = (
    "SELECT table_name, column_name, data_type, is_nullable, column_default, collation_name, is_identity"
    " FROM information_schema.columns WHERE table_schema = 'public' ORDER BY table_name, ordinal_position",
    "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1",
    "SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint"
    " WHERE connamespace = 'public'::regnamespace ORDER BY 1, 2",
)


def read_schema(database: Database, engine: str) -> list[list[tuple[object, ...]]]:
    queries = _SQLITE_SCHEMA if engine == "sqlite" else _POSTGRESQL_SCHEMA
    return [ask(database, query) for query in queries]


def insert_old_pack(
    database: Database, repo_id: RepoKey, seed: object, *, now: int, retired: int | None
) -> Pack:
    """List a pack as the first release did."""
    pack = Pack(oid(seed), 1000 + now, 3)
    with database.write() as session:
        session.define(
            "INSERT INTO packs (repo_id, name, size_bytes, objects, created_at, retired_at)"
            f" VALUES ({repo_id}, '{pack.name}', {pack.size_bytes}, 3, {now}, {retired or 'NULL'})"
        )
    return pack


def go_back(engine: str, url: str) -> None:
    """Run the statements for the engine from the page about upgrading."""
    section = _PAGE.read_text("utf-8").partition("\n## The way back\n")[2]
    title = "SQLite" if engine == "sqlite" else "PostgreSQL"
    match = re.search(rf"^{title},.*:\n\n((?:    .*\n)+)", section, re.MULTILINE)
    assert match, f"the page has no statements for {title}"
    if engine == "sqlite":
        lite = sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)
        lite.executescript(match[1])
        lite.close()
    else:
        with psycopg.connect(url, autocommit=True) as full:
            full.execute(match[1])


def test_the_migration_keeps_packs_and_refs_of_the_release_before(
    database_url: str, migrate_to: Callable[[Database, int], None]
) -> None:
    database = open_database(database_url)
    migrate_to(database, 5)
    with database.write() as session:
        org_id = insert_org(session, name="acme", now=1).id
    full, deleted, empty = (add_repo_of_older_release(database, org_id) for _ in range(3))
    write_ref_of_older_release(database, full, "refs/heads/main", oid("a"))
    late = insert_old_pack(database, full, 1, now=120, retired=None)
    early = insert_old_pack(database, full, 2, now=110, retired=None)
    retired = insert_old_pack(database, full, 3, now=100, retired=130)
    kept = insert_old_pack(database, deleted, 1, now=100, retired=None)
    with database.write() as session:
        session.define(f"UPDATE repos SET deleted_at = 200 WHERE id = {deleted}")
    database.migrate()
    with database.read() as session:
        listed, nothing = list_packs(session, full), list_packs(session, empty)
        assert list_known_packs(session, full)[retired.name] is PackState.RETIRED
        assert list_known_packs(session, deleted) == {kept.name: PackState.LIVE}
        repo = find_repo_by_id(session, full)
        waiting = [repo_id for repo_id, _ in list_repos_to_adopt(session, after=0, limit=10)]
    assert listed is not None
    assert listed.packs == (early, late)
    assert (listed.version, listed.state, listed.generation, listed.is_adopted) == (0, 0, 0, False)
    assert nothing is not None
    assert nothing.packs == ()
    assert waiting == [full, deleted, empty]
    assert repo is not None
    assert (repo.refs_version, repo.refs_state) == (1, 0)
    since = ask(database, f"SELECT name, state_since FROM stored_packs WHERE repo_id = {full}")
    assert dict(since) == {late.name: 120, early.name: 110, retired.name: 130}  # type: ignore[arg-type]  # pairs
    apply(database, full, branch_update("main", oid("a"), oid("b")), packs=[note_pack(database, full, 4)])
    with database.read() as session:
        after = list_packs(session, full)
    assert after is not None
    assert len(after.packs) == 3
    database.close()


@pytest.fixture
def filled(
    database_url: str, engine: str, migrate_to: Callable[[Database, int], None]
) -> tuple[Database, list[list[tuple[object, ...]]], RepoKey]:
    """A database of this release with packs in every state; the schema that it had before; its repository."""
    database = open_database(database_url)
    migrate_to(database, 5)
    before = read_schema(database, engine)
    database.migrate()
    assert read_schema(database, engine) != before
    with database.write() as session:
        org_id = insert_org(session, name="acme", now=1).id
        insert_unborn_repo(session, public_id=RepoId("repo_unborn"), org_id=org_id, name="unborn", now=1)
    repo_id = add_repo(database, org_id, "r")
    live = [note_pack(database, repo_id, seed, now=100) for seed in ("live", "retired")]
    apply(database, repo_id, branch_update("main", None, oid("a")), packs=live)
    with database.write() as session:
        replace_packs(session, repo_id, old=[live[1].name], new=[], state=7, now=300)
    deleting = note_pack(database, repo_id, "deleting", now=100)
    with database.write() as session:
        start_deleting(
            session,
            [PassingPack(repo_id, RepoId(""), deleting.name)],
            PackState.INCOMING,
            before=100,
            now=400,
        )
    note_pack(database, repo_id, "incoming", now=100)
    return database, before, repo_id


def test_the_way_back_restores_the_schema_and_data_of_the_release_before(
    filled: tuple[Database, list[list[tuple[object, ...]]], RepoKey],
    database_url: str,
    engine: str,
    migrate_to: Callable[[Database, int], None],
) -> None:
    database, before, repo_id = filled
    database.close()
    go_back(engine, database_url)
    database = open_database(database_url)
    assert read_schema(database, engine) == before
    assert [row[0] for row in ask(database, "SELECT version FROM schema_migrations ORDER BY 1")] == [
        1,
        2,
        3,
        4,
        5,
    ]
    packs = ask(database, "SELECT repo_id, name, size_bytes, objects, created_at, retired_at FROM packs")
    assert sorted(packs, key=lambda row: row[5] is None) == [
        (repo_id, oid("retired"), 1000, 3, 100, 300),
        (repo_id, oid("live"), 1000, 3, 100, None),
    ]
    assert ask(database, "SELECT refname, oid FROM refs") == [("refs/heads/main", oid("a"))]
    migrate_to(database, 5)  # the first release opens it
    database.close()


def test_the_way_back_is_refused_while_packs_are_in_the_journal(
    filled: tuple[Database, list[list[tuple[object, ...]]], RepoKey], database_url: str, engine: str
) -> None:
    database, _before, repo_id = filled
    apply(
        database, repo_id, branch_update("new", None, oid("b")), small_packs=[small_pack("row", b"content")]
    )
    now = read_schema(database, engine)
    database.close()
    with pytest.raises((sqlite3.IntegrityError, psycopg.errors.CheckViolation), match=r"flushed|row_count"):
        go_back(engine, database_url)
    database = open_database(database_url)
    assert read_schema(database, engine) == now
    with database.read() as session:
        listed = list_packs(session, repo_id)
    assert listed is not None
    assert [row.pack.name for row in listed.journal] == ["row".ljust(40, "0")]
    database.close()


def test_after_the_way_back_this_release_adopts_packs_that_release_1_has_written(
    filled: tuple[Database, list[list[tuple[object, ...]]], RepoKey], database_url: str, engine: str
) -> None:
    database, _before, repo_id = filled
    database.close()
    go_back(engine, database_url)
    database = open_database(database_url)
    made = insert_old_pack(database, repo_id, "made", now=500, retired=None)
    database.migrate()
    stray = Pack(oid("stray"), 9, 9)
    with database.write() as session:
        assert repo_id in [row_id for row_id, _ in list_repos_to_adopt(session, after=0, limit=10)]
        assert adopt_packs(session, repo_id, [stray], state=8, now=600)
        listed = list_packs(session, repo_id)
    assert listed is not None
    assert {pack.name for pack in listed.packs} == {oid("live"), made.name, stray.name}
    database.close()
