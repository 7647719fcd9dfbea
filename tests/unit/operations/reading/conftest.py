"""A repository with two commits to read."""

import pytest

from packhouse.auth.principal import Principal
from packhouse.git.oid import Oid
from packhouse.node.node import Node
from tests.support.builders.node_writes import commit_files


@pytest.fixture
def first(node: Node, caller: Principal, repo: str) -> Oid:
    """The first commit, on main."""
    files: dict[str, bytes | None] = {"a": b"one\n", "docs/b": b"two\n", "docs/deep/c": b"three\n"}
    return commit_files(node, caller, repo, "main", files).commit


@pytest.fixture
def second(node: Node, caller: Principal, repo: str, first: Oid) -> Oid:
    """The second commit, which changes one file and adds another."""
    files: dict[str, bytes | None] = {"docs/b": b"two\nmore\n", "z": b"last\n"}
    return commit_files(node, caller, repo, "main", files).commit
