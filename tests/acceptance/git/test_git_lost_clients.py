"""Git clients that vanish or stall, and too many clients."""

import random
import socket
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.conftest import StartServer
from tests.support.clients.git import Git
from tests.support.clients.git_wire import RECEIVE, UPLOAD, command, pack, pkt
from tests.support.clients.repo import Repo
from tests.support.servers.server_process import ServerOptions, ServerProcess
from tests.support.waiting import comes_true

LARGE = {"large": random.Random(1).randbytes(40_000_000)}


def quarantines(server: ServerProcess) -> list[Path]:
    """Return the quarantine folders of pushes. Commits over HTTP have a folder of their own there."""
    return list((server.data / "quarantine").glob("*/HEAD"))


def open_connection(repo: Repo, service: str, *headers: str) -> socket.socket:
    """Send the head of a POST to a service. The caller sends the body."""
    server = repo.org.server
    connection = socket.create_connection(("127.0.0.1", server.port))
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    lines = [
        f"POST /{repo.name}.git/{service} HTTP/1.1",
        f"Host: {server.host_port}",
        f"Authorization: Bearer {repo.token()}",
        f"Content-Type: application/x-{service}-request",
        *headers,
    ]
    connection.sendall("\r\n".join(lines).encode() + b"\r\n\r\n")
    return connection


@pytest.fixture
def own_repo(start_server: StartServer) -> Repo:
    """A repository on a server for one test, so that all processes of the server belong to the test."""
    return start_server().new_org().create_repo()


def begin_clone(repo: Repo, tip: str) -> socket.socket:
    """Ask for all history below a commit, and read nothing."""
    body = pkt("command=fetch") + b"0001" + pkt(f"want {tip}") + pkt("done") + b"0000"
    connection = open_connection(repo, UPLOAD, "Git-Protocol: version=2", f"Content-Length: {len(body)}")
    connection.sendall(body)
    return connection


def test_git_ends_when_a_fetching_client_vanishes(own_repo: Repo) -> None:
    server = own_repo.org.server
    connection = begin_clone(own_repo, own_repo.write_commit("main", LARGE))
    assert connection.recv(12, socket.MSG_WAITALL) == b"HTTP/1.1 200"
    assert comes_true(lambda: len(server.git_processes()) >= 1)
    connection.close()
    assert comes_true(lambda: not server.git_processes()), server.git_processes()


def test_no_git_starts_for_a_client_that_left_while_it_waited(start_server: StartServer) -> None:
    server = start_server(ServerOptions(settings={"git_processes_max": "1", "log_level": "debug"}))
    repo = server.new_org().create_repo()
    tip = repo.write_commit("main", LARGE)
    with begin_clone(repo, tip) as first:
        assert first.recv(12, socket.MSG_WAITALL) == b"HTTP/1.1 200"
        begin_clone(repo, tip).close()
        assert comes_true(lambda: '"client left"' in server.stderr())
        assert "answer cut short" not in server.stderr()


def begin_push(repo: Repo) -> socket.socket:
    """Send the beginning of a push, enough for the server to start git, and no end."""
    connection = open_connection(repo, RECEIVE, "Transfer-Encoding: chunked")
    unfinished = pack((3, random.Random(1).randbytes(100_000)))[:-1000]
    chunk = command(b"refs/heads/main", "1" * 40) + b"0000" + unfinished
    connection.sendall(b"%x\r\n%b\r\n" % (len(chunk), chunk))
    return connection


def test_git_ends_when_a_pushing_client_vanishes(own_repo: Repo) -> None:
    server = own_repo.org.server
    connection = begin_push(own_repo)
    assert comes_true(lambda: len(server.git_processes()) == 1)
    assert len(quarantines(server)) == 1
    connection.close()
    assert comes_true(lambda: not server.git_processes()), server.git_processes()
    assert comes_true(lambda: not quarantines(server))


def test_stalled_pushes_to_one_repository_do_not_keep_others_waiting(
    start_server: StartServer, git: Git, tmp_path: Path
) -> None:
    server = start_server(ServerOptions(settings={"git_processes_max": "4"}))
    org = server.new_org()
    besieged, others = org.create_repo(), [org.create_repo(), server.new_org().create_repo()]
    work = git.init(tmp_path / "work")
    tip = git.commit(work, {"large": random.Random(2).randbytes(200_000)})
    stalled = [begin_push(besieged) for _ in range(150)]
    assert comes_true(server.git_processes)
    for repo in others:
        git.run("push", "--quiet", repo.remote(), "main", cwd=work)
        assert git.ls_remote(repo.remote(), "refs/heads/main") == {"refs/heads/main": tip}
    for connection in stalled:
        connection.close()
    assert comes_true(lambda: not server.git_processes())


def test_a_push_that_stalls_at_its_start_costs_no_process(own_repo: Repo, git: Git, tmp_path: Path) -> None:
    server = own_repo.org.server
    head = command(b"refs/heads/main", "1" * 40) + b"0000" + pack((3, b"x" * 100))[:50]
    stalled = [open_connection(own_repo, RECEIVE, "Content-Length: 500") for _ in range(200)]
    for connection in stalled:
        connection.sendall(head)
    work = git.init(tmp_path / "work")
    tip = git.commit(work, {"a": b"1"})
    git.run("push", "--quiet", own_repo.remote(), "main", cwd=work)
    assert own_repo.branches() == {"main": tip}
    assert comes_true(lambda: not server.git_processes()), "those of the stalled pushes stay"
    for connection in stalled:
        connection.close()


def test_a_slow_reader_of_an_archive_parks_its_slot(
    start_server: StartServer, git: Git, tmp_path: Path
) -> None:
    server = start_server(ServerOptions(settings={"git_processes_max": "1"}))
    repo = server.new_org().create_repo()
    repo.write_commit("main", LARGE)
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        head = f"POST /api/repos/{quote(repo.name, safe='')}/archive HTTP/1.1\r\nHost: {server.host_port}\r\n"
        connection.sendall(
            f"{head}Authorization: Bearer {repo.token()}\r\nContent-Length: 0\r\n\r\n".encode()
        )
        assert connection.recv(12, socket.MSG_WAITALL) == b"HTTP/1.1 200"
        git.clone(repo.remote(), tmp_path / "clone")


def test_a_server_that_stops_ends_running_pushes(start_server: StartServer) -> None:
    server = start_server(ServerOptions(settings={"shutdown_grace_s": "1"}))
    repo = server.new_org().create_repo()
    with begin_push(repo):
        assert comes_true(lambda: len(server.git_processes()) == 1)
        server.terminate()  # asserts that no process is left
    assert not quarantines(server)
