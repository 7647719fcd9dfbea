"""Histories are listed as `git log` lists them, page by page, and commits read as git shows them."""

import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from packhouse.auth.principal import Principal
from packhouse.config import Config
from packhouse.limits import Limits
from packhouse.node.node import Node, open_node
from packhouse.operations.reading import list_commits as module
from packhouse.operations.reading.list_commits import ListCommits, list_commits
from packhouse.operations.reading.read_commit import ReadCommit, read_commit
from tests.support.builders.histories import History, load_history, make_history
from tests.support.builders.seeds import seed_of
from tests.support.clients.git import Git


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    """A node on SQLite: nothing here depends on the database."""
    node = open_node(Config(data=tmp_path / "data"))
    yield node
    node.close()


@pytest.fixture(params=[20, 100])
def history(request: pytest.FixtureRequest, tmp_path: Path) -> History:
    """A random history."""
    git = Git(tmp_path / "home")
    return make_history(git, tmp_path / "src.git", seed_of(request), commits=request.param)


def list_all(node: Node, caller: Principal, ref: str, size: int, path: bytes | None = None) -> list[str]:
    """Return the ids of all pages of `size` commits."""
    seen: list[str] = []
    start = None
    while True:
        page = list_commits(node, caller, ListCommits("r", ref, path=path, start=start, count_max=size))
        assert len(page.commits) <= size
        seen += [listed.oid for listed in page.commits]
        start = page.following
        if start is None:
            return seen


def test_pages_add_up_to_git_log(
    node: Node, caller: Principal, history: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "STRETCH_COMMITS", 17)
    load_history(node, caller, history, "r")
    rng = random.Random(history.seed)
    for branch in history.branches:
        expected = history.run("log", "--format=%H", branch).split()
        assert list_all(node, caller, branch, rng.choice([1, 3, 20, 100])) == expected


def test_pages_of_huge_commits_end_early_and_miss_none(
    node: Node, caller: Principal, history: History
) -> None:
    node = replace(node, limits=Limits(commits_page_max_bytes=700))  # two or three of these commits
    load_history(node, caller, history, "r")
    first = list_commits(node, caller, ListCommits("r", "main", count_max=100))
    assert 1 < len(first.commits) < 8
    expected = history.run("log", "--format=%H", "main").split()
    assert list_all(node, caller, "main", 100) == expected


def test_a_path_selects_the_commits_that_git_log_selects(
    node: Node, caller: Principal, history: History
) -> None:
    load_history(node, caller, history, "r")
    rng = random.Random(history.seed)
    paths = sorted({path for branch in history.branches for path in history.files(branch)})
    folders = sorted({path.rsplit(b"/", 1)[0] for path in paths if b"/" in path})
    for path in [*rng.sample(paths, min(8, len(paths))), *folders[:4], b"src", b"*", b"absent"]:
        text = path.decode("utf-8", "surrogateescape")
        expected = history.git.run(
            "log",
            "--format=%H",
            "main",
            "--",
            text,
            cwd=history.folder,
            env={"GIT_LITERAL_PATHSPECS": "1"},
        ).split()
        assert list_all(node, caller, "main", rng.choice([2, 50]), path) == expected, path


def test_each_commit_reads_as_git_shows_it(node: Node, caller: Principal, history: History) -> None:
    load_history(node, caller, history, "r")
    form = "%H%x00%P%x00%an%x00%ae%x00%cn%x00%ce%x00%ct%x00%B"
    for commit in history.commits()[:40]:
        shown = history.git.try_run("log", "-1", f"--format={form}", commit, cwd=history.folder).stdout
        fields = shown.decode("utf-8", "replace").split("\0")
        found = read_commit(node, caller, ReadCommit("r", commit))
        listed = found.listed.commit
        assert fields[:-1] == [
            found.listed.oid,
            " ".join(listed.parents),
            listed.author.name,
            listed.author.email,
            listed.committer.name,
            listed.committer.email,
            str(listed.committer.when),
        ]
        assert fields[-1].rstrip("\n") == listed.message
        assert found.signature is None
