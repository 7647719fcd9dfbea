"""Searches that a hostile expression keeps busy until their time is up."""

import contextlib
import json
import socket

from tests.conftest import StartServer
from tests.support.server import ServerOptions
from tests.support.waiting import wait_until


def test_searches_without_end_leave_threads_to_others(start_server: StartServer) -> None:
    server = start_server(ServerOptions(settings={"threads": "2", "shutdown_grace_s": "1"}))
    repo = server.new_org().create_repo()
    repo.write_commit("main", {"evil": b"a" * 200_000})
    other = repo.org.create_repo()
    other.write_commit("main", {"f": b"1"})
    body = json.dumps({"query": {"pattern": r"(a*)(a*)\1\2b"}}).encode()
    head = (
        f"POST /api/v1/repos/grep HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {repo.token()}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    with contextlib.ExitStack() as stack:
        for _ in range(4):
            connection = stack.enter_context(socket.create_connection(("127.0.0.1", server.port)))
            connection.sendall(head.encode() + body)
        wait_until(server.git_processes, "no search began")
        searching = server.git_processes()
        assert other.read_file("f") == b"1"
        assert searching.keys() <= server.git_processes().keys(), "the read waited for a search"
