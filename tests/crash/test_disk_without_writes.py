"""A full or read-only disk: reads are answered as usual, writes get 503 and change nothing."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.clients.git import Git
from tests.support.clients.reads import OBJECT_READS, REF_READS
from tests.support.clients.repo import Repo
from tests.support.servers.loop_disk import LoopDisk, loop_disk
from tests.support.servers.server import Server
from tests.support.servers.server_process import STORED, ServerOptions


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[LoopDisk]:
    with loop_disk(tmp_path) as disk:
        yield disk


@pytest.fixture(params=["journal", "stored"])
def server(disk: LoopDisk, request: pytest.FixtureRequest) -> Iterator[Server]:
    """A running server with its data folder on the disk, and its log elsewhere.

    It has small packs in its journal, or stores every pack.
    """
    settings = STORED if request.param == "stored" else {}
    server = Server(disk.path, ServerOptions(settings=settings))
    server.stderr_path = disk.path.parent / "stderr.log"
    server.start()
    yield server
    if server.process is not None:
        server.kill()
    server.http.close()


def fill_repo(server: Server) -> Repo:
    """Make a repository with two branches that conflict, and a tag."""
    repo = server.new_org().create_repo("team/shop")
    repo.write_commit("main", {"a.txt": b"line one\n", "dir/b.txt": b"line b\n"})
    repo.write_commit("side", {"a.txt": b"line side\n"}, base_branch="main")
    repo.write_commit("main", {"a.txt": b"line main\n"})
    assert repo.api("POST", "/tags", json={"name": "v1", "target": "main"}).status_code == 200
    return repo


def fill_disk(disk: LoopDisk) -> None:
    """Fill the disk to its last block."""
    with (disk.path / "filler").open("wb", buffering=0) as file:
        size = 1 << 20
        while size >= 512:
            try:
                file.write(b"x" * size)
            except OSError:
                size //= 2


def expect_reads(repo: Repo, git: Git, folder: Path) -> None:
    for name, read in (OBJECT_READS | REF_READS).items():
        reply = read(repo)
        assert reply.status_code == 200, f"{name}: {reply.text}"
    folder.mkdir()
    for version in ("0", "1", "2"):
        clone = folder / version
        git.run("-c", f"protocol.version={version}", "clone", "--quiet", repo.remote(), clone)
        git.run("fsck", "--strict", cwd=clone)
        assert git.run("rev-parse", "HEAD", cwd=clone) == repo.branches()["main"]
        assert git.run("tag", cwd=clone) == "v1"
    git.run("clone", "--quiet", "--depth=1", repo.remote(), folder / "shallow")
    git.run("fetch", "--quiet", "--unshallow", cwd=folder / "shallow")
    git.run("clone", "--quiet", "--filter=blob:none", repo.remote(), folder / "partial")


def expect_refusals(repo: Repo, git: Git, folder: Path) -> None:
    before = repo.branches()
    assert repo.post_commit("main", {"a.txt": os.urandom(100_000)}).status_code == 503
    assert Repo(repo.org, "team/new").create().status_code in (201, 503)  # a row may still fit
    git.commit(folder / "2", {"new": os.urandom(100_000)})
    assert git.try_run("push", "origin", "HEAD:main", cwd=folder / "2").returncode != 0
    assert repo.branches() == before


def expect_quiet(server: Server) -> None:
    lines = [json.loads(line) for line in server.stderr().splitlines() if line.startswith("{")]
    assert not [line for line in lines if "exception" in line], server.stderr()
    assert not [line for line in lines if line["message"] == "stored data is damaged"]


def test_reads_go_on_when_the_disk_is_full(server: Server, disk: LoopDisk, git: Git, tmp_path: Path) -> None:
    repo = fill_repo(server)
    git.run("clone", "--quiet", repo.remote(), tmp_path / "before")
    repo.write_commit("main", {"a.txt": b"line main\nline more\n"})  # git has no file with this ref yet
    fill_disk(disk)
    expect_reads(repo, git, tmp_path / "work")
    expect_refusals(repo, git, tmp_path / "work")
    assert server.http.get(f"{server.url}/readyz").status_code == 503
    (disk.path / "filler").unlink()
    assert server.http.get(f"{server.url}/readyz").status_code == 200
    repo.write_commit("main", {"a.txt": os.urandom(100_000)})
    expect_quiet(server)


def test_git_can_read_a_repository_for_the_first_time_on_a_full_disk(
    server: Server, disk: LoopDisk, git: Git, tmp_path: Path
) -> None:
    repo = fill_repo(server)
    for lock in server.data.glob("repos/*/*/*/packhouse.lock"):
        lock.unlink()
    server.terminate()
    server.start()
    fill_disk(disk)
    expect_reads(repo, git, tmp_path / "work")
    expect_quiet(server)


@pytest.mark.parametrize("ending", ["stopped", "killed"])
def test_a_server_on_a_read_only_disk_answers_reads(
    server: Server, disk: LoopDisk, git: Git, tmp_path: Path, ending: str
) -> None:
    repo = fill_repo(server)
    if ending == "stopped":
        server.terminate()
    else:
        server.kill()
    subprocess.run(["mount", "-o", "remount,ro", disk.path], check=True)
    server.start(until="/healthz")
    expect_reads(repo, git, tmp_path / "work")
    expect_refusals(repo, git, tmp_path / "work")
    assert server.http.get(f"{server.url}/readyz").status_code == 503
    expect_quiet(server)
    server.terminate()
    subprocess.run(["mount", "-o", "remount,rw", disk.path], check=True)
    server.start()
    repo.write_commit("main", {"a.txt": b"again\n"})


def test_a_disk_that_becomes_writable_again_is_noticed(
    server: Server, disk: LoopDisk, tmp_path: Path
) -> None:
    repo = fill_repo(server)
    server.terminate()
    subprocess.run(["mount", "-o", "remount,ro", disk.path], check=True)
    server.start(until="/healthz")
    assert repo.read_file("a.txt") == b"line main\n"
    subprocess.run(["mount", "-o", "remount,rw", disk.path], check=True)
    repo.write_commit("main", {"a.txt": b"new\n"})
    assert repo.read_file("a.txt") == b"new\n"


def test_a_runtime_folder_that_cannot_be_made_does_not_stop_reads(
    disk: LoopDisk, git: Git, tmp_path: Path
) -> None:
    server = Server(disk.path, ServerOptions(settings={"runtime_dir": "/proc/none"}))
    server.stderr_path = tmp_path / "stderr.log"
    server.start()
    repo = fill_repo(server)
    git.run("clone", "--quiet", repo.remote(), tmp_path / "work")
    expect_quiet(server)
    server.stop()


def test_the_runtime_folder_has_the_files_that_a_full_disk_does_not_take(
    disk: LoopDisk, git: Git, tmp_path: Path
) -> None:
    kept = tmp_path / "kept"
    server = Server(disk.path, ServerOptions(settings={"runtime_dir": str(kept)}))
    server.stderr_path = tmp_path / "stderr.log"
    server.start()
    repo = fill_repo(server)
    git.run("clone", "--quiet", repo.remote(), tmp_path / "before")
    tip = repo.write_commit("main", {"a.txt": b"more\n"})
    fill_disk(disk)
    git.run("clone", "--quiet", repo.remote(), tmp_path / "work")
    assert git.run("rev-parse", "HEAD", cwd=tmp_path / "work") == tip
    (refs,) = kept.glob("packhouse-*/refs/repo_*/packed-refs")
    assert tip in refs.read_text()
    assert not list(server.data.rglob("*packed-refs*"))
    server.stop()
    assert not list(kept.iterdir())
