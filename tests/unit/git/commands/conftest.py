"""A repository for each test of a command."""

from pathlib import Path

import pytest

from tests.support.clients.git import Git
from tests.support.clients.git_runner import WorkTree


@pytest.fixture
def work(tmp_path: Path) -> WorkTree:
    """An empty work tree on branch main."""
    return WorkTree(Git(tmp_path / "home"), tmp_path / "work")
