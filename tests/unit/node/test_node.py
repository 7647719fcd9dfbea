"""Opening a node: what is made, what is closed, and that a run can be replayed."""

import dataclasses
from pathlib import Path

import pytest

from packhouse.auth.sealing import SecretKeys
from packhouse.config import Config
from packhouse.node.installation import NoData
from packhouse.node.node import Node, open_existing_node, open_node

pytestmark = pytest.mark.quick


def test_opening_makes_the_data_folder_its_database_and_its_key(tmp_path: Path) -> None:
    config = Config(data=tmp_path / "data")
    with_files = open_node(config)
    with_files.check()
    with_files.close()
    assert (tmp_path / "data/packhouse.db").exists()
    assert not SecretKeys(config.secret_keys_path).is_missing()


def test_an_installation_is_opened_again_with_its_own_key(tmp_path: Path) -> None:
    config = Config(data=tmp_path / "data")
    open_node(config).close()
    key = config.secret_keys_path.read_bytes()
    for opener in (open_node, open_existing_node):
        opener(config).close()
        assert config.secret_keys_path.read_bytes() == key


def test_where_nothing_is_nothing_is_made(tmp_path: Path) -> None:
    with pytest.raises(NoData):
        open_existing_node(Config(data=tmp_path / "data"))
    assert list(tmp_path.iterdir()) == []


def test_states_come_from_the_random_bytes_that_a_node_is_given(memory_node: Node) -> None:
    memory_node.random_bytes = lambda size: b"\xff" * size
    assert memory_node.new_state() == 2**63 - 1  # what a signed column of SQL can hold
    memory_node.random_bytes = bytes
    assert memory_node.new_state() == 0


def test_the_clock_of_a_node_may_be_moved_after_it_was_opened(memory_node: Node) -> None:
    memory_node.clock = lambda: 5
    assert memory_node._read_clock() == 5


def test_caches_have_the_bounds_of_their_node(memory_node: Node) -> None:
    limits = dataclasses.replace(memory_node.limits, history_stretches_max=1)
    small = Node(
        config=memory_node.config, database=memory_node.database, store=memory_node.store, limits=limits
    )
    for number in range(3):
        small.histories.put((1, "a" * 40, number), ())  # type: ignore[arg-type]  # any key does
    assert len(small.histories) == 1
