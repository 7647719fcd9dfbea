"""Server processes: start, several workers, crashes and the end."""

import http.client
import json
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.conftest import StartServer
from tests.support.clients.repo import Repo, commit_lines
from tests.support.servers import processes
from tests.support.servers.server import Server
from tests.support.servers.server_process import COMMAND_TIMEOUT_S, PROGRAM, STOP_TIMEOUT_S, ServerOptions
from tests.support.waiting import wait_until

WAIT_MAX_S = 60


def serve_and_fail(environment: dict[str, str], *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(PROGRAM), "serve", *options],
        env=environment,
        capture_output=True,
        text=True,
        timeout=COMMAND_TIMEOUT_S,
    )


def workers_of(server: Server) -> list[int]:
    return [process_id for process_id in server.members() if process_id != server.pid]


def wait_for_workers(server: Server, count: int) -> list[int]:
    deadline = time.monotonic() + WAIT_MAX_S
    while len(found := workers_of(server)) != count and time.monotonic() < deadline:
        time.sleep(0.02)
    assert len(found) == count, server.stderr()
    return found


def test_a_port_in_use_is_reported_in_one_line(server: Server, tmp_path: Path) -> None:
    done = serve_and_fail(server.environment | {"PACKHOUSE_DATA": str(tmp_path)})
    assert done.returncode != 0
    assert f"127.0.0.1:{server.port}" in done.stderr
    assert "in use" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--listen", "127.0.0.1:99999"), "listen"),
        (("--listen", "nowhere.invalid:0"), "nowhere.invalid"),
        (("--listen", "192.0.2.1:0"), "192.0.2.1"),
        (("--tls-cert", "/nonexistent", "--tls-key", "/nonexistent"), "/nonexistent"),
    ],
)
@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_server_that_cannot_start_says_why_and_ends(
    tmp_path: Path, options: tuple[str, ...], words: str, workers: str
) -> None:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PACKHOUSE_")}
    environment = kept | {"PACKHOUSE_DATA": str(tmp_path), "PACKHOUSE_WORKERS": workers}
    listen = () if "--listen" in options else ("--listen", "127.0.0.1:0")
    done = serve_and_fail(environment, *options, *listen)
    assert done.returncode != 0
    assert words in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_server_whose_database_cannot_be_opened_ends(tmp_path: Path, workers: str) -> None:
    (tmp_path / "packhouse.db").write_bytes(b"this is no database" * 1000)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PACKHOUSE_")}
    environment = kept | {"PACKHOUSE_DATA": str(tmp_path), "PACKHOUSE_WORKERS": workers}
    done = serve_and_fail(environment, "--listen", "127.0.0.1:0")
    assert done.returncode == 1
    assert "database" in done.stderr
    assert "listening" not in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("workers", [1, 3])
def test_the_address_is_logged_once_the_server_answers_there(start_server: StartServer, workers: int) -> None:
    server = start_server(ServerOptions(workers=workers))
    wait_until(lambda: server.log("listening"), "the address is told")
    assert [(line["address"], line["workers"], line["pid"]) for line in server.log("listening")] == [
        (server.url, workers, server.pid)
    ]
    if workers == 1:
        return
    os.kill(wait_for_workers(server, workers)[0], signal.SIGKILL)
    wait_until(lambda: server.log("worker ended"), "the end of a worker is told")
    wait_for_workers(server, workers)
    assert len(server.log("listening")) == 1


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_demo_that_cannot_start_prints_no_welcome(tmp_path: Path, workers: str) -> None:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PACKHOUSE_")}
    done = subprocess.run(
        [
            str(PROGRAM),
            "demo",
            "--listen",
            "127.0.0.1:0",
            "--tls-cert",
            "/nonexistent",
            "--tls-key",
            "/nonexistent",
        ],
        env=kept | {"PACKHOUSE_DATA": str(tmp_path), "PACKHOUSE_WORKERS": workers},
        capture_output=True,
        text=True,
        timeout=COMMAND_TIMEOUT_S,
    )
    assert done.returncode != 0
    assert done.stdout == ""
    assert "listening" not in done.stderr


@pytest.mark.parametrize("workers", [1, 2])
def test_variables_of_a_kubernetes_service_are_reported_once_and_ignored(
    start_server: StartServer, workers: int
) -> None:
    links = {"port": "tcp://10.0.0.1:8080", "service_host": "10.0.0.1", "web_port_80_tcp_addr": "10.0.0.2"}
    server = start_server(ServerOptions(workers=workers, settings=links))
    (line,) = [line for line in server.log() if line["level"] == "warning"]
    assert line["variables"] == sorted(f"PACKHOUSE_{name.upper()}" for name in links)
    org = server.new_org()
    done = server.try_cli("key", "list", org.name, "--json")
    assert (len(json.loads(done.stdout)), done.stderr) == (1, "")


def test_a_running_upload_may_finish_after_sigterm(start_server: StartServer) -> None:
    server = start_server()
    repo = server.new_org().create_repo()
    lines = list(commit_lines("main", {"a.txt": b"hello"}))
    asked_to_end = threading.Event()

    def body() -> Iterator[bytes]:
        yield lines[0]
        os.kill(server.pid, signal.SIGTERM)
        asked_to_end.set()
        time.sleep(0.5)
        yield from lines[1:]

    headers = {"Authorization": f"Bearer {repo.token()}"}
    with httpx.Client(timeout=WAIT_MAX_S) as client:
        reply = client.post(f"{server.url}/api/v1/repos/commit-pack", content=body(), headers=headers)
    assert asked_to_end.is_set()
    assert reply.status_code == 201, reply.text
    assert server.terminate() == 0


def test_no_connection_is_taken_after_sigterm_and_idle_ones_are_closed(start_server: StartServer) -> None:
    server = start_server()
    with socket.create_connection(("127.0.0.1", server.port), timeout=WAIT_MAX_S) as idle:
        idle.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        answer = http.client.HTTPResponse(idle)
        answer.begin()
        assert (answer.status, answer.read()) == (200, b'{"status":"ok"}')
        assert server.terminate() == 0
        assert idle.recv(1) == b""
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", server.port), timeout=WAIT_MAX_S)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_request_that_outlasts_the_grace_period_is_ended(start_server: StartServer, workers: int) -> None:
    options = ServerOptions(workers=workers, settings={"shutdown_grace_s": "1", "stall_timeout_s": "600"})
    server = start_server(options)
    repo = server.new_org().create_repo()
    head = f"POST /api/v1/repos/commit-pack HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {repo.token()}\r\n"
    with (
        socket.create_connection(("127.0.0.1", server.port), timeout=WAIT_MAX_S) as raw,
        raw.makefile("rb") as incoming,
    ):
        raw.sendall(head.encode() + b"Transfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n")
        assert incoming.readline() == b"HTTP/1.1 100 Continue\r\n"
        assert incoming.readline() == b"\r\n"
        raw.sendall(b'5\r\n{"met')
        assert server.terminate() == 0
        answer = incoming.read()
    assert answer.startswith(b"HTTP/1.1 503")
    assert b"server is shutting down" in answer
    assert b'"result"' in answer


@pytest.mark.parametrize("workers", [1, 2])
def test_sigint_ends_the_server_like_sigterm(start_server: StartServer, workers: int) -> None:
    # A script's background jobs ignore it from birth (POSIX, Shell Command Language, 2.11).
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        server = start_server(ServerOptions(workers=workers))
    finally:
        signal.signal(signal.SIGINT, before)
    assert server.process is not None
    server.process.send_signal(signal.SIGINT)
    assert server.process.wait(STOP_TIMEOUT_S) == 0
    assert not processes.wait_until_gone(server.process.pid)
    server.process = None


@pytest.mark.parametrize("server", ["workers"], indirect=True)
def test_workers_serve_one_address_together(server: Server, repo: Repo) -> None:
    wait_for_workers(server, 2)  # git may run beside them for a moment
    for _ in range(20):
        with httpx.Client(timeout=WAIT_MAX_S) as client:  # a new connection may reach either worker
            headers = {"Authorization": f"Bearer {repo.token()}"}
            assert client.get(f"{server.url}/api/v1/repo", headers=headers).status_code == 200


def test_a_worker_that_dies_is_replaced(start_server: StartServer) -> None:
    server = start_server(ServerOptions(workers=2))
    first, second = wait_for_workers(server, 2)
    os.kill(first, signal.SIGKILL)
    deadline = time.monotonic() + WAIT_MAX_S
    while time.monotonic() < deadline:
        now = workers_of(server)
        if first not in now and len(now) == 2:
            break
        time.sleep(0.02)
    assert second in now
    assert "worker ended" in server.stderr()
    assert server.http.get(f"{server.url}/readyz").status_code == 200


def test_workers_end_when_their_supervisor_is_killed(start_server: StartServer) -> None:
    server = start_server(ServerOptions(workers=2))
    wait_for_workers(server, 2)
    assert server.process is not None
    session = server.pid
    os.kill(server.pid, signal.SIGKILL)
    server.process.wait()
    assert not processes.wait_until_gone(session)
    server.process = None


def test_a_server_without_its_storage_is_up_but_not_ready(start_server: StartServer) -> None:
    server = start_server()
    aside = server.data.with_name("aside")
    server.data.rename(aside)
    reply = server.http.get(f"{server.url}/readyz")
    assert (reply.status_code, reply.headers["retry-after"]) == (503, "1")
    assert server.http.get(f"{server.url}/healthz").status_code == 200
    aside.rename(server.data)
    assert server.http.get(f"{server.url}/readyz").status_code == 200
