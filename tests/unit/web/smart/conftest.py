"""The handlers of Git over HTTP, on a node in memory with the real git."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from packhouse.auth.principal import Principal
from packhouse.config import Config
from packhouse.node.node import Node
from packhouse.operations.repos.create_repo import CreateRepo, create_repo
from packhouse.web.admission.admission import Admission, open_admission
from packhouse.web.smart import info_refs, receive_pack, upload_pack
from tests.support.servers.memory_edge import MemoryEdge


@pytest.fixture
def node(memory_node: Node) -> Node:
    """The node. Its clock goes, because tokens are checked by it."""
    memory_node.clock = lambda: int(time.time())
    return memory_node


@pytest.fixture
def caller(memory_caller: Principal) -> Principal:
    """A caller who may do everything."""
    return memory_caller


@pytest.fixture
def admission(node: Node, tmp_path: Path) -> Iterator[Admission]:
    """The bounds of a server process that runs only one transfer of a kind at once."""
    admission = open_admission(Config(data=tmp_path, threads=4, git_processes_max=1), node.limits)
    yield admission
    admission.close()


@pytest.fixture
def edge(node: Node, caller: Principal, admission: Admission) -> MemoryEdge:
    """The routes of Git over HTTP, and the empty repository `r`."""
    create_repo(node, caller, CreateRepo("r"))
    return MemoryEdge(node, admission, [*info_refs.ROUTES, *receive_pack.ROUTES, *upload_pack.ROUTES])
