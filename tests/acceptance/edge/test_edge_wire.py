"""Bytes on the socket: malformed, oversized, slow or ambiguous requests, and clients that leave."""

import gzip
import json
import socket
import ssl
import time
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import StartServer
from tests.support.clients.raw_http import HOST, WAIT_S, connection, pipeline_many, send
from tests.support.clients.repo import Org, Repo
from tests.support.servers import processes
from tests.support.servers.server import Server
from tests.support.servers.server_process import ServerOptions

FLOOD_MAX_BYTES = 40_000_000  # what sockets buffer on the way, and some


def problem(server: Server, request: bytes) -> dict[str, Any]:
    answer, body = send(server, request)
    assert answer.getheader("content-type") == "application/json"
    fields: dict[str, Any] = json.loads(body)
    assert fields["status"] == answer.status
    assert fields["error"] == fields["detail"] != ""
    return fields


@pytest.mark.parametrize(
    "request_head",
    [
        b"nonsense\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET /healthz\r\n\r\n",
        b"GET /healthz HTTP/9.9\r\n" + HOST + b"\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\n" + HOST + b"Host: other.example.test\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\n" + HOST + b"Bad Header: x\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\n" + HOST + b"X: a\x00b\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\n" + HOST + b": empty\r\n\r\n",
        b"GET /health z HTTP/1.1\r\n" + HOST + b"\r\n",
        b"GET /h\x00 HTTP/1.1\r\n" + HOST + b"\r\n",
        b"GET /caf\xc3\xa9 HTTP/1.1\r\n" + HOST + b"\r\n",
        b"GET healthz HTTP/1.1\r\n" + HOST + b"\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\r\n" * 9,
    ],
)
def test_a_malformed_head_is_answered_400_as_json(server: Server, request_head: bytes) -> None:
    assert problem(server, request_head)["status"] == 400


@pytest.mark.parametrize(
    "framing",
    [
        b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
        b"Content-Length: 5\r\nContent-Length: 6\r\n",
        b"Content-Length: 5, 6\r\n",
        b"Content-Length: -1\r\n",
        b"Content-Length: +5\r\n",
        b"Content-Length: 0x5\r\n",
        b"Content-Length: 99999999999999999999999\r\n",
        b"Transfer-Encoding: gzip, chunked\r\n",
        b"Transfer-Encoding: chunked, chunked\r\n",
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: identity\r\n",
        b"Transfer-Encoding: xchunked\r\n",
        b"Transfer-Encoding:\x0bchunked\r\n",
        b"Transfer-Encoding : chunked\r\n",
        b"Content-Length: 5\r\n Transfer-Encoding: chunked\r\n",
    ],
)
def test_ambiguous_framing_is_refused_and_nothing_after_it_is_read(server: Server, framing: bytes) -> None:
    smuggled = b"0\r\n\r\nGET /healthz HTTP/1.1\r\n" + HOST + b"\r\n"
    with connection(server) as wire:
        wire.send(b"POST /api/v1/repos HTTP/1.1\r\n" + HOST + framing + b"\r\n" + smuggled)
        answer, body = wire.read()
        assert answer.status == 400, body
        assert json.loads(body)["status"] == 400
        assert wire.is_closed()


@pytest.mark.parametrize(
    "chunk", [b"zz\r\n", b"5\r\nhelloXX", b"-5\r\n", b"5;a\n\n", b"ffffffffffffffffff\r\n"]
)
def test_a_damaged_chunk_is_refused(server: Server, repo: Repo, chunk: bytes) -> None:
    head = f"POST /api/v1/repos/commit-pack HTTP/1.1\r\nAuthorization: Bearer {repo.token()}\r\n"
    fields = problem(server, head.encode() + HOST + b"Transfer-Encoding: chunked\r\n\r\n" + chunk)
    assert fields["status"] == 400
    assert fields["result"]["status"] == "invalid"


def test_trailers_are_ignored(server: Server) -> None:
    request = (
        b"GET /api/repos HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n"
        b"0\r\nAuthorization: Bearer x.y.z\r\nHost: other.example.test\r\n\r\n"
    )
    assert problem(server, request)["error"] == "a token is required"


def test_headers_of_32_kib_work(server: Server) -> None:
    padding = b"".join(b"X-Pad-%d: %s\r\n" % (n, b"a" * 4080) for n in range(8))
    assert send(server, b"GET /healthz HTTP/1.1\r\n" + HOST + padding + b"\r\n")[0].status == 200
    one = b"X-Pad: " + b"a" * 32768 + b"\r\n"
    assert send(server, b"GET /healthz HTTP/1.1\r\n" + HOST + one + b"\r\n")[0].status == 200


@pytest.mark.parametrize(
    "headers", [b"X-Pad: " + b"a" * 140_000 + b"\r\n", b"X: y\r\n" * 600, b"X-Pad: " + b"a" * 600_000]
)
def test_headers_that_are_too_large_or_too_many_are_answered_431(server: Server, headers: bytes) -> None:
    assert problem(server, b"GET /healthz HTTP/1.1\r\n" + HOST + headers + b"\r\n\r\n")["status"] == 431


def flood(server: Server, head: bytes) -> int:
    """Send `head` and then up to 64 MiB of one letter; return the number of bytes that the server took."""
    taken = 0
    with connection(server) as wire:
        wire.send(head)
        try:
            for _ in range(1024):
                wire.send(b"a" * 65536)
                taken += 65536
        except (BrokenPipeError, ConnectionResetError):
            return taken
    return taken


@pytest.mark.parametrize(
    "head",
    [
        b"GET /healthz HTTP/1.1\r\nX: ",
        b"GET /",
        b"GET /healthz HTTP/1.1\r\nX",
        b"POST /api/repos HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n0\r\nX: ",
        b"POST /api/repos HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n5;x=",
    ],
)
def test_endless_heads_and_trailers_are_cut_and_cost_little_memory(server: Server, head: bytes) -> None:
    before = processes.resident_bytes(server.pid)
    assert flood(server, head) < FLOOD_MAX_BYTES
    assert processes.resident_bytes(server.pid) - before < FLOOD_MAX_BYTES


def test_a_target_of_128_kib_works_and_a_longer_one_is_answered_414(server: Server) -> None:
    for length, status in ((60_000, 200), (65_520, 200), (131_061, 200), (131_062, 414), (600_000, 414)):
        request = b"GET /healthz?x=" + b"a" * length + b" HTTP/1.1\r\n" + HOST + b"\r\n"
        answer, body = send(server, request)
        assert (answer.status, json.loads(body).get("status")) == (status, "ok" if status == 200 else 414)


def test_a_long_query_is_read_as_a_short_one(server: Server, repo: Repo) -> None:
    repo.write_commit("main", {"a?b": b"1"})
    target = f"/api/repos/{repo.name.replace('/', '%2F')}/files"
    token = f"Authorization: Bearer {repo.token()}\r\n".encode()
    for long in (b"", b"&x=" + b"a" * 70_000):
        for end in (b"", b"#path=gone?path=gone"):
            request = b"GET " + target.encode() + b"?path=a?b" + long + end + b" HTTP/1.1\r\n" + HOST + token
            answer, body = send(server, request + b"\r\n")
            assert (answer.status, json.loads(body).get("paths")) == (200, ["a?b"])


def test_a_path_of_more_than_64_kib_is_answered_414(server: Server) -> None:
    for length, status in ((65_000, 404), (66_000, 414), (100_000, 414)):
        request = b"GET /healthz/" + b"a" * length + b"?x HTTP/1.1\r\n" + HOST + b"\r\n"
        assert problem(server, request)["status"] == status


def test_a_commit_path_gets_a_result_from_the_socket_layer_too(server: Server) -> None:
    request = b"POST /api/v1/repos/commit-pack?x=" + b"a" * 140_000 + b" HTTP/1.1\r\n" + HOST + b"\r\n"
    refused = problem(server, request)
    assert (refused["status"], refused["result"]["status"]) == (414, "invalid")
    long_header = b"POST /api/repos/x/commit-pack HTTP/1.1\r\n" + HOST + b"X: " + b"a" * 70_000 + b"\r\n\r\n"
    assert problem(server, long_header)["result"]["success"] is False


@pytest.mark.parametrize(
    ("target", "status"),
    [
        (b"http://other.example.test/healthz", 200),
        (b"http://u:p@other.example.test:99/api/repos", 401),
        (b"//healthz", 200),
        (b"///api/v1/repos", 401),
        (b"/api/v1//repos", 404),
        (b"/%68ealthz", 200),
        (b"/healthz%2F", 404),
        (b"/healthz/", 404),
        (b"/healthz?", 200),
        (b"/healthz;x", 404),
        (b"/healthz#x", 200),
        (b"*", 404),
        (b"/..%2f..%2fetc/passwd", 404),
        (b"/../../etc/passwd", 404),
        (b"/api/repos/%00/branches", 401),
        (b"/api/repos/%zz", 400),
        (b"/%", 400),
        (b"/%ff", 400),
        (b"/\\healthz", 404),
    ],
)
def test_odd_targets_are_routed_as_written(server: Server, target: bytes, status: int) -> None:
    answer, body = send(server, b"GET " + target + b" HTTP/1.1\r\n" + HOST + b"\r\n")
    assert answer.status == status, body
    assert not answer.getheader("location")


@pytest.mark.parametrize("method", [b"OPTIONS", b"TRACE", b"PUT", b"PROPFIND"])
def test_other_methods_are_answered_405_with_allow(server: Server, method: bytes) -> None:
    answer, body = send(server, method + b" /api/repos HTTP/1.1\r\n" + HOST + b"\r\n")
    assert (answer.status, answer.getheader("allow")) == (405, "DELETE, GET, HEAD, POST")
    assert json.loads(body)["title"] == "Method Not Allowed"


def test_http_1_0_is_answered_and_closed(server: Server) -> None:
    with connection(server) as wire:
        wire.send(b"GET /healthz HTTP/1.0\r\n\r\n")
        answer, body = wire.read()
        assert (answer.status, body) == (200, b'{"status":"ok"}')
        assert wire.is_closed()


def test_an_upgrade_is_not_taken_and_the_request_is_answered(server: Server) -> None:
    upgrade = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n"
    answer, body = send(server, b"GET /healthz HTTP/1.1\r\n" + HOST + upgrade + b"\r\n")
    assert (answer.status, body) == (200, b'{"status":"ok"}')
    websocket = b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\n"
    assert send(server, b"GET /healthz HTTP/1.1\r\n" + HOST + websocket + b"\r\n")[0].status == 200


def test_pipelined_requests_are_answered_in_order(server: Server) -> None:
    first = b"GET /healthz HTTP/1.1\r\n" + HOST + b"\r\n"
    second = b"POST /nowhere HTTP/1.1\r\nContent-Length: 3\r\n" + HOST + b"\r\nabc"
    with connection(server) as wire:
        wire.send(first + second + first)
        assert [wire.read()[0].status for _ in range(3)] == [200, 404, 200]


def test_a_head_that_arrives_in_pieces_is_read_whole(server: Server) -> None:
    head = b"GET /healthz HTTP/1.1\r\n" + HOST + b"X-Request-Id: in-pieces\r\nX-Other: 1\r\n\r\n"
    with connection(server) as wire:
        for _ in range(3):
            for piece in (head[:40], head[40:60], head[60:-20], head[-20:]):
                wire.send(piece)
                time.sleep(0.05)
            answer = wire.read()[0]
            assert (answer.status, answer.getheader("x-request-id")) == (200, "in-pieces")


def test_blank_lines_between_requests_are_ignored(server: Server) -> None:
    one = b"GET /healthz HTTP/1.1\r\n" + HOST + b"\r\n"
    with connection(server) as wire:
        for _ in range(2):
            wire.send(one + b"\r\n")
            assert wire.read()[0].status == 200


def test_a_flood_of_pipelined_requests_is_cut(server: Server) -> None:
    assert pipeline_many(server, b"GET /readyz HTTP/1.1\r\n" + HOST + b"\r\n") <= {200, 429}


def test_expect_continue_is_honoured_where_the_body_is_wanted(server: Server, repo: Repo) -> None:
    head = (
        f"PATCH /api/v1/repo HTTP/1.1\r\nAuthorization: Bearer {repo.token()}\r\nContent-Length: 2\r\n"
        "Expect: 100-continue\r\n"
    )
    with connection(server) as wire:
        wire.send(head.encode() + HOST + b"\r\n")
        assert wire.read_exactly(25) == b"HTTP/1.1 100 Continue\r\n\r\n"
        wire.send(b"{}")
        answer, body = wire.read()
        told = "nothing to update: give default_branch or expires_at"
        assert (answer.status, json.loads(body)["error"]) == (400, told)


def test_expect_continue_is_refused_before_the_body_is_sent(server: Server) -> None:
    head = b"POST /api/repos HTTP/1.1\r\nContent-Length: 9000000\r\nExpect: 100-continue\r\n"
    with connection(server) as wire:
        wire.send(head + HOST + b"\r\n")
        answer, _ = wire.read()
        assert answer.status == 401
        assert answer.getheader("connection") == "close"
        assert wire.is_closed()


def test_an_early_refusal_reaches_a_client_that_is_still_sending(server: Server) -> None:
    megabyte = b"a" * 1_000_000
    with connection(server) as wire:
        wire.send(b"POST /api/repos HTTP/1.1\r\nContent-Length: 20000000\r\n" + HOST + b"\r\n")
        for _ in range(20):
            wire.send(megabyte)
        assert wire.read()[0].status == 401
        wire.send(b"GET /healthz HTTP/1.1\r\n" + HOST + b"\r\n")
        assert wire.read()[0].status == 200


def test_a_body_too_large_to_drain_is_refused_and_the_connection_closed(server: Server) -> None:
    with connection(server) as wire:
        wire.send(b"POST /api/repos HTTP/1.1\r\nContent-Length: 99000000000\r\n" + HOST + b"\r\n")
        answer, _ = wire.read()
        assert (answer.status, answer.getheader("connection")) == (401, "close")


def json_post(server: Server, token: str, body: bytes, headers: bytes = b"") -> dict[str, Any]:
    head = f"POST /api/v1/repos HTTP/1.1\r\nAuthorization: Bearer {token}\r\nContent-Length: {len(body)}\r\n"
    return problem(server, head.encode() + HOST + headers + b"\r\n" + body)


def test_a_json_body_over_16_mib_is_answered_413(server: Server, org: Org) -> None:
    token = org.repo().token()
    fields = json_post(server, token, b'{"default_branch":"' + b"a" * (16 * 1024 * 1024) + b'"}')
    assert (fields["status"], fields["title"]) == (413, HTTPStatus.REQUEST_ENTITY_TOO_LARGE.phrase)


def test_a_body_that_inflates_a_thousandfold_is_answered_413_in_bounded_memory(
    server: Server, org: Org
) -> None:
    bomb = gzip.compress(b" " * 200_000_000)
    before = processes.resident_bytes(server.pid)
    fields = json_post(server, org.repo().token(), bomb, b"Content-Encoding: gzip\r\n")
    assert fields["status"] == 413
    assert processes.resident_bytes(server.pid) - before < 60_000_000


@pytest.mark.parametrize(
    ("body", "headers", "words"),
    [
        (b"nonsense", b"Content-Encoding: gzip\r\n", "not valid gzip"),
        (gzip.compress(b"{}", mtime=0)[:-4], b"Content-Encoding: gzip\r\n", "ends within"),
        (gzip.compress(b"{}", mtime=0) + b"x", b"Content-Encoding: x-gzip\r\n", "after its gzip data"),
        (b"{}", b"Content-Encoding: br\r\n", "content encoding br is not accepted"),
        (b'{"a":' + b"[" * 100_000, b"", "nested too deeply"),
        (b'{"base_repo":{"a":[' + b"[]," * 300_000 + b"1]}}", b"", "more than 200000 values"),
        (b"{", b"", "not valid JSON"),
        (b"[]", b"", "expected a JSON object"),
        (b'{"default_branch":"\xff"}', b"", "not valid UTF-8"),
        (b'{"default_branch":"\\ud800"}', b"", "not valid JSON"),
        (b'{"default_branch":7}', b"", "field default_branch: expected string"),
    ],
)
def test_a_body_that_is_not_a_json_object_is_answered_400(
    server: Server, org: Org, body: bytes, headers: bytes, words: str
) -> None:
    fields = json_post(server, org.repo().token(), body, headers)
    assert fields["status"] == 400
    assert words in fields["error"]


@pytest.fixture
def impatient(start_server: StartServer) -> Server:
    settings = {"stall_timeout_s": "1", "header_timeout_s": "1"}
    return start_server(ServerOptions(settings=settings), name="impatient")


def test_connections_of_slow_clients_are_closed(impatient: Server) -> None:
    org = impatient.new_org()
    with connection(impatient) as silent, connection(impatient) as slow, connection(impatient) as stalled:
        slow.send(b"GET /healthz HTTP/1.1\r\n")
        head = f"POST /api/v1/repos HTTP/1.1\r\nAuthorization: Bearer {org.repo('x').token()}\r\n"
        stalled.send(head.encode() + HOST + b"Content-Length: 10\r\n\r\n{")
        for _ in range(20):
            time.sleep(0.1)
            try:
                slow.send(b"X: y\r\n")
            except (BrokenPipeError, ConnectionResetError):
                break
        answer, body = stalled.read()
        assert (answer.status, json.loads(body)["status"]) == (408, 408)
        answer, body = silent.read()
        assert answer.status == 408
        assert silent.is_closed()
        assert stalled.is_closed()


def test_blank_lines_do_not_keep_a_connection_alive(impatient: Server) -> None:
    with connection(impatient) as wire:
        wire.send(b"GET /healthz HTTP/1.1\r\n" + HOST + b"\r\n")
        wire.read()
        wire.send(b"\r\n")
        assert wire.read()[0].status == 408


def test_a_client_that_leaves_within_its_body_changes_nothing_and_is_no_error(
    server: Server, repo: Repo
) -> None:
    head = f"POST /api/v1/repos/commit-pack HTTP/1.1\r\nAuthorization: Bearer {repo.token()}\r\n"
    with connection(server) as wire:
        wire.send(head.encode() + HOST + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello")
    time.sleep(0.2)
    assert repo.branches() == {}
    assert "Traceback" not in server.stderr()


@pytest.mark.parametrize("server", ["tls"], indirect=True)
def test_plain_http_to_a_tls_port_and_old_tls_are_refused(server: Server, tls_files: Any) -> None:
    with connection(server) as wire:
        wire.send(b"GET /healthz HTTP/1.1\r\n" + HOST + b"\r\n")
        assert wire.is_closed()
    context = ssl.create_default_context(cafile=str(tls_files.ca))
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with (
        socket.create_connection(("127.0.0.1", server.port), timeout=WAIT_S) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as wrapped,
    ):
        wrapped.sendall(b"GET /healthz HTTP/1.0\r\n\r\n")
        with wrapped.makefile("rb") as incoming:
            assert incoming.readline() == b"HTTP/1.1 200 OK\r\n"


def test_the_log_holds_no_token(server: Server, repo: Repo) -> None:
    token = repo.token()
    repo.api("GET", token=token)
    repo.api("GET", token=token + "x")
    assert token not in Path(server.stderr_path).read_text("utf-8", "replace")
