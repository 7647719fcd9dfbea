"""A repository for each test of a command."""

from pathlib import Path

import pytest

from tests.support.clients.git import Git
from tests.support.clients.git_runner import FakeGit, WorkTree, run_instead_of_git


@pytest.fixture
def work(tmp_path: Path) -> WorkTree:
    """An empty work tree on branch main."""
    return WorkTree(Git(tmp_path / "home"), tmp_path / "work")


@pytest.fixture
def fake_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeGit:
    """Runs a script in the place of git."""
    return lambda script: run_instead_of_git(script, tmp_path, monkeypatch)
