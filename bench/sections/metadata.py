"""The last commit of every path in 50,000 files with 2,000 commits, and pages of long histories."""

import os
import random
import statistics
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from bench.context import Context
from bench.report import Measure
from tests.support.clients.git import Git
from tests.support.clients.repo import Repo

FILES = 50_000
COMMITS = 2_000
CHANGES = 10  # files that a commit touches
RUNS = 5
COLD_AIM = 1.5  # times one pass of git log --name-status
DERIVED_AIM_MS = 50


def run(context: Context) -> Iterator[Measure]:
    """Measure the listing with metadata cold, warm and after one more commit, beside git's own pass."""
    git = context.git()
    files, commits = context.count(FILES), context.count(COMMITS)
    source = _write_history(git, context.folder / "source.git", files, commits)
    server = context.start_server()
    repo = server.new_org().create_repo()
    git.run("push", "--quiet", repo.remote("+import"), "main", cwd=source)
    passes = [_seconds(lambda: git.run("log", "--name-status", "main", cwd=source)) for _ in range(RUNS)]
    one_pass = min(passes)
    yield Measure("git log --name-status, one pass", one_pass * 1000, "ms", better="lower")
    cache = server.data / "cache" / "last-commits"
    cold = []
    for number in range(RUNS):
        # A commit with a known ancestor is not cold, so each run has its own repository.
        cold_repo = server.new_org().create_repo(f"cold/{number}")
        git.run("push", "--quiet", cold_repo.remote("+import"), "main", cwd=source)
        cold.append(_seconds(partial(_list, cold_repo, files)))
    yield Measure(
        f"all {files:,} files, cold",
        min(cold) * 1000,
        "ms",
        better="lower",
        aim=COLD_AIM * one_pass * 1000,
        baseline=("git log", one_pass * 1000),
    )
    _list(repo, files)
    after, warm, page, again = [], [], [], []
    for number in range(RUNS):
        repo.write_commit("main", {f"d00/s00/new{number}.txt": b"new\n"})
        after.append(_seconds(lambda: _list(repo, files)))
        warm.append(_seconds(lambda: _list(repo, files)))
        repo.write_commit("main", {f"d00/s01/new{number}.txt": b"new\n"})
        page.append(_seconds(lambda: _page(repo)))
        again.append(_seconds(lambda: _page(repo)))
    yield _ms(f"all {files:,} files after one more commit", after, aim=DERIVED_AIM_MS)
    yield _ms(f"all {files:,} files again", warm)
    yield _ms("a page of 1,000 after one more commit", page)
    yield _ms("the same page again", again)
    stored = sum(file.stat().st_size for file in cache.rglob("*") if file.is_file())
    yield Measure("cache on disk", stored / 1e6, "MB", better="lower")
    for skip in (0, commits // 2, max(0, commits - 100)):
        seconds = [_seconds(partial(_history, repo, skip)) for _ in range(RUNS)]
        yield _ms(f"100 commits, {skip:,} skipped", seconds)


def _ms(name: str, seconds: list[float], aim: float | None = None) -> Measure:
    return Measure(name, statistics.median(seconds) * 1000, "ms", better="lower", aim=aim)


def _seconds(call: Callable[[], object]) -> float:
    begin = time.perf_counter()
    call()
    return time.perf_counter() - begin


def _list(repo: Repo, files: int) -> None:
    reply = repo.v1("GET", "/repos/files/metadata")
    assert reply.status_code == 200, reply.text[:500]
    assert reply.content.count(b'"last_commit_sha"') >= files


def _page(repo: Repo) -> None:
    reply = repo.api("GET", "/files/metadata", params={"limit": "1000"})
    assert reply.status_code == 200, reply.text[:500]


def _history(repo: Repo, skip: int) -> None:
    reply = repo.api("GET", "/commits", params={"limit": "100", "cursor": str(skip)})
    assert reply.status_code == 200, reply.text[:500]


def _write_history(git: Git, folder: Path, files: int, commits: int) -> Path:
    """Make a repository in which each commit touches a few random files."""
    git.run("init", "--quiet", "--bare", folder)
    rng = random.Random(7)
    names = [f"d{n // 2500:02}/s{n // 100 % 25:02}/file{n:05}.txt" for n in range(files)]
    script = folder.with_suffix(".fi")
    with script.open("wb") as out:
        for number in range(commits):
            changed = names if number == 0 else rng.sample(names, min(CHANGES, files))
            out.write(b"commit refs/heads/main\ncommitter A <a@x> %d +0000\ndata 0\n" % (10**9 + number * 60))
            for name in changed:
                out.write(
                    b"M 100644 inline %s\ndata 64\n%s\n" % (name.encode(), os.urandom(32).hex().encode())
                )
            out.write(b"\n")
    git.run("fast-import", "--quiet", cwd=folder, stdin=script.read_bytes())
    git.run("repack", "-adq", cwd=folder)
    return folder
