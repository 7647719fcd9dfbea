"""The last commit of each path is what `git log -1` says, however it is found."""

import random
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from packhouse.auth.principal import Principal
from packhouse.config import Config
from packhouse.db.repos import Repo
from packhouse.errors import LimitExceeded
from packhouse.git.oid import Oid
from packhouse.limits import Limits
from packhouse.node.file_map import FileMap, FileRecord
from packhouse.node.last_commit_cache import LastCommit, LastCommitCache
from packhouse.node.node import Node, open_node
from packhouse.operations.catalog.lookup import lookup_repo
from packhouse.operations.reading.list_file_metadata import ListFileMetadata, list_file_metadata
from packhouse.operations.reading.open_file import OpenFile, open_file
from packhouse.repository.history import attribution, file_maps
from packhouse.repository.history.file_maps import read_file_map
from packhouse.repository.history.last_commit import PathNotFound, read_last_commit
from packhouse.repository.view import open_view
from tests.support.builders.histories import History, load_history, make_history
from tests.support.builders.seeds import seed_of
from tests.support.clients.git import Git


def file_map(node: Node, repo: Repo, commit: Oid) -> FileMap:
    with open_view(node, repo) as view:
        return read_file_map(view, commit)


def last_commit(node: Node, repo: Repo, commit: Oid, path: bytes) -> LastCommit:
    with open_view(node, repo) as view:
        return read_last_commit(view, commit, path)


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    """A node on SQLite: nothing here depends on the database."""
    node = open_node(Config(data=tmp_path / "data"))
    yield node
    node.close()


@pytest.fixture(params=[8, 40, 120])
def history(request: pytest.FixtureRequest, tmp_path: Path) -> History:
    """A random history."""
    git = Git(tmp_path / "home")
    return make_history(git, tmp_path / "src.git", seed_of(request), commits=request.param)


def expected_answers(history: History, commit: str) -> dict[bytes, str]:
    """Return what git says of every path of a commit."""
    return {path: history.last_commit(commit, path) for path in history.files(commit)}


def answers_of(found: FileMap) -> dict[bytes, str]:
    """Return the map as git's answers look."""
    return {path: str(record.last_commit) for path, record in zip(found.paths, found.records, strict=True)}


def forget(node: Node) -> None:
    """Let the node forget what it keeps in memory."""
    node.last_commits = LastCommitCache(node.limits)
    node.tree_tables.clear()


def test_maps_are_right_computed_derived_and_read_back(
    node: Node, caller: Principal, history: History
) -> None:
    repo = load_history(node, caller, history, "r")
    rng = random.Random(history.seed)
    commits = rng.sample(history.commits(), min(10, len(history.commits())))
    expected = {commit: expected_answers(history, commit) for commit in commits}
    for commit in commits:
        assert answers_of(file_map(node, repo, Oid(commit))) == expected[commit], commit
    forget(node)
    for commit in reversed(commits):
        found = file_map(node, repo, Oid(commit))
        assert answers_of(found) == expected[commit], commit
        listed = {path: record.mode for path, record in zip(found.paths, found.records, strict=True)}
        assert listed == {path: mode for path, (mode, _) in history.files(commit).items()}
        assert found.paths == sorted(found.paths)


def test_each_commit_derived_from_its_parent_is_right(
    node: Node, caller: Principal, history: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_maps, "_WHOLE_ROWS_MAX", 0)  # so that small maps are chained like large ones
    repo = load_history(node, caller, history, "r")
    line = history.run("rev-list", "--first-parent", "--reverse", history.branches[0]).split()
    for commit in line[-40:]:
        assert answers_of(file_map(node, repo, Oid(commit))) == expected_answers(history, commit), commit
    forget(node)
    assert answers_of(file_map(node, repo, Oid(line[-1]))) == expected_answers(history, line[-1])


def test_single_paths_are_right_with_and_without_a_map(
    node: Node, caller: Principal, history: History
) -> None:
    repo = load_history(node, caller, history, "r")
    rng = random.Random(history.seed)
    commits = rng.sample(history.commits(), min(6, len(history.commits())))
    for commit in commits:
        for path, last in expected_answers(history, commit).items():
            assert last_commit(node, repo, Oid(commit), path).oid == last, (commit, path)


def test_sizes_are_those_of_the_blobs(node: Node, caller: Principal, history: History) -> None:
    repo = load_history(node, caller, history, "r")
    tip = history.run("rev-parse", history.branches[0])
    parent = history.run("rev-list", "--max-count=2", "--first-parent", tip).split()[-1]
    file_map(node, repo, Oid(parent))
    found = file_map(node, repo, Oid(tip))
    for path, (mode, oid) in history.files(tip).items():
        record = found.find(path)
        assert record is not None
        size = 0 if mode == "160000" else int(history.run("cat-file", "-s", oid))
        assert record.size_bytes == size


def test_a_file_is_found_with_the_facts_git_knows(node: Node, caller: Principal, history: History) -> None:
    load_history(node, caller, history, "r")
    for branch in history.branches:
        for path, (mode, oid) in history.files(branch).items():
            find = partial(open_file, node, caller, OpenFile("r", path, branch))
            if mode == "160000":
                with pytest.raises(PathNotFound):
                    find()
                continue
            file = find()
            assert file.blob == oid
            assert file.last_commit == history.last_commit(branch, path)
            assert file.touched_at == int(history.run("log", "-1", "--format=%ct", file.last_commit or ""))
    for missing in (b"absent", b"src/deep", b"src"):
        if missing not in history.files("main"):
            with pytest.raises(PathNotFound):
                open_file(node, caller, OpenFile("r", missing, "main"))


def linear(
    node: Node, caller: Principal, tmp_path: Path, commits: int, files: int = 3
) -> tuple[Repo, Git, Path]:
    """Load a history in a line: commit n changes file n modulo `files`; the first one has them all."""
    git = Git(tmp_path / "home")
    folder = tmp_path / "line.git"
    git.run("init", "--quiet", "--bare", folder)
    out = []
    for n in range(commits):
        names = range(files) if n == 0 else [n % files]
        rows = b"".join(b"M 100644 inline d/f%d\ndata <<E\n%d\nE\n" % (name, n) for name in names)
        out.append(b"commit refs/heads/main\ncommitter A <a@x> %d +0000\ndata 0\n%s\n" % (10**9 + n, rows))
    git.run("fast-import", "--quiet", cwd=folder, stdin=b"".join(out))
    repo = load_history(node, caller, History(git, folder, 0, ["main"]), "line")
    return repo, git, folder


def test_a_listing_of_huge_commits_comes_in_smaller_pages_only(
    node: Node, caller: Principal, history: History
) -> None:
    load_history(node, caller, history, "r")
    few = 700  # bytes of two or three of these commits
    node = replace(
        node,
        limits=Limits(commits_page_max_bytes=few, commits_listing_max_bytes=few, commit_summary_max_bytes=0),
    )
    listed: list[FileRecord] = []
    last_path: bytes | None = b""
    while last_path is not None:
        page = list_file_metadata(
            node, caller, ListFileMetadata("r", "main", after=last_path, count_max=1000)
        )
        assert {file.last_commit for file in page.files} == page.commits.keys()
        assert len(page.commits) < 8
        listed += page.files
        last_path = page.last_path
    repo = lookup_repo(node, caller, "r")
    tip = Oid(history.run("rev-parse", "main"))
    assert listed == file_map(node, repo, tip).records
    if len({file.last_commit for file in listed}) >= 8:
        with pytest.raises(LimitExceeded):
            list_file_metadata(node, caller, ListFileMetadata("r", "main"))


def test_a_damaged_or_missing_file_is_computed_again(node: Node, caller: Principal, tmp_path: Path) -> None:
    repo, git, folder = linear(node, caller, tmp_path, 5)
    tip = Oid(git.run("rev-parse", "main", cwd=folder))
    expected = answers_of(file_map(node, repo, tip))
    (stored,) = (node.config.data / "cache" / "last-commits").glob("repo_*/*")
    whole = stored.read_bytes()
    for damage in (b"", b"x" * 100, whole[:-1], whole[:40] + bytes([whole[40] ^ 1]) + whole[41:]):
        stored.write_bytes(damage)
        forget(node)
        assert answers_of(file_map(node, repo, tip)) == expected
        assert stored.read_bytes() == whole
    stored.unlink()
    stored.parent.rmdir()
    forget(node)
    assert answers_of(file_map(node, repo, tip)) == expected


def test_a_commit_without_a_map_is_computed_once_for_all_callers(
    node: Node, caller: Principal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repo, git, folder = linear(node, caller, tmp_path, 50)
    tip = Oid(git.run("rev-parse", "main", cwd=folder))
    computed = []
    compute = file_maps._compute

    def counted(history: attribution.History, commit: Oid) -> FileMap:
        computed.append(commit)
        time.sleep(0.05)
        return compute(history, commit)

    monkeypatch.setattr(file_maps, "_compute", counted)
    found: list[FileMap] = []
    threads = [threading.Thread(target=lambda: found.append(file_map(node, repo, tip))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert computed == [tip]


def test_the_cache_on_disk_stays_within_its_bound(tmp_path: Path) -> None:
    node = open_node(Config(data=tmp_path / "data", last_commit_cache_max_bytes=20_000))
    for number in range(100):
        node.file_maps.write(f"repo_{number % 7}", f"{number:040x}", b"x" * 1000)
    folder = node.config.data / "cache" / "last-commits"
    assert (
        sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
        <= 20_000 + 1020 + 20_000 // 16
    )
    assert node.file_maps.read("repo_1", f"{99:040x}") == b"x" * 1000
    assert node.file_maps.read("repo_0", f"{0:040x}") is None
    node.close()


def test_a_path_that_history_touched_long_ago_is_found(node: Node, caller: Principal, tmp_path: Path) -> None:
    repo, git, folder = linear(node, caller, tmp_path, 400, files=300)
    tip = git.run("rev-parse", "main", cwd=folder)
    for number in (0, 150, 99, 101, *range(200, 230)):
        path = b"d/f%d" % number
        expected = git.run("log", "-1", "--format=%H", tip, "--", path.decode(), cwd=folder)
        assert last_commit(node, repo, Oid(tip), path).oid == expected
    assert node.last_commits.maps.peek((repo.id, Oid(tip))) is not None  # so many walks paid for a map
