"""Support for tests of an opened repository: a node in memory with one repository."""

import pytest

from packhouse.auth.principal import Principal
from packhouse.db.repos import Repo
from packhouse.node.node import Node
from packhouse.operations.catalog.lookup import lookup_repo
from packhouse.operations.repos.create_repo import CreateRepo, create_repo
from tests.unit.repository.line import Line


@pytest.fixture
def node(memory_node: Node) -> Node:
    """The node."""
    return memory_node


@pytest.fixture
def caller(memory_caller: Principal) -> Principal:
    """A caller who may do everything."""
    return memory_caller


@pytest.fixture
def repo(node: Node, caller: Principal) -> Repo:
    """The empty repository `shop` of organisation acme, whose default branch is main."""
    create_repo(node, caller, CreateRepo("shop"))
    return lookup_repo(node, caller, "shop")


@pytest.fixture
def line(node: Node, caller: Principal, repo: Repo) -> Line:
    """Four commits in a row in `repo`, with main on the last."""
    return Line(node, caller, repo)
