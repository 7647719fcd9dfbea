"""A node without a disk, and the callers of its operations."""

import pytest

from packhouse.auth.principal import Principal, operator_principal
from packhouse.node.node import Node
from packhouse.operations.repos.create_repo import CreateRepo, create_repo
from packhouse.operations.tenants.create_org import CreateOrg, create_org


@pytest.fixture
def node(memory_node: Node) -> Node:
    """The node; its clock stands at 1000 until a test moves it."""
    return memory_node


@pytest.fixture
def caller(memory_caller: Principal) -> Principal:
    """A caller who may do everything in organisation acme."""
    return memory_caller


@pytest.fixture
def stranger(node: Node) -> Principal:
    """A caller who may do everything in another organisation."""
    org = create_org(node, CreateOrg("elsewhere"))
    return operator_principal(org.id, org.name)


@pytest.fixture
def repo(node: Node, caller: Principal) -> str:
    """The name of an empty repository of acme; its default branch is main."""
    return create_repo(node, caller, CreateRepo("r")).name
