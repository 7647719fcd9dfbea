"""The end of a server with a running request: no new connection is taken, and the request is answered."""

import os
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from tests.conftest import StartServer
from tests.support.clients.raw_http import HOST, Wire, connection
from tests.support.clients.repo import Repo, commit_lines
from tests.support.servers import processes
from tests.support.servers.server import Server
from tests.support.servers.server_process import STOP_TIMEOUT_S, ServerOptions
from tests.support.waiting import wait_until

GRACE_S = "600"  # longer than these tests wait: an earlier end has another reason


def start(start_server: StartServer, workers: int) -> Server:
    return start_server(ServerOptions(workers=workers, settings={"shutdown_grace_s": GRACE_S}))


def is_refused(server: Server) -> bool:
    try:
        socket.create_connection(("127.0.0.1", server.port), timeout=STOP_TIMEOUT_S).close()
    except ConnectionRefusedError:
        return True
    except ConnectionResetError:  # the listening socket closed before the connection was taken from it
        return False
    return False


def read_continue(wire: Wire) -> None:
    assert wire.read_exactly(25) == b"HTTP/1.1 100 Continue\r\n\r\n"


@contextmanager
def running_commit(server: Server, repo: Repo | None = None) -> Iterator[Callable[[], None]]:
    """Begin a commit whose handler waits for its body; yield a function that sends the body and checks the answer."""
    repo = repo or server.new_org().create_repo()
    body = b"".join(commit_lines("main", {"a.txt": b"hello"}))
    head = (
        f"POST /api/v1/repos/commit-pack HTTP/1.1\r\nAuthorization: Bearer {repo.token()}\r\n"
        f"Content-Length: {len(body)}\r\nExpect: 100-continue\r\n"
    )
    with connection(server) as wire:
        wire.send(head.encode() + HOST + b"\r\n")
        read_continue(wire)

        def finish() -> None:
            wire.send(body)
            answer, text = wire.read()
            assert answer.status == 201, text

        yield finish


def wait_for_end(server: Server, status: int) -> None:
    assert server.process is not None
    assert server.process.wait(STOP_TIMEOUT_S) == status
    assert not processes.wait_until_gone(server.process.pid)
    server.process = None


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_new_connections_are_refused_while_a_request_may_finish(
    start_server: StartServer, workers: int, number: signal.Signals
) -> None:
    server = start(start_server, workers)
    with running_commit(server) as finish:
        os.kill(server.pid, number)
        wait_until(lambda: is_refused(server), "new connections are still taken")
        finish()
    wait_for_end(server, 0)


def test_new_connections_are_refused_once_the_supervisor_was_killed(start_server: StartServer) -> None:
    server = start(start_server, 2)
    with running_commit(server) as finish:
        os.kill(server.pid, signal.SIGKILL)
        wait_until(lambda: is_refused(server), "new connections are still taken")
        finish()
    wait_for_end(server, -signal.SIGKILL)


def test_new_connections_are_refused_once_workers_keep_ending(start_server: StartServer) -> None:
    server = start(start_server, 2)
    victim, other = (process_id for process_id in server.members() if process_id != server.pid)
    repo = (
        server.new_org().create_repo()
    )  # before: the client's open connection may be with the one that is stopped
    os.kill(victim, signal.SIGSTOP)  # so that the request reaches the other one
    with running_commit(server, repo) as finish:
        for _ in range(100):
            os.kill(victim, signal.SIGKILL)
            wait_until(lambda: has_changed(server, victim), "the worker was not replaced")  # noqa: B023
            replaced = set(server.members()) - {server.pid, other}
            if "giving up" in server.stderr() or not replaced:
                break
            victim = replaced.pop()
        wait_until(lambda: "giving up" in server.stderr(), "the supervisor does not give up")
        wait_until(lambda: is_refused(server), "new connections are still taken")
        finish()
    wait_for_end(server, 1)


def has_changed(server: Server, victim: int) -> bool:
    """Tell whether another worker has replaced the victim, or none ever will."""
    there = set(server.members())
    return victim not in there and (len(there) == 3 or "giving up" in server.stderr())
