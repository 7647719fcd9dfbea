"""Stores of each kind for the tests that ask all of them the same."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from packhouse.storage.store import PackStore
from tests.support.builders.store_bench import Bench, DiskBench, MemoryBench


@pytest.fixture(params=["memory", "disk"])
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    """An empty store of each kind."""
    bench = MemoryBench() if request.param == "memory" else DiskBench(tmp_path / "data")
    yield bench
    bench.store.close()


@pytest.fixture
def store(bench: Bench) -> PackStore:
    """The store of `bench`."""
    return bench.store
