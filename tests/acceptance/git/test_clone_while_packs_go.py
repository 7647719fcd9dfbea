"""A slow clone succeeds while the packs that it reads are joined and deleted, again and again."""

import os
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Self

from packhouse.config import Config
from packhouse.limits import Limits
from packhouse.node.node import open_node
from tests.conftest import StartServer
from tests.support.builders.upkeep import consolidate
from tests.support.clients.git import Git
from tests.support.clients.repo import Repo
from tests.support.waiting import WAIT_S, wait_until

ROUNDS = 2
# Each pack fits into one window of git, and all packs together exceed the bytes that git maps at once. So git opens
# packs again while it sends.
LARGE_FILES = 5
LARGE_BYTES = 14_000_000
TAKEN_FIRST_BYTES = 200_000  # of the answer: the first large file is not there yet
BUFFER_BYTES = 65536


class Valve:
    """A proxy to a server, for one connection after the other.

    It passes on so many bytes of an answer, then waits for `open`.
    """

    def __init__(self, port: int) -> None:
        self._port = port
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.host_port = f"127.0.0.1:{self._listening.getsockname()[1]}"
        self._left_bytes = TAKEN_FIRST_BYTES
        self.is_full = threading.Event()
        self.is_open = threading.Event()
        self._threads = [threading.Thread(target=self._accept)]

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(self, *args: object) -> None:
        self.is_open.set()
        self._listening.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(WAIT_S)
        self._listening.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listening.accept()
            except OSError:
                return
            server = socket.socket()
            server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)
            server.connect(("127.0.0.1", self._port))
            for source, sink, answers in ((client, server, False), (server, client, True)):
                thread = threading.Thread(
                    target=self._pass_on, args=(source, sink), kwargs={"answers": answers}
                )
                self._threads.append(thread)
                thread.start()

    def _pass_on(self, source: socket.socket, sink: socket.socket, *, answers: bool) -> None:
        while piece := source.recv(65536):
            sink.sendall(piece)
            if answers:
                self._left_bytes -= len(piece)
                if self._left_bytes < 0:
                    self.is_full.set()
                    assert self.is_open.wait(WAIT_S)
        sink.shutdown(socket.SHUT_WR)
        if answers:
            source.close()
            sink.close()


def stored(repo: Repo) -> set[str]:
    """Return the names of the packs in the store."""
    return {path.name for path in (repo.folder() / "objects" / "pack").glob("*.pack")}


def join_all(repo: Repo) -> None:
    """Join all packs into one, as a second process on the data folder does. The replaced packs are deleted at once."""
    before = stored(repo)
    node = open_node(Config(data=repo.org.server.data), limits=Limits(packs_before_consolidation=1))
    try:
        assert consolidate(node, repo.folder().name) == len(before) > 1
    finally:
        node.close()
    after = stored(repo)
    assert len(after) == 1
    assert before.isdisjoint(after), "packs stay: the test shows nothing"


def test_a_clone_succeeds_while_its_packs_are_joined_and_deleted(
    start_server: StartServer, git: Git, tmp_path: Path
) -> None:
    server = start_server()
    repo = server.new_org().create_repo()
    for number in range(LARGE_FILES):
        tip = repo.write_commit("main", {f"large{number}": os.urandom(LARGE_BYTES)})
    with Valve(server.port) as valve, ThreadPoolExecutor() as pool:
        address = repo.remote().replace(server.host_port, valve.host_port)
        cloning = pool.submit(git.clone, address, tmp_path / "clone")
        assert valve.is_full.wait(WAIT_S), "the clone does not begin"
        for number in range(ROUNDS):
            repo.write_commit("main", {f"small{number}": b"%d" % number})
            join_all(repo)
        assert server.git_processes(), "git has ended: the test shows nothing"
        assert not cloning.done()
        valve.is_open.set()
        clone = cloning.result(WAIT_S)
    git.run("fsck", "--strict", "--full", cwd=clone)
    assert git.run("rev-parse", "HEAD", cwd=clone) == tip
    assert repo.read_file("small0") == b"0"
    views = server.data / "views" / repo.folder().name
    wait_until(lambda: len(list(views.iterdir())) == 1, "folders of packs that went are left")
    assert "Traceback" not in server.stderr()
