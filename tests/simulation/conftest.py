"""The fixtures of a simulation run."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from packhouse.git.objects.reader import configure_libgit2
from packhouse.node import node as node_module
from packhouse.outbound.client import OutboundClient
from tests.simulation.run import run
from tests.simulation.world import World

Run = Callable[..., World]

_client = OutboundClient()


def _share_client(**_options: Any) -> OutboundClient:
    """Share one client. Nobody sends requests here, and reading the system's certificates takes longer than a run."""
    return _client


@pytest.fixture
def run_seed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Run the simulation with a seed, and with a mistake if one is given."""
    configure_libgit2()
    monkeypatch.setattr(node_module, "OutboundClient", _share_client)

    def run_seed(seed: int, **options: Any) -> World:
        return run(seed, tmp_path / "data", **options)

    return run_seed
