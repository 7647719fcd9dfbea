"""Requests that offer an upgrade, have an expectation or another version:

answered in full, or refused with a sentence.
"""

import base64
import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.clients.git import Git
from tests.support.clients.raw_http import HOST, Wire, connection, pipeline_many, send
from tests.support.clients.repo import Repo
from tests.support.servers.programs import need_programs
from tests.support.servers.server import Server

JAVA_CALLS = Path(__file__).resolve().parents[2] / "java/Calls.java"
PROGRAM_TIMEOUT_S = 300

H2C = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEAAEAAAAIAAAAB\r\n"
UPGRADES = {
    "h2c": H2C,
    "websocket": b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\n",
    "anything": b"connection:upgrade\r\nupgrade:  a/1, b \r\nUpgrade: c\r\n",
    "keep-alive": b"Connection: keep-alive\r\nConnection: Upgrade\r\nUpgrade: TLS/1.0\r\n",
}


def sized(body: bytes) -> bytes:
    return b"Content-Length: %d\r\n\r\n%s" % (len(body), body)


def chunked(body: bytes) -> bytes:
    pieces = [body[start : start + 20] for start in range(0, len(body), 20)]
    return b"Transfer-Encoding: chunked\r\n\r\n%s0\r\nX-Trailer: y\r\n\r\n" % b"".join(
        b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces
    )


def whole(wire: Wire, request: bytes) -> None:
    wire.send(request)


def head_then_body(wire: Wire, request: bytes) -> None:
    head, between, body = request.partition(b"\r\n\r\n")
    wire.send(head + between)
    wire.send(body)


def byte_by_byte(wire: Wire, request: bytes) -> None:
    for position in range(len(request)):
        wire.send(request[position : position + 1])


def start_of(repo: Repo, method: str, path: str, extra: bytes = b"") -> bytes:
    return f"{method} {path} HTTP/1.1\r\nAuthorization: Bearer {repo.token()}\r\n".encode() + HOST + extra


def error_of(body: bytes) -> str:
    fields: dict[str, Any] = json.loads(body)
    assert fields["error"] == fields["detail"]
    return str(fields["error"])


@pytest.mark.parametrize("upgrade", UPGRADES.values(), ids=UPGRADES.keys())
@pytest.mark.parametrize("frame", [sized, chunked])
@pytest.mark.parametrize("write", [whole, head_then_body, byte_by_byte])
def test_an_offered_upgrade_is_ignored_and_the_body_read(
    server: Server,
    repo: Repo,
    upgrade: bytes,
    frame: Callable[[bytes], bytes],
    write: Callable[[Wire, bytes], None],
) -> None:
    body = json.dumps({"default_branch": "trunk", "padding": "x" * 100}).encode()
    request = start_of(repo, "PATCH", "/api/v1/repo", upgrade) + frame(body)
    with connection(server) as wire:
        for _ in range(2):
            write(wire, request)
            answer, _ = wire.read()
            assert answer.status == 200
            assert not answer.getheader("connection")
        wire.send(start_of(repo, "GET", "/api/v1/repo") + b"\r\n")
        assert json.loads(wire.read()[1])["default_branch"] == "trunk"


def test_pipelined_upgrades_are_answered_in_order(server: Server, repo: Repo) -> None:
    plain = start_of(repo, "GET", "/healthz") + b"\r\n"
    first = start_of(repo, "PATCH", "/api/v1/repo", H2C) + sized(b'{"default_branch":"one"}')
    second = start_of(repo, "GET", "/api/v1/repo", UPGRADES["websocket"]) + b"\r\n"
    third = start_of(repo, "POST", "/nowhere", H2C) + chunked(b"GET /healthz HTTP/1.1\r\n\r\n")
    with connection(server) as wire:
        wire.send(plain + first + second + third + plain)
        assert wire.read()[0].status == 200
        assert wire.read()[0].status == 200
        assert json.loads(wire.read()[1])["default_branch"] == "one"
        assert wire.read()[0].status == 404
        assert wire.read()[1] == b'{"status":"ok"}'


def test_an_upgrade_offered_with_connection_close_is_answered_and_closed(server: Server, repo: Repo) -> None:
    upgrade = b"Connection: close, Upgrade\r\nUpgrade: h2c\r\n"
    with connection(server) as wire:
        wire.send(start_of(repo, "PATCH", "/api/v1/repo", upgrade) + sized(b'{"default_branch":"one"}'))
        assert wire.read()[0].getheader("connection") == "close"
        assert wire.is_closed()
    assert repo.v1("GET", "/repo").json()["default_branch"] == "one"


def test_an_upgrade_of_an_http_1_0_client_is_ignored(server: Server, repo: Repo) -> None:
    head = start_of(repo, "PATCH", "/api/v1/repo", H2C).replace(b"HTTP/1.1", b"HTTP/1.0")
    assert send(server, head + sized(b'{"default_branch":"old"}'))[0].status == 200
    assert repo.v1("GET", "/repo").json()["default_branch"] == "old"


def test_a_body_offered_with_an_upgrade_may_be_large_and_wait_for_continue(
    server: Server, repo: Repo
) -> None:
    content = b"0123456789abcdef" * 65536
    lines = [
        {
            "metadata": {
                "target_branch": "main",
                "commit_message": "m",
                "author": {"name": "A", "email": "a@example.test"},
                "files": [{"path": "a", "content_id": "1"}],
            }
        },
        {"blob_chunk": {"content_id": "1", "data": base64.b64encode(content).decode(), "eof": True}},
    ]
    body = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
    head = start_of(repo, "POST", "/api/v1/repos/commit-pack", H2C + b"Expect: 100-continue\r\n")
    with connection(server) as wire:
        wire.send(head + b"Content-Length: %d\r\n\r\n" % len(body))
        assert wire.read_exactly(25) == b"HTTP/1.1 100 Continue\r\n\r\n"
        wire.send(body)
        answer, text = wire.read()
        assert answer.status == 201, text
    assert repo.read_file("a", ref="main") == content


@pytest.mark.parametrize(
    ("framing", "status"),
    [
        (b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", 400),
        (b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", 400),
        (b"Content-Length: 5\r\nContent-Length: 6\r\n", 400),
        (b"Transfer-Encoding: gzip, chunked\r\n", 400),
        (b"Transfer-Encoding: gzip\r\n", 400),
        (b"Transfer-Encoding: identity\r\n", 400),
        (b"Host: other.example.test\r\n", 400),
        (b"X: a\r\n Content-Length: 5\r\n", 400),
        (b"X: a\nContent-Length: 5\r\n", 400),
        (b"X: a\rContent-Length: 5\r\n", 400),
        (b"X: a\x00\r\n", 400),
        (b"X-Pad: " + b"a" * 140_000 + b"\r\n", 431),
        (b"X: y\r\n" * 600, 431),
    ],
)
@pytest.mark.parametrize("upgrade_first", [True, False])
def test_an_upgrade_excuses_no_bad_framing(
    server: Server, framing: bytes, status: int, upgrade_first: bool
) -> None:
    smuggled = b"0\r\n\r\nGET /healthz HTTP/1.1\r\n" + HOST + b"\r\n"
    headers = H2C + framing if upgrade_first else framing + H2C
    with connection(server) as wire:
        wire.send(b"POST /api/v1/repos HTTP/1.1\r\n" + HOST + headers + b"\r\n" + smuggled)
        answer, body = wire.read()
        assert (answer.status, json.loads(body)["status"]) == (status, status)
        assert wire.is_closed()


def test_no_header_can_hide_behind_an_empty_or_doubled_upgrade(server: Server, repo: Repo) -> None:
    upgrade = b"Upgrade:\r\nConnection: ,Upgrade ,, x\r\nX:\r\nUpgrade: \t h2c \t \r\n"
    with connection(server) as wire:
        wire.send(start_of(repo, "POST", "/nowhere", upgrade) + sized(b"GET /healthz HTTP/1.1\r\n\r\n"))
        assert wire.read()[0].status == 404
        wire.send(b"GET /healthz HTTP/1.1\r\n" + HOST + b"\r\n")
        assert wire.read()[0].status == 200


def test_an_upgrade_offered_in_a_trailer_is_ignored(server: Server, repo: Repo) -> None:
    framing = b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n"
    with connection(server) as wire:
        for upgrade in (b"Connection: Upgrade\r\n", H2C):
            wire.send(start_of(repo, "PATCH", "/api/v1/repo", upgrade) + framing)
            assert wire.read()[0].status == 400
            wire.send(start_of(repo, "GET", "/healthz") + b"\r\n")
            assert wire.read()[0].status == 200


def test_a_flood_of_pipelined_upgrades_is_cut(server: Server) -> None:
    assert pipeline_many(server, b"GET /readyz HTTP/1.1\r\n" + HOST + H2C + b"\r\n") <= {200, 429}


@pytest.mark.parametrize("target", [b"git.example.test:443", b"git.example.test:80"])
@pytest.mark.parametrize("headers", [b"", H2C, b"Content-Length: 3\r\n"])
def test_connect_is_refused_as_a_method(server: Server, target: bytes, headers: bytes) -> None:
    answer, body = send(server, b"CONNECT " + target + b" HTTP/1.1\r\n" + HOST + headers + b"\r\nabc")
    assert answer.status == 405
    assert "GET" in str(answer.getheader("allow"))
    assert error_of(body) == "CONNECT is not served: this is no proxy"


@pytest.mark.parametrize("version", [b"HTTP/2.0", b"HTTP/0.9", b"HTTP/1.2", b"HTTP/3"])
def test_other_versions_of_http_are_refused(server: Server, version: bytes) -> None:
    answer, body = send(server, b"GET /healthz " + version + b"\r\n" + HOST + H2C + b"\r\n")
    assert answer.status == 400
    assert error_of(body)


def test_the_preface_of_http_2_is_refused_in_any_pieces(server: Server) -> None:
    preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
    with connection(server) as wire:
        byte_by_byte(wire, preface)
        assert wire.read()[0].status == 400
        assert wire.is_closed()


@pytest.mark.parametrize("expect", [b"100-Continue", b" 100-continue \t", b"100-continue, 100-continue", b""])
def test_expect_is_read_as_a_list_without_blanks(server: Server, repo: Repo, expect: bytes) -> None:
    head = start_of(repo, "PATCH", "/api/v1/repo", b"Expect:" + expect + b"\r\nContent-Length: 2\r\n\r\n")
    with connection(server) as wire:
        wire.send(head)
        if expect:
            assert wire.read_exactly(25) == b"HTTP/1.1 100 Continue\r\n\r\n"
        wire.send(b"{}")
        assert wire.read()[0].status == 400


@pytest.mark.parametrize("expect", [b"200-ok", b"100-continue, more", b"more\r\nExpect: 100-continue"])
def test_an_unknown_expectation_is_answered_417(server: Server, repo: Repo, expect: bytes) -> None:
    head = start_of(repo, "PATCH", "/api/v1/repo", b"Expect: " + expect + b"\r\nContent-Length: 2\r\n\r\n")
    answer, body = send(server, head)
    assert answer.status == 417
    assert error_of(body) == "the only expectation served is 100-continue"


@pytest.mark.parametrize("expect", [b"100-continue", b"more"])
def test_an_expectation_of_an_http_1_0_client_is_ignored(server: Server, repo: Repo, expect: bytes) -> None:
    extra = b"Expect: " + expect + b"\r\nContent-Length: 24\r\n\r\n"
    head = start_of(repo, "PATCH", "/api/v1/repo", extra).replace(b"HTTP/1.1", b"HTTP/1.0")
    with connection(server) as wire:
        wire.send(head)
        wire.send(b'{"default_branch":"old"}')
        assert wire.read_exactly(15) == b"HTTP/1.1 200 OK"


def test_the_te_and_trailer_headers_are_ignored(server: Server, repo: Repo) -> None:
    extra = b"TE: trailers, chunked;q=0.5\r\nConnection: TE\r\nTrailer: X-Trailer\r\n"
    with connection(server) as wire:
        for _ in range(2):
            wire.send(start_of(repo, "PATCH", "/api/v1/repo", extra) + chunked(b'{"default_branch":"trunk"}'))
            assert wire.read()[0].status == 200


def commit_body(path: str) -> str:
    metadata = {
        "target_branch": "main",
        "commit_message": "m",
        "author": {"name": "A", "email": "a@example.test"},
        "files": [{"path": path, "content_id": "1"}],
    }
    chunk = {"content_id": "1", "data": base64.b64encode(path.encode()).decode(), "eof": True}
    return json.dumps({"metadata": metadata}) + "\n" + json.dumps({"blob_chunk": chunk}) + "\n"


def calls_with_bodies(repo: Repo) -> list[tuple[str, str, str, int]]:
    """Return method, path, body and the expected status, in the order in which they must be sent."""
    head = repo.write_commit("main", {"a": b"1"})
    for branch in ("topic", "trunk"):
        fields = {"base_ref": head, "target_branch": branch}
        assert repo.api("POST", "/branches/create", json=fields).status_code == 200
    return [
        ("POST", "/api/v1/repos/commit-pack", commit_body("one"), 201),
        ("PATCH", "/api/v1/repo", '{"default_branch":"trunk"}', 200),
        ("POST", "/api/v1/repos/branches/create", json.dumps({"base_ref": head, "target_branch": "n"}), 200),
        ("DELETE", "/api/v1/repos/branches", '{"name":"topic"}', 200),
        ("PUT", f"/{repo.name}.git/info/lfs/objects/x", "x" * 100_000, 404),
    ]


def check_effects(repo: Repo) -> None:
    assert repo.v1("GET", "/repo").json()["default_branch"] == "trunk"
    assert set(repo.branches()) == {"main", "n", "trunk"}
    assert repo.read_file("one", ref="main") == b"one"


@pytest.mark.parametrize("framing", ["", "chunked:"])
def test_the_http_client_of_java_is_understood(server: Server, repo: Repo, framing: str) -> None:
    need_programs(
        "javac"
    )  # `java` alone may be a runtime without the compiler that it needs for a source file
    calls = calls_with_bodies(repo)
    arguments = [
        part for method, path, body, _ in calls for part in (method, server.url + path, framing + body)
    ]
    command = ["java", str(JAVA_CALLS), repo.token(), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PROGRAM_TIMEOUT_S)
    assert done.returncode == 0, done.stderr
    answers = [line.split(" ", 2) for line in done.stdout.splitlines()]
    assert [(int(status), version) for status, version, _ in answers] == [
        (status, "HTTP_1_1") for *_, status in calls
    ], done.stdout
    check_effects(repo)


def test_curl_that_asks_for_http_2_is_understood(server: Server, repo: Repo) -> None:
    need_programs("curl")
    for method, path, body, status in calls_with_bodies(repo):
        done = subprocess.run(
            [
                *("curl", "--http2", "--silent", "--show-error", "--noproxy", "*", "--request", method),
                *("--header", f"Authorization: Bearer {repo.token()}", "--data-binary", "@-"),
                *("--write-out", "\n%{http_code} %{http_version}", server.url + path),
            ],
            input=body.encode(),
            capture_output=True,
            timeout=PROGRAM_TIMEOUT_S,
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.decode().rpartition("\n")[2] == f"{status} 1.1", done.stdout
    check_effects(repo)


def test_git_that_asks_for_http_2_clones_and_pushes(repo: Repo, git: Git, tmp_path: Path) -> None:
    work = git.init(tmp_path / "work")
    for version in ("0", "2"):
        options = (
            "-c",
            "http.version=HTTP/2",
            "-c",
            f"protocol.version={version}",
            "-c",
            "http.postBuffer=65536",
        )
        pushed = git.commit(work, {"a": version.encode() * 300_000, "b": version.encode()})
        git.run(*options, "push", "--quiet", repo.remote(), "main", cwd=work)
        clone = tmp_path / f"clone{version}"
        git.run(*options, "clone", "--quiet", repo.remote(), clone)
        assert git.run("rev-parse", "HEAD", cwd=clone) == pushed
