"""What tests of SQL work on: a database in memory with organisation acme."""

from collections.abc import Iterator

import pytest

from packhouse.db.engines.sqlite_memory import SqliteMemory
from packhouse.db.orgs import insert_org
from packhouse.ids import RepoKey
from tests.support.builders.rows import add_repo


@pytest.fixture
def database() -> Iterator[SqliteMemory]:
    """An empty database with the present schema."""
    database = SqliteMemory()
    database.migrate(lambda: 100)
    yield database
    database.close()


@pytest.fixture
def org_id(database: SqliteMemory) -> int:
    """The id of organisation acme."""
    with database.write() as session:
        return insert_org(session, name="acme", now=100).id


@pytest.fixture
def repo_id(database: SqliteMemory, org_id: int) -> RepoKey:
    """The id of a repository whose default branch is main."""
    return add_repo(database, org_id, "shop")
