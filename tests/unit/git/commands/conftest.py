"""A repository for each test of a command."""

import os
from pathlib import Path

import pytest

from tests.support.clients.git import Git
from tests.support.clients.git_runner import FakeGit, WorkTree


@pytest.fixture
def work(tmp_path: Path) -> WorkTree:
    """An empty work tree on branch main."""
    return WorkTree(Git(tmp_path / "home"), tmp_path / "work")


@pytest.fixture
def fake_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeGit:
    """What lets a script run in git's place."""

    def fake(script: str) -> None:
        program = tmp_path / "instead" / "git"
        program.parent.mkdir()
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", str(program.parent), prepend=os.pathsep)

    return fake
