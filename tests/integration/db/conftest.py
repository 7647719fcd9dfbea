"""Each test of this folder runs on SQLite and on PostgreSQL."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from packhouse.db.database import Database, open_database
from packhouse.db.orgs import Org, insert_org
from tests.support.postgres import PostgresServer
from tests.support.rows import add_repo


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of an empty database that only this test uses."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'packhouse.db'}"
    server: PostgresServer = request.getfixturevalue("postgres_server")
    return server.new_database()


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """An open database with the schema of this release."""
    database = open_database(database_url)
    database.migrate()
    yield database
    database.close()


@pytest.fixture
def org(database: Database) -> Org:
    """An organisation."""
    with database.write() as session:
        return insert_org(session, name=f"org-{uuid.uuid4().hex[:8]}", now=100)


@pytest.fixture
def repo_id(database: Database, org: Org) -> int:
    """A repository of `org` with default branch main."""
    return add_repo(database, org.id)
