"""Support for tests of background loops: a node in memory whose database can go away, and clocks that stand still."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from packhouse.auth.principal import Principal, operator_principal
from packhouse.db.engines.sqlite_memory import SqliteMemory
from packhouse.db.session import DatabaseAway, Session
from packhouse.node.node import Node
from packhouse.operations.tenants.create_org import CreateOrg, create_org
from tests.support.servers.memory_node import open_memory_node


class MemoryWithOutages(SqliteMemory):
    """A database in memory that refuses every session while `is_away`."""

    def __init__(self) -> None:
        super().__init__()
        self.is_away = False
        self.refused = 0
        self.unused_steps = 0
        """Steps of a vacuum that are due."""

    def _check(self) -> None:
        if self.is_away:
            self.refused += 1
            raise DatabaseAway("switched off by the test")

    @contextmanager
    def read(self) -> Iterator[Session]:
        self._check()
        with super().read() as session:
            yield session

    @contextmanager
    def write(self) -> Iterator[Session]:
        self._check()
        with super().write() as session:
            yield session

    def vacuum_some(self) -> bool:
        self._check()
        self.unused_steps -= 1
        return self.unused_steps >= 0


class Clocks:
    """The two clocks of a loop, which only the test moves: the wall clock and the monotonic one."""

    def __init__(self, node: Node) -> None:
        self.now = 1000
        node.clock = lambda: self.now
        node.monotonic = lambda: self._monotonic_s
        self._monotonic_s = 0.0

    def advance(self, seconds: float) -> None:
        """Let time go by on both clocks."""
        self.now += round(seconds)
        self._monotonic_s += seconds

    def sleep(self, seconds: int) -> None:
        """Let the wall clock alone go on, as it does while a machine is suspended."""
        self.now += seconds


@pytest.fixture
def database() -> MemoryWithOutages:
    return MemoryWithOutages()


@pytest.fixture
def node(tmp_path: Path, database: MemoryWithOutages) -> Iterator[Node]:
    """A node in memory; leases last 30 s."""
    node = open_memory_node(tmp_path / "data", database=database)
    assert node.config.job_lease_s == 30
    yield node
    database.is_away = False
    node.close()


@pytest.fixture
def clocks(node: Node) -> Clocks:
    return Clocks(node)


@pytest.fixture
def caller(node: Node) -> Principal:
    """Someone who may do everything in organisation acme."""
    org = create_org(node, CreateOrg("acme"))
    return operator_principal(org.id, org.name)
