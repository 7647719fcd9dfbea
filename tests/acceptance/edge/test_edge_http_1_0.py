"""Streamed answers to HTTP/1.0 clients: they have no chunks, and their end tells whether the answer is whole."""

import gzip
import subprocess
from pathlib import Path

import pytest

from tests.conftest import StartServer
from tests.support.clients.git import Git
from tests.support.clients.git_wire import UPLOAD, pkt
from tests.support.clients.raw_http import connection
from tests.support.clients.repo import Repo
from tests.support.servers.programs import need_programs
from tests.support.servers.server import Server

CURL_TIMEOUT_S = 120


def curl(repo: Repo, version: str, path: str, *options: str, body: bytes | None = None) -> tuple[str, bytes]:
    """Return head (in lower case) and body of an answer that must be whole."""
    need_programs("curl")
    server = repo.org.server
    command = [
        *("curl", version, "--silent", "--show-error", "--noproxy", "*", "--raw", "--include"),
        *(("--cacert", str(server.ca)) if server.ca else ()),
        *("--header", f"Authorization: Bearer {repo.token()}", *options),
        *(("--data-binary", "@-") if body is not None else ()),
        server.url + path,
    ]
    done = subprocess.run(command, input=body or b"", capture_output=True, timeout=CURL_TIMEOUT_S)
    assert done.returncode == 0, done.stderr
    head, _, content = done.stdout.partition(b"\r\n\r\n")
    return head.decode().lower(), content


def check_close_delimited(head: str) -> None:
    assert " 200 " in head
    assert "transfer-encoding" not in head
    assert "content-length" not in head
    assert "\nconnection: close" in head


@pytest.mark.parametrize("server", ["sqlite", "tls"], indirect=True)
@pytest.mark.parametrize("keep_alive", [(), ("--header", "Connection: keep-alive")])
def test_an_archive_ends_with_the_connection(repo: Repo, keep_alive: tuple[str, ...]) -> None:
    repo.write_commit("main", {f"{number}.txt": bytes(range(256)) * 400 for number in range(20)})
    path = f"/api/repos/{repo.name.replace('/', '%2F')}/archive"
    head, body = curl(repo, "--http1.0", path, "--request", "POST", *keep_alive)
    check_close_delimited(head)
    assert gzip.decompress(body).count(bytes(range(256))) == 20 * 400


@pytest.mark.parametrize("server", ["sqlite", "tls"], indirect=True)
def test_a_fetch_ends_with_the_connection(repo: Repo, git: Git, tmp_path: Path) -> None:
    tip = repo.write_commit("main", {"a": bytes(range(256)) * 4000})
    request = pkt(f"want {tip} ofs-delta\n") + b"0000" + pkt("done\n")
    content_type = ("--header", f"Content-Type: application/x-{UPLOAD}-request")
    head, body = curl(repo, "--http1.0", f"/{repo.name}.git/{UPLOAD}", *content_type, body=request)
    check_close_delimited(head)
    assert body.startswith(pkt("NAK\n") + b"PACK")
    bare = git.init(tmp_path / "bare")
    git.run("index-pack", "--stdin", "--strict", cwd=bare, stdin=body[len(pkt("NAK\n")) :])
    assert git.run("cat-file", "-t", tip, cwd=bare) == "commit"


def test_events_reach_an_http_1_0_client_until_a_crash_resets_them(start_server: StartServer) -> None:
    server: Server = start_server()
    repo = server.new_org().create_repo()
    head = f"GET /api/v1/repos/events HTTP/1.0\r\nAuthorization: Bearer {repo.token()}\r\n\r\n"
    with connection(server) as wire:
        wire.send(head.encode())
        got = b""
        while not got.endswith(b"\n\n"):
            got += wire.read_exactly(1)
        assert b"chunked" not in got
        server.kill()
        with pytest.raises(ConnectionResetError):
            wire.read_exactly(1_000_000)
