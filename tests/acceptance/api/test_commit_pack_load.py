"""POST …/commit-pack by many clients at once, with large files, broken off, and many times in a row."""

import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.support.clients.git import Git
from tests.support.clients.repo import Org, Repo, commit_lines
from tests.support.waiting import wait_until


@pytest.mark.parametrize("server", ["sqlite", "workers", "postgres"], indirect=True)
def test_fifty_unguarded_commits_from_fifty_connections_all_succeed(repo: Repo) -> None:
    repo.write_commit("main", {"start": b"0"})

    def commit(number: int) -> int:
        return repo.post_commit("main", {f"f{number}": b"%d" % number}).status_code

    with ThreadPoolExecutor(50) as pool:
        assert list(pool.map(commit, range(50))) == [201] * 50
    assert len(repo.list_paths()) == 51


@pytest.mark.parametrize("server", ["sqlite", "workers", "postgres"], indirect=True)
def test_of_many_commits_with_one_guard_exactly_one_succeeds(repo: Repo) -> None:
    head = repo.write_commit("main", {"a": b"1"})

    def commit(number: int) -> int:
        files = {f"f{number}": b"%d" % number}
        return repo.post_commit("main", files, expected_head_sha=head).status_code

    with ThreadPoolExecutor(12) as pool:
        assert sorted(pool.map(commit, range(12))) == [201] + [409] * 11


def test_a_large_file_is_committed_and_read_whole(repo: Repo, git: Git, tmp_path: Path) -> None:
    content = bytes(range(256)) * 96 * 1024 + b"end"  # 24 MiB and a bit: seven chunks
    repo.write_commit("main", {"big": content, "small": b"s"})
    assert repo.read_file("big") == content
    part = repo.api("GET", "/file", params={"path": "big"}, headers={"Range": "bytes=-5"})
    assert (part.status_code, part.content) == (206, content[-5:])
    git.run("clone", "--quiet", repo.remote(), str(tmp_path / "clone"))
    assert (tmp_path / "clone" / "big").read_bytes() == content


def test_an_aborted_stream_leaves_nothing(repo: Repo) -> None:
    head = repo.write_commit("main", {"a": b"1"})
    lines = list(commit_lines("main", {"a": b"x" * 6_000_000}))

    def stream() -> Iterable[bytes]:
        yield from lines[:-1]
        raise ConnectionAbortedError

    with pytest.raises(ConnectionAbortedError):
        repo.api("POST", "/commit-pack", content=stream())
    assert repo.branches() == {"main": head}


def test_packs_stay_few_and_git_reads_them(new_org: Org, git: Git, tmp_path: Path) -> None:
    repo = new_org.create_repo("busy")
    for number in range(130):
        repo.write_commit("main", {f"f{number % 7}": b"%d" % number})
    folder = repo.folder()

    def are_few_after_one_more() -> bool:
        repo.write_commit("other", {"more": os.urandom(9)}, base_branch="main")
        return len(list(folder.glob("objects/pack/*.pack"))) < 100

    wait_until(are_few_after_one_more, "packs stay many")
    assert git.count_commits(repo.remote(), "main", tmp_path / "count") == 130
    head = repo.branches()["main"]

    def git_reads_them() -> bool:
        # These commands hold no reader's lock, so packs may be deleted under them while packs are being joined.
        calls = (("rev-list", "--quiet", "--objects", head), ("fsck", "--strict", "--no-dangling", head))
        return all(git.try_run("-C", folder, *call).returncode == 0 for call in calls)

    wait_until(git_reads_them, "git does not read the packs")
