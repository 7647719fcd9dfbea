"""A slow clone beside a repository that takes commits all the time."""

import os
import socket
from base64 import b64encode

from tests.conftest import StartServer
from tests.support.repo import Repo
from tests.support.server import Server

COMMITS = 150
PACKS_MAX = 100


def packet(payload: bytes) -> bytes:
    return b"%04x%b" % (len(payload) + 4, payload)


def start_slow_clone(server: Server, repo: Repo, tip: str) -> socket.socket:
    """Ask for a clone that fills every buffer on the way, take its first bytes and then nothing."""
    body = packet(b"command=fetch") + b"0001" + packet(b"want " + tip.encode()) + packet(b"done") + b"0000"
    basic = b64encode(b"t:" + repo.token().encode()).decode()
    head = (
        f"POST /{repo.name}.git/git-upload-pack HTTP/1.1\r\nHost: x\r\nAuthorization: Basic {basic}\r\n"
        "Content-Type: application/x-git-upload-pack-request\r\nGit-Protocol: version=2\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    connection = socket.create_connection(("127.0.0.1", server.port))
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.sendall(head.encode() + body)
    assert connection.recv(12) == b"HTTP/1.1 200"
    return connection


def test_a_slow_clone_does_not_keep_the_packs_of_later_commits(start_server: StartServer) -> None:
    server = start_server()
    repo = server.new_org().create_repo()
    tip = repo.write_commit("main", {"large": os.urandom(12_000_000)})
    with start_slow_clone(server, repo, tip):
        for number in range(COMMITS):
            repo.write_commit("main", {f"f{number}": os.urandom(100)})
        assert server.git_processes(), "the clone has ended: the test shows nothing"
        packs = len(list(server.data.glob("repos/*/*/*/objects/pack/*.pack")))
        assert packs < PACKS_MAX, packs
