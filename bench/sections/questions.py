"""Diff, blame, grep and history over HTTP, next to the same git command."""

import json
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

from bench.big_repo import make_history, make_long_file
from bench.context import Context
from bench.report import Measure
from bench.timing import take_turns, timed_git, timed_request
from tests.support.git import Git
from tests.support.org import Org
from tests.support.repo import Repo


def run(context: Context) -> Iterator[Measure]:
    """Measure each question with the server and git taking turns."""
    git = context.git()
    org = context.start_server().new_org()
    rounds = context.count(20)
    wide = context.folder / "wide.git"
    files, commits = (1000, 50) if context.quick else (20_000, 500)
    make_history(git, wide, files=files, commits=commits)
    repo = _pushed(org, git, wide)
    tip = git.run("rev-parse", "main", cwd=wide)
    yield from _question(
        rounds, repo, git, wide, "commit diff", ("diff", "-M", "-C", f"{tip}^", tip), f"diff?sha={tip}"
    )
    old = git.run("rev-parse", f"main~{commits // 2}", cwd=wide)
    yield from _question(
        rounds,
        repo,
        git,
        wide,
        f"diff over {commits // 2} commits",
        ("diff", "-M", "-C", old, tip),
        f"diff?{urlencode({'sha': tip, 'baseSha': old})}",
    )
    yield from _question(
        rounds,
        repo,
        git,
        wide,
        "log of 20 commits",
        ("log", "-20", "--format=raw", "main"),
        "commits?limit=20",
    )
    for name, pattern in (("a word", "needle"), ("an expression", "need[a-l]e$")):
        yield from _grep(rounds, repo, git, wide, f"grep {files:,} files for {name}", pattern)
    long = context.folder / "long.git"
    make_long_file(git, long, commits=20 if context.quick else 800)
    yield from _question(
        rounds,
        _pushed(org, git, long),
        git,
        long,
        "blame of 2,000 lines, 800 commits",
        ("blame", "--porcelain", "main", "--", "long.txt"),
        "blame?path=long.txt",
    )


def _pushed(org: Org, git: Git, source: Path) -> Repo:
    repo = org.create_repo()
    git.run("push", "--quiet", repo.remote(), "main", cwd=source, timeout_s=600)
    return repo


def _question(
    rounds: int, repo: Repo, git: Git, folder: Path, name: str, command: tuple[str, ...], target: str
) -> Iterator[Measure]:
    ours, theirs = take_turns(
        rounds,
        lambda: timed_request(repo, "GET", f"/api/v1/repos/{target}")[0],
        lambda: timed_git(git, folder, *command),
    )
    yield _next_to_git(name, ours, theirs)


def _grep(rounds: int, repo: Repo, git: Git, folder: Path, name: str, pattern: str) -> Iterator[Measure]:
    body = json.dumps({"query": {"pattern": pattern}}).encode()
    ours, theirs = take_turns(
        rounds,
        lambda: timed_request(repo, "POST", "/api/v1/repos/grep", body=body)[0],
        lambda: timed_git(git, folder, "grep", "-I", "-n", "-E", pattern, "main"),
    )
    yield _next_to_git(name, ours, theirs, aim=1.2 * theirs * 1000)


def _next_to_git(name: str, ours: float, theirs: float, aim: float | None = None) -> Measure:
    return Measure(name, ours * 1000, "ms", better="lower", baseline=("git", theirs * 1000), aim=aim)
