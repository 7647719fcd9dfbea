"""Searches with a hostile expression, which run until their time is over."""

import contextlib
import json
import select
import socket
from http.client import HTTPResponse

from packhouse.limits import DEFAULT_LIMITS
from packhouse.storage.file_cache import FileCache
from tests.conftest import StartServer
from tests.support.servers.server import Server
from tests.support.servers.server_process import ServerOptions
from tests.support.waiting import WAIT_S, wait_until


def list_searches(server: Server) -> set[int]:
    """Return the ids of the server's git processes that search."""
    return {number for number, command in server.git_processes().items() if "git grep" in command}


def test_endless_searches_leave_threads_for_other_calls(start_server: StartServer) -> None:
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
        wait_until(lambda: list_searches(server), "no search began")
        searching = list_searches(server)
        assert other.read_file("f") == b"1"
        assert searching <= list_searches(server), "the read waited for a search"


def test_a_search_beyond_the_bound_is_refused_for_other_searches(start_server: StartServer) -> None:
    server = start_server(ServerOptions(settings={"threads": "2", "shutdown_grace_s": "1"}))
    repo = server.new_org().create_repo()
    repo.write_commit("main", {"evil": b"a" * 200_000})
    body = json.dumps({"query": {"pattern": r"(a*)(a*)\1\2b"}}).encode()
    head = (
        f"POST /api/v1/repos/grep HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {repo.token()}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    waiting_max = DEFAULT_LIMITS.git_queue_max * 2 // 3  # of one repository, see Shares
    with contextlib.ExitStack() as stack:
        waiting = []
        for _ in range(waiting_max + 10):
            waiting.append(stack.enter_context(socket.create_connection(("127.0.0.1", server.port), WAIT_S)))
            waiting[-1].sendall(head.encode() + body)
        status = 0
        while status != 503:
            (answered, *_), _, _ = select.select(waiting, [], [], WAIT_S)
            waiting.remove(answered)
            reply = HTTPResponse(answered)
            reply.begin()
            status, told = reply.status, json.loads(reply.read())["error"]
        assert told == "server is busy with other searches, please retry later"
        assert reply.headers["retry-after"] == str(DEFAULT_LIMITS.git_retry_after_s)


def test_listings_that_wait_for_history_leave_threads_for_other_calls(start_server: StartServer) -> None:
    server = start_server(ServerOptions(settings={"threads": "2"}))
    repo = server.new_org().create_repo()
    tip = repo.write_commit("main", {"f": b"1"})
    other = repo.org.create_repo()
    other.write_commit("main", {"f": b"1"})
    public_id = repo.api("GET").json()["repo_id"]
    head = f"GET /api/v1/repos/files/metadata HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {repo.token()}\r\n\r\n"
    cache = FileCache(server.data / "cache" / "last-commits", max_bytes=1)
    with contextlib.ExitStack() as stack:
        with cache.lock(public_id, tip):  # as if another process were reading history
            waiting = [
                stack.enter_context(socket.create_connection(("127.0.0.1", server.port))) for _ in range(3)
            ]
            for connection in waiting:
                connection.sendall(head.encode())
            assert other.read_file("f") == b"1"
            assert other.read_file("f") == b"1"
            assert select.select(waiting, [], [], 0)[0] == [], "the read waited for a listing"
        for connection in waiting:
            reply = HTTPResponse(connection)
            reply.begin()
            assert (reply.status, json.loads(reply.read())["has_more"]) == (200, False)
