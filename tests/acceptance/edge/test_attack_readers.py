"""Slow clients do not keep the resources that they hold from others."""

import os
import socket
from base64 import b64encode
from pathlib import Path

from tests.conftest import StartServer
from tests.support.clients.git import Git
from tests.support.clients.repo import Repo
from tests.support.servers.server import Server
from tests.support.servers.server_process import ServerOptions
from tests.support.waiting import wait_until

COMMITS = 250
PACKS_MAX = 150  # its own, those in use, and what one round of merging is about to remove


def packet(payload: bytes) -> bytes:
    return b"%04x%b" % (len(payload) + 4, payload)


def start_slow_clone(server: Server, repo: Repo, tip: str) -> socket.socket:
    """Ask for a clone that fills every buffer on the way. Take its first bytes and then nothing."""
    body = packet(b"command=fetch") + b"0001" + packet(b"want " + tip.encode()) + packet(b"done") + b"0000"
    connection = send_post(server, repo, "git-upload-pack", body, len(body))
    assert connection.recv(12, socket.MSG_WAITALL) == b"HTTP/1.1 200"
    return connection


def start_slow_push(server: Server, repo: Repo, tip: str) -> socket.socket:
    """Begin a push and announce a pack, and send no object of it."""
    command = f"{'0' * 40} {tip} refs/heads/slow".encode() + b"\0 report-status"
    body = packet(command) + b"0000" + b"PACK\0\0\0\2\0\0\0\1"
    return send_post(server, repo, "git-receive-pack", body, len(body) + 1000)


def send_post(server: Server, repo: Repo, service: str, body: bytes, announced_bytes: int) -> socket.socket:
    basic = b64encode(b"t:" + repo.token().encode()).decode()
    head = (
        f"POST /{repo.name}.git/{service} HTTP/1.1\r\nHost: x\r\nAuthorization: Basic {basic}\r\n"
        f"Content-Type: application/x-{service}-request\r\nGit-Protocol: version=2\r\n"
        f"Content-Length: {announced_bytes}\r\n\r\n"
    )
    connection = socket.create_connection(("127.0.0.1", server.port))
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.sendall(head.encode() + body)
    return connection


def test_a_slow_clone_does_not_keep_the_packs_of_later_commits(start_server: StartServer) -> None:
    server = start_server()
    repo = server.new_org().create_repo()
    tip = repo.write_commit("main", {"large": os.urandom(12_000_000)})
    with start_slow_clone(server, repo, tip):
        for number in range(COMMITS):
            repo.write_commit("main", {f"f{number}": os.urandom(100)})
        pack_dir = repo.folder() / "objects" / "pack"

        def are_few_after_one_more() -> bool:
            repo.write_commit("main", {"more": os.urandom(100)})
            return len(list(pack_dir.glob("*.pack"))) < PACKS_MAX

        wait_until(are_few_after_one_more, "packs stay many")
        assert server.git_processes(), "the clone has ended: the test shows nothing"


def test_slow_clients_do_not_keep_others_from_running(
    start_server: StartServer, git: Git, tmp_path: Path
) -> None:
    server = start_server(ServerOptions(settings={"git_processes_max": "1", "stall_timeout_s": "600"}))
    repo = server.new_org().create_repo()
    tip = repo.write_commit("main", {"large": os.urandom(12_000_000)})
    with start_slow_clone(server, repo, tip), start_slow_push(server, repo, tip):
        wait_until(lambda: len(server.git_processes()) >= 2, "the slow ones do not start")
        work = git.clone(repo.remote(), tmp_path / "work")
        git.commit(work, {"a": b"1"})
        git.run("push", repo.remote(), "main", cwd=work)
        assert len(server.git_processes()) >= 2, "the slow ones have ended: the test shows nothing"


def test_a_slow_reader_of_an_archive_does_not_keep_others_from_running(start_server: StartServer) -> None:
    server = start_server(ServerOptions(settings={"git_processes_max": "1"}))
    repo = server.new_org().create_repo()
    repo.write_commit("main", {"large": os.urandom(12_000_000)})
    other = repo.org.create_repo()
    other.write_commit("main", {"a": b"1"})
    head = (
        f"POST /api/v1/repos/archive HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {repo.token()}\r\n"
        "Content-Length: 0\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.sendall(head.encode())
        wait_until(server.git_processes, "git does not start")
        assert other.api("POST", "/archive").status_code == 200
        assert server.git_processes(), "the slow one has ended: the test shows nothing"
