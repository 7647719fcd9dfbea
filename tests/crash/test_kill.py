"""SIGKILL at any moment: acknowledged commits are there afterwards, and nothing is broken."""

import os
import random
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from tests.conftest import StartServer
from tests.support.clients.git import Git, GitError
from tests.support.clients.repo import Repo
from tests.support.servers.server import Server
from tests.support.servers.server_process import STORED, ServerOptions
from tests.support.servers.upstreams import Gateway
from tests.support.waiting import WAIT_S, wait_until

ROUNDS = 4
COMMITTERS = 3
PUSHERS = 2
LOAD_MAX_S = 2.5


@dataclass
class Acknowledged:
    """The commits that clients were told are stored. Maps a branch to its commits, oldest first."""

    repo: Repo
    commits: dict[str, list[str]] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, branch: str, commit: str) -> None:
        with self.lock:
            self.commits.setdefault(branch, []).append(commit)

    def count(self) -> int:
        with self.lock:
            return sum(map(len, self.commits.values()))


def commit_until(stop: threading.Event, done: Acknowledged, number: int) -> None:
    """Commit over HTTP, to a separate branch and to a shared one, until the server is gone."""
    count = 0
    while not stop.is_set():
        count += 1
        branch = "shared" if count % 3 == 0 else f"committer{number}"
        try:
            reply = done.repo.post_commit(
                branch, {f"{number}/f{count % 7}": os.urandom(500)}, base_branch="main"
            )
        except httpx.TransportError:
            return
        if reply.status_code == 201:
            done.add(branch, reply.json()["commit"]["commit_sha"])


def push_until(stop: threading.Event, done: Acknowledged, number: int, git: Git, work: Path) -> None:
    """Push commits of growing size until the server is gone."""
    branch = f"pusher{number}"
    count = 0
    while not stop.is_set():
        count += 1
        commit = git.commit(work, {f"{number}/p{count % 5}": os.urandom(2000 * count)})
        try:
            git.run("push", "--quiet", done.repo.remote(), f"HEAD:refs/heads/{branch}", cwd=work)
        except GitError:
            return
        done.add(branch, commit)


def run_load(server: Server, done: Acknowledged, git: Git, scratch: Path, *, kill_after_s: float) -> None:
    """Write from several clients at once, and kill the server during the writes."""
    before = done.count()
    stop = threading.Event()
    jobs: list[Callable[[], None]] = [
        lambda number=number: commit_until(stop, done, number)  # type: ignore[misc]  # bound at once
        for number in range(COMMITTERS)
    ]
    for number in range(PUSHERS):
        work = git.clone(done.repo.remote(), scratch / f"work{number}")
        jobs.append(lambda number=number, work=work: push_until(stop, done, number, git, work))  # type: ignore[misc]  # bound at once
    threads = [threading.Thread(target=job) for job in jobs]
    for thread in threads:
        thread.start()
    wait_until(lambda: done.count() > before, "no write is acknowledged")
    time.sleep(kill_after_s)
    server.kill()
    stop.set()
    for thread in threads:
        thread.join(WAIT_S)
        assert not thread.is_alive()


def check_everything_is_there(done: Acknowledged, git: Git, mirror: Path) -> None:
    """Clone the restarted server's repositories, and look for every acknowledged commit."""
    git.clone(done.repo.remote(), mirror, "--mirror")
    git.run("fsck", "--strict", "--full", cwd=mirror)
    for branch, commits in done.commits.items():
        history = git.run("rev-list", f"refs/heads/{branch}", cwd=mirror).split()
        lost = [commit for commit in commits if commit not in set(history)]
        assert not lost, f"{branch} lost {len(lost)} of {len(commits)} acknowledged commits"


def check_the_folder(repo: Repo, git: Git) -> None:
    """Check the repository on disk like an operator, with git itself. All its packs are stored before."""
    folder = repo.folder()
    git.run("fsck", "--strict", "--full", "--no-dangling", cwd=folder, env={"GIT_DIR": str(folder)})
    assert "preciousobjects = true" in (folder / "config").read_text().lower()


def leftovers(data: Path) -> list[str]:
    """Return files that only an unfinished write can have left."""
    # An empty quarantine may belong to a process that is about to fill it. It waits an hour.
    quarantine = data / "quarantine"
    found = [
        path for path, folders, files in os.walk(quarantine) if path != str(quarantine) and folders + files
    ]
    for folder in data.glob("repos/*/*/*/objects/pack"):
        names = {path.name for path in folder.iterdir()}
        found += [name for name in names if name.startswith((".", "tmp"))]
    return found


def wait_until_swept(data: Path) -> None:
    """Wait until no unfinished file is left."""
    wait_until(lambda: not leftovers(data), "not swept")


@pytest.mark.parametrize(
    ("workers", "settings"),
    [(1, {}), (2, {}), (2, STORED)],
    ids=["1", "2", "2 that store every pack"],
)
def test_a_server_killed_under_load_keeps_every_acknowledged_write(
    start_server: StartServer, git: Git, tmp_path: Path, workers: int, settings: Mapping[str, str]
) -> None:
    chance = random.Random(f"crash {workers}")
    server = start_server(ServerOptions(workers=workers, settings=settings))
    repo = server.new_org().create_repo()
    repo.write_commit("main", {"README.md": b"# Shop\n"})
    done = Acknowledged(repo)
    for number in range(ROUNDS):
        scratch = tmp_path / f"round{number}"
        scratch.mkdir()
        run_load(server, done, git, scratch, kill_after_s=chance.uniform(0, LOAD_MAX_S))
        server.start()
        check_everything_is_there(done, git, scratch / "mirror.git")
        check_the_folder(repo, git)
        wait_until_swept(server.data)
    repo.write_commit("main", {"after": b"it still takes writes\n"})


def test_a_server_killed_during_a_push_keeps_nothing_of_it(
    start_server: StartServer, git: Git, tmp_path: Path
) -> None:
    server = start_server()
    repo = server.new_org().create_repo()
    tip = repo.write_commit("main", {"a": b"1"})
    work = git.clone(repo.remote(), tmp_path / "work")
    git.commit(work, {"large": os.urandom(40_000_000)})
    with Gateway(("127.0.0.1", server.port), passes_bytes=10_000_000) as gateway:
        gateway.is_open = True
        remote = repo.remote().replace(server.host_port, gateway.host_port)
        pushing = threading.Thread(
            target=git.try_run, args=("push", remote, "main"), kwargs={"cwd": work}, daemon=True
        )
        pushing.start()
        wait_until(lambda: leftovers(server.data), "the push does not arrive")
        server.kill()
    pushing.join(WAIT_S)
    assert not pushing.is_alive()
    server.start()
    assert repo.branches() == {"main": tip}
    wait_until_swept(server.data)
    git.run("push", "--quiet", "origin", "main", cwd=work)
    assert repo.branches() == {"main": git.run("rev-parse", "HEAD", cwd=work)}
