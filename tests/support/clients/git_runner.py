"""A test's own repository, with the interface that the modules of git's commands use."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from packhouse.git.commands.blame import BlameUnreadable
from packhouse.git.commands.environment import GitPlace
from packhouse.git.commands.run import GitFailed
from packhouse.git.oid import Oid
from tests.support.clients.git import Git

FakeGit = Callable[[str], None]
"""Lets a shell script run in git's place from then on; a WorkTree's own git stays the real one."""


def run_instead_of_git(script: str, folder: Path, patch: pytest.MonkeyPatch) -> None:
    """Let a shell script run in git's place until the end of the test. It is kept in `folder`."""
    program = folder / "instead" / "git"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    patch.setenv("PATH", str(program.parent), prepend=os.pathsep)


class DamageTold(BlameUnreadable):
    """A strict repository raises this for a complaint. The complaint is its cause."""


class WorkTree:
    """A real work tree on which commands run. It records the complaints that it is asked to check.

    With `is_strict` it raises DamageTold for each complaint, like a repository that finds damage.
    """

    def __init__(self, git: Git, folder: Path) -> None:
        self.git = git
        self.folder = git.init(folder)
        self.complaints: list[tuple[GitFailed, bool]] = []
        self.is_strict = False

    def place(self) -> GitPlace:
        return GitPlace(self.folder / ".git")

    def check(self, complaint: GitFailed, *, may_lack: bool = False) -> None:
        self.complaints.append((complaint, may_lack))
        if self.is_strict:
            raise DamageTold() from complaint

    def run(self, *args: str | Path, stdin: bytes = b"") -> str:
        """Run git in the work tree and return its output, stripped."""
        return self.git.run(*args, cwd=self.folder, stdin=stdin)

    def oid(self, revision: str = "HEAD") -> Oid:
        """Return the id that a revision names."""
        return Oid(self.run("rev-parse", revision))

    def commit(self, files: dict[str, bytes | None], message: str = "change") -> Oid:
        """Write or remove these files, commit everything and return the commit."""
        return Oid(self.git.commit(self.folder, files, message))

    def write(self, kind: str, content: bytes) -> Oid:
        """Store an object with any content."""
        asked = ("hash-object", "-w", "-t", kind, "--literally", "--stdin")
        return Oid(self.run(*asked, stdin=content))

    def remove(self, oid: Oid) -> None:
        """Remove a loose object."""
        (self.folder / ".git" / "objects" / oid[:2] / oid[2:]).unlink()

    def corrupt(self, oid: Oid) -> None:
        """Replace the content of a loose object by nonsense."""
        path = self.folder / ".git" / "objects" / oid[:2] / oid[2:]
        path.chmod(0o644)
        path.write_bytes(b"nonsense")
