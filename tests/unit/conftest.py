"""What unit tests of operations work on: a node in memory."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from packhouse.auth.principal import Principal, operator_principal
from packhouse.node.node import Node
from packhouse.operations.tenants.create_org import CreateOrg, create_org
from tests.support.servers.memory_node import open_memory_node


@pytest.fixture
def memory_node(tmp_path: Path) -> Iterator[Node]:
    """A node whose rows and packs are in memory; its clock stands at 1000 until a test moves it."""
    node = open_memory_node(tmp_path / "data")
    yield node
    node.close()


@pytest.fixture
def memory_caller(memory_node: Node) -> Principal:
    """Someone who may do everything in organisation acme of `memory_node`."""
    org = create_org(memory_node, CreateOrg("acme"))
    return operator_principal(org.id, org.name)
