"""The real git, with its own home folder and configuration."""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

GIT_TIMEOUT_S = 120

_CONFIG = """\
[user]
    name = Ada
    email = ada@example.test
[init]
    defaultBranch = main
[advice]
    detachedHead = false
[protocol "file"]
    allow = always
[gc]
    auto = 0
[core]
    fsync = none
"""


class GitError(AssertionError):
    """git ended with a status that the test did not allow. The message has its output."""


class Git:
    """Runs git without system or personal configuration and without prompts."""

    def __init__(self, home: Path, *, ca: Path | None = None) -> None:
        home.mkdir(parents=True, exist_ok=True)
        (home / ".gitconfig").write_text(_CONFIG)
        self.home = home
        self.env = {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "LC_ALL": "C.UTF-8",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_ASKPASS": "",
        }
        if ca is not None:
            self.env["GIT_SSL_CAINFO"] = str(ca)

    def try_run(
        self,
        *args: str | Path,
        cwd: Path | None = None,
        stdin: bytes = b"",
        env: Mapping[str, str] | None = None,
        timeout_s: float = GIT_TIMEOUT_S,
    ) -> subprocess.CompletedProcess[bytes]:
        """Run git and return its status and output, whatever the status is."""
        return subprocess.run(
            ["git", *map(str, args)],
            cwd=cwd or self.home,
            input=stdin,
            env={**self.env, **(env or {})},
            capture_output=True,
            timeout=timeout_s,
        )

    def run(
        self,
        *args: str | Path,
        cwd: Path | None = None,
        stdin: bytes = b"",
        env: Mapping[str, str] | None = None,
        timeout_s: float = GIT_TIMEOUT_S,
    ) -> str:
        """Run git and return its output without surrounding blanks. Raises GitError unless the status is 0."""
        done = self.try_run(*args, cwd=cwd, stdin=stdin, env=env, timeout_s=timeout_s)
        if done.returncode:
            stderr = done.stderr.decode("utf-8", "replace")
            raise GitError(f"git {' '.join(map(str, args))}: status {done.returncode}\n{stderr}")
        return done.stdout.decode("utf-8", "surrogateescape").strip()

    def init(self, folder: Path) -> Path:
        """Make an empty work tree on branch main."""
        self.run("init", "--quiet", folder)
        return folder

    def clone(self, url: str, folder: Path, *options: str) -> Path:
        """Clone `url` into `folder` and return the folder."""
        self.run("clone", "--quiet", *options, url, folder)
        return folder

    def commit(self, work: Path, files: Mapping[str, bytes | None], message: str = "change") -> str:
        """Write files in a work tree (None removes one), commit everything and return the commit's id."""
        for name, content in files.items():
            path = work / name
            if content is None:
                path.unlink()
            else:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
        self.run("add", "--all", cwd=work)
        self.run("commit", "--quiet", "--allow-empty", "-m", message, cwd=work)
        return self.run("rev-parse", "HEAD", cwd=work)

    def ls_remote(self, url: str, *patterns: str) -> dict[str, str]:
        """Return refname to object id, as the remote advertises them."""
        lines = self.run("ls-remote", url, *patterns).splitlines()
        return {name: oid for oid, name in (line.split("\t") for line in lines)}

    def count_commits(self, url: str, branch: str, scratch: Path) -> int:
        """Return the number of commits of `branch` on the remote. `scratch` must not exist yet."""
        self.clone(url, scratch, "--bare", "--single-branch", "--branch", branch)
        return int(self.run("rev-list", "--count", branch, cwd=scratch))
