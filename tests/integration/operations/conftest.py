"""Operations on a node of their own, on SQLite and on PostgreSQL."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from packhouse.auth.principal import Principal, operator_principal
from packhouse.config import Config
from packhouse.limits import DEFAULT_LIMITS, Limits
from packhouse.node.node import Node, open_node
from packhouse.operations.tenants.create_org import CreateOrg, create_org
from tests.support.servers.postgres import PostgresServer


@pytest.fixture
def limits() -> Limits:
    """The bounds that the node is opened with; a module whose tests need others has a fixture of this name."""
    return DEFAULT_LIMITS


@pytest.fixture(params=["sqlite", "postgres"])
def node(request: pytest.FixtureRequest, tmp_path: Path, limits: Limits) -> Iterator[Node]:
    """A node with an empty database; its clock stands at 1000 until a test moves it."""
    url = ""
    if request.param == "postgres":
        server: PostgresServer = request.getfixturevalue("postgres_server")
        url = server.new_database()
    node = open_node(Config(data=tmp_path / "data", database=url), limits=limits)
    node.clock = lambda: 1000
    yield node
    node.close()


@pytest.fixture
def caller(node: Node) -> Principal:
    """A caller who may do everything in organisation acme."""
    org = create_org(node, CreateOrg("acme"))
    return operator_principal(org.id, org.name)
