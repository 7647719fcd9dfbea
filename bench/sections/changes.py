"""Diff, blame and grep over HTTP, next to the same git command on a bare clone."""

import random
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from bench.context import Context
from bench.report import Measure
from tests.support.clients.git import Git
from tests.support.clients.repo import Repo

FILES = 20_000
COMMITS = 400
BLAMED = "src/blamed.py"


def run(context: Context) -> Iterator[Measure]:
    """Measure each call and its git command in turn, so that both see the same state of the machine."""
    server = context.start_server()
    repo = server.new_org().create_repo()
    git = context.git()
    bare = context.folder / "source.git"
    git.run("init", "--quiet", "--bare", bare)
    script = b"".join(_script(context.count(FILES), context.count(COMMITS)))
    git.run("fast-import", "--quiet", "--date-format=raw", cwd=bare, stdin=script)
    git.run("repack", "-adq", cwd=bare)
    git.run("push", "--quiet", repo.remote(), "main", cwd=bare)
    first = git.run("rev-list", "--max-parents=0", "main", cwd=bare)
    diff = ("diff", "-M", "-C", "-b")
    calls: list[tuple[str, Callable[[], Any], tuple[str, ...], float | None]] = [
        ("diff of one commit", _get(repo, "/diff", ref="main"), (*diff, "main^", "main"), None),
        (
            f"diff of {context.count(COMMITS)} commits",
            _get(repo, "/diff", ref="main", base_ref=first),
            (*diff, first, "main"),
            None,
        ),
        ("blame", _get(repo, "/blame", path=BLAMED), ("blame", "--porcelain", "main", "--", BLAMED), None),
        ("grep, one match in a thousand files", _grep(repo, "needle[0-9]"), _git_grep("needle[0-9]"), 1.2),
        ("grep, no match", _grep(repo, "no(where|thing)x"), _git_grep("no(where|thing)x"), 1.2),
        (
            "grep, globs take every file",
            _grep(repo, "no(where|thing)x", include_globs=["*.py"]),
            _git_grep("no(where|thing)x"),
            None,
        ),
    ]
    for name, call, command, aim in calls:
        yield _compare(context, name, call, git, bare, command, aim)


def _compare(
    context: Context,
    name: str,
    call: Callable[[], Any],
    git: Git,
    bare: Path,
    command: tuple[str, ...],
    aim: float | None,
) -> Measure:
    ours, theirs = [], []
    for _ in range(context.count(100) // 10 + 3):
        ours.append(_seconds(call))
        theirs.append(_seconds(lambda: git.try_run(*command, cwd=bare)))
    mine, baseline = statistics.median(ours) * 1000, statistics.median(theirs) * 1000
    return Measure(
        name,
        mine,
        "ms",
        better="lower",
        aim=None if aim is None else aim * baseline,
        baseline=(f"git {command[0]} ({baseline:.0f} ms)", baseline),
    )


def _seconds(call: Callable[[], Any]) -> float:
    began = time.monotonic()
    call()
    return time.monotonic() - began


def _get(repo: Repo, path: str, /, **query: str) -> Callable[[], None]:
    def call() -> None:
        reply = repo.api("GET", path, params=query)
        assert reply.status_code == 200, reply.text

    return call


def _grep(repo: Repo, pattern: str, **filters: list[str]) -> Callable[[], None]:
    def call() -> None:
        reply = repo.api("POST", "/grep", json={"query": {"pattern": pattern}, "file_filters": filters})
        assert reply.status_code == 200, reply.text

    return call


def _git_grep(pattern: str) -> tuple[str, ...]:
    return ("grep", "-n", "-I", "-E", "-e", pattern, "main")


def _script(files: int, commits: int) -> Iterator[bytes]:
    """Yield a history for git-fast-import(1): many files, then commits that each edit a few."""
    rng = random.Random(1)
    blamed = [b"line %d\n" % number for number in range(500)]
    for number in range(commits + 1):
        yield b"commit refs/heads/main\ncommitter Ada <ada@example.test> %d +0000\n" % (
            1_700_000_000 + number
        )
        yield b"data 7\nchange\n\n"
        for file in range(files) if number == 0 else rng.sample(range(files), 5):
            lines = [b"word %d of %d in %d\n" % (rng.randrange(1000), line, file) for line in range(60)]
            if file % 1000 == 7:
                lines.append(b"needle7\n")
            yield _file(b"src/%d/%d.py" % (file % 100, file), b"".join(lines))
        blamed[rng.randrange(len(blamed))] = b"line of %d\n" % number
        yield _file(BLAMED.encode(), b"".join(blamed))


def _file(path: bytes, content: bytes) -> bytes:
    return b"M 100644 inline %s\ndata %d\n%s\n" % (path, len(content), content)
