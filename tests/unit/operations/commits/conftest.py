"""The repository that commits are made in."""

import pytest

from packhouse.auth import Principal
from packhouse.git import Oid
from packhouse.node import Node
from tests.support.builders.node_writes import commit_files
from tests.unit.operations.commits.stored import Stored


@pytest.fixture
def stored(node: Node, caller: Principal, repo: str) -> Stored:
    """What repository r holds; it is empty at first."""
    return Stored(node, caller)


@pytest.fixture
def root(node: Node, caller: Principal, repo: str) -> Oid:
    """The first commit of repository r, on main."""
    return commit_files(node, caller, repo, "main", {"a": b"one\n", "folder/b": b"two\n"}).commit
