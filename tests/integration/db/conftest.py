"""Each test of this folder runs on SQLite, on disk and in memory, and on PostgreSQL."""

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from packhouse.db.engines import schema
from packhouse.db.engines.database import Database, open_database
from packhouse.db.engines.sqlite_memory import SqliteMemory
from packhouse.db.orgs import Org, insert_org
from packhouse.ids import RepoKey
from tests.support.builders.rows import add_repo
from tests.support.servers.postgres import PostgresServer

_EMPTY_ALL_TABLES = """
    DO $$ BEGIN EXECUTE (
        SELECT 'TRUNCATE ' || string_agg(tablename, ', ') || ' RESTART IDENTITY'
        FROM pg_tables WHERE schemaname = 'public' AND tablename NOT IN ('schema_migrations', 'settings')
    ); END $$
"""


@pytest.fixture(params=["sqlite", "postgres"])
def engine(request: pytest.FixtureRequest) -> str:
    """The engine of this run of the test, for tests that open the database themselves."""
    return str(request.param)


@pytest.fixture(params=["sqlite", "memory", "postgres"])
def database_kind(request: pytest.FixtureRequest) -> str:
    """The kind of `database` in this run of the test."""
    return str(request.param)


@pytest.fixture
def database_url(engine: str, request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of an empty database, without a schema, that only this test uses."""
    if engine == "sqlite":
        return f"sqlite:///{tmp_path / 'packhouse.db'}"
    server: PostgresServer = request.getfixturevalue("postgres_server")
    return server.new_database()


@pytest.fixture(scope="session")
def migrated_postgres(postgres_server: PostgresServer) -> str:
    """The address of a PostgreSQL database with this release's schema, shared because emptying it is cheaper."""
    url = postgres_server.new_database()
    database = open_database(url)
    database.migrate()
    database.close()
    return url


@pytest.fixture
def database(database_kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """An open database with the schema of this release and nothing in it."""
    if database_kind != "postgres":
        is_file = database_kind == "sqlite"
        database = open_database(f"sqlite:///{tmp_path / 'packhouse.db'}") if is_file else SqliteMemory()
        database.migrate()
    else:
        url: str = request.getfixturevalue("migrated_postgres")
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(_EMPTY_ALL_TABLES)
        database = open_database(url)
    yield database
    database.close()


@pytest.fixture
def org(database: Database) -> Org:
    """An organisation."""
    with database.write() as session:
        return insert_org(session, name=f"org-{uuid.uuid4().hex[:8]}", now=100)


@pytest.fixture
def repo_id(database: Database, org: Org) -> RepoKey:
    """A repository of `org` with default branch main."""
    return add_repo(database, org.id)


@pytest.fixture
def migrate_to(monkeypatch: pytest.MonkeyPatch) -> Callable[[Database, int], None]:
    """Run the migrations up to one of them, as the first release did."""
    every = schema.load_migrations

    def run(database: Database, version: int) -> None:
        with monkeypatch.context() as earlier:
            earlier.setattr(schema, "RELEASE", 1)
            earlier.setattr(
                schema,
                "load_migrations",
                lambda words: [step for step in every(words) if step.version <= version],
            )
            database.migrate()

    return run
