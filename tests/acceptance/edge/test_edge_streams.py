"""Answers that are produced while they are sent, on a real server with handlers of these tests."""

import asyncio
import http.client
import json
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
import uvloop
from starlette.responses import Response

from packhouse.config import Config
from packhouse.repository.refs.resolve import RefNotFound
from packhouse.web.app import make_app
from packhouse.web.call import Call
from packhouse.web.edge.body import iter_body
from packhouse.web.edge.responses import StreamResponse
from packhouse.web.edge.serve import make_server, open_listener
from packhouse.web.routing.route import Claim, Paths, Route

WAIT_S = 60
STALL_S = 600  # longer than these tests wait: an earlier end has another reason
PIECE = b"x" * 65536


@dataclass
class Seen:
    """The events that the handlers saw."""

    pieces: int = 0
    asked: threading.Event = field(default_factory=threading.Event)
    closed: threading.Event = field(default_factory=threading.Event)
    cleaned: threading.Event = field(default_factory=threading.Event)

    async def produce(self, count: int, *, fail_after: int = -1) -> AsyncIterator[bytes]:
        try:
            for number in range(count):
                if number == fail_after:
                    raise RefNotFound("x")
                self.pieces += 1
                yield PIECE
                await asyncio.sleep(0)
        finally:
            self.closed.set()

    async def cleanup(self) -> None:
        self.cleaned.set()

    def handler(
        self, count: int, *, fail_after: int = -1, size_bytes: int | None = None, stall_max_s: int = STALL_S
    ) -> Response:
        self.asked.set()
        chunks = self.produce(count, fail_after=fail_after)
        return StreamResponse(chunks, cleanup=self.cleanup, size_bytes=size_bytes, stall_max_s=stall_max_s)


class StreamServer:
    """A server with our edge, in a thread of this process."""

    def __init__(self, data: Path) -> None:
        self.seen = Seen()
        self.listener = open_listener("127.0.0.1:0")
        self.address = self.listener.getsockname()
        config = Config(data=data, stall_timeout_s=STALL_S, shutdown_grace_s=1)
        self.server = make_server(make_app(config, list(self.routes())), config)
        self.thread = threading.Thread(target=self.run)

    def routes(self) -> Iterator[Route]:
        async def endless(_call: Call) -> Response:
            return self.seen.handler(10**9)

        async def impatient(_call: Call) -> Response:
            return self.seen.handler(10**9, stall_max_s=1)

        async def three(_call: Call) -> Response:
            return self.seen.handler(3)

        async def many(_call: Call) -> Response:
            return self.seen.handler(300)

        async def three_sized(_call: Call) -> Response:
            return self.seen.handler(3, size_bytes=3 * len(PIECE))

        async def fails_at_once(_call: Call) -> Response:
            return self.seen.handler(3, fail_after=0)

        async def fails_later(_call: Call) -> Response:
            return self.seen.handler(30, fail_after=20)

        async def bug(_call: Call) -> Response:
            raise RuntimeError("a secret detail")

        async def echo(call: Call) -> Response:
            size = 0
            async for piece in iter_body(call.wire.upload, max_bytes=10**9):
                size += len(piece)
            return Response(str(size))

        for handler in (endless, impatient, three, many, three_sized, fails_at_once, fails_later, bug):
            paths = Paths(preferred=f"/{handler.__name__}")
            yield Route(handler.__name__, "GET", paths, handler, claim=Claim.HANDLER)
            yield Route(f"post_{handler.__name__}", "POST", paths, handler, claim=Claim.HANDLER)
        yield Route("echo", "POST", Paths(preferred="/echo"), echo, claim=Claim.HANDLER)

    def run(self) -> None:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(self.server.serve(sockets=[self.listener]))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.address[1]}"

    def connect(self) -> socket.socket:
        return socket.create_connection(self.address, timeout=WAIT_S)


@pytest.fixture
def streams(tmp_path: Path) -> Iterator[StreamServer]:
    server = StreamServer(tmp_path / "data")
    server.thread.start()
    yield server
    server.server.should_exit = True
    server.thread.join(WAIT_S)
    assert not server.thread.is_alive()


def get(streams: StreamServer, path: str, method: str = "GET") -> httpx.Response:
    return httpx.request(method, streams.url + path, trust_env=False, timeout=WAIT_S)


def test_a_stream_is_chunked_or_has_its_length(streams: StreamServer) -> None:
    reply = get(streams, "/three")
    assert reply.content == PIECE * 3
    assert reply.headers["transfer-encoding"] == "chunked"
    reply = get(streams, "/three_sized")
    assert reply.content == PIECE * 3
    assert reply.headers["content-length"] == str(3 * len(PIECE))
    assert streams.seen.cleaned.wait(WAIT_S)


def read_to_the_end(raw: socket.socket) -> tuple[bytes, bytes]:
    """Return head and body; raise ConnectionResetError when the connection ends with a reset."""
    with raw.makefile("rb") as incoming:
        head, _, body = incoming.read().partition(b"\r\n\r\n")
    return head.lower(), body


@pytest.mark.parametrize("keep_alive", [b"", b"Connection: keep-alive\r\n"])
def test_a_stream_to_an_http_1_0_client_ends_with_the_connection(
    streams: StreamServer, keep_alive: bytes
) -> None:
    with streams.connect() as raw:
        raw.sendall(b"GET /three HTTP/1.0\r\n" + keep_alive + b"\r\n")
        head, body = read_to_the_end(raw)
    assert body == PIECE * 3
    assert b"transfer-encoding" not in head
    assert b"\r\nconnection: close" in head
    assert streams.seen.cleaned.wait(WAIT_S)


def test_an_http_1_0_client_that_reads_late_gets_the_whole_stream(streams: StreamServer) -> None:
    with streams.connect() as raw:
        raw.sendall(b"GET /many HTTP/1.0\r\n\r\n")
        assert streams.seen.asked.wait(WAIT_S)
        assert raw.recv(1, socket.MSG_PEEK)
        assert read_to_the_end(raw)[1] == PIECE * 300


def test_an_answer_of_known_length_keeps_it_for_an_http_1_0_client(streams: StreamServer) -> None:
    for path, size in (("/three_sized", 3 * len(PIECE)), ("/nowhere", None)):
        with streams.connect() as raw:
            raw.sendall(b"GET %s HTTP/1.0\r\n\r\n" % path.encode())
            head, body = read_to_the_end(raw)
        assert b"content-length: %d\r\n" % len(body) in head
        assert size is None or len(body) == size


def test_head_of_a_stream_has_no_body_for_an_http_1_0_client_either(streams: StreamServer) -> None:
    with streams.connect() as raw:
        raw.sendall(b"HEAD /endless HTTP/1.0\r\n\r\n")
        head, body = read_to_the_end(raw)
    assert (b"transfer-encoding" in head, body) == (False, b"")


@pytest.mark.parametrize("path", [b"/fails_later", b"/impatient"])
def test_a_stream_that_is_cut_is_reset_for_an_http_1_0_client(streams: StreamServer, path: bytes) -> None:
    with streams.connect() as raw:
        raw.sendall(b"GET %s HTTP/1.0\r\n\r\n" % path)
        assert streams.seen.cleaned.wait(WAIT_S)
        with pytest.raises(ConnectionResetError):
            read_to_the_end(raw)


def test_the_end_of_the_server_resets_streams_of_http_1_0_clients(streams: StreamServer) -> None:
    with streams.connect() as raw:
        raw.sendall(b"GET /endless HTTP/1.0\r\n\r\n")
        assert raw.recv(1000)
        streams.server.should_exit = True
        with pytest.raises(ConnectionResetError):
            read_to_the_end(raw)


def test_head_of_a_stream_produces_nothing_and_cleans_up(streams: StreamServer) -> None:
    reply = get(streams, "/endless", "HEAD")
    assert (reply.status_code, reply.content) == (200, b"")
    assert streams.seen.cleaned.wait(WAIT_S)
    assert streams.seen.pieces == 0


def test_a_producer_that_fails_at_once_is_answered_as_an_error(streams: StreamServer) -> None:
    reply = get(streams, "/fails_at_once")
    assert (reply.status_code, reply.json()["error"]) == (404, "ref x does not exist")
    assert streams.seen.cleaned.wait(WAIT_S)


def test_a_producer_that_fails_later_cuts_the_connection(streams: StreamServer) -> None:
    with pytest.raises(httpx.RemoteProtocolError):
        get(streams, "/fails_later")
    assert streams.seen.cleaned.wait(WAIT_S)
    assert get(streams, "/three").status_code == 200


def test_a_producer_ends_soon_after_its_client_left(streams: StreamServer) -> None:
    with streams.connect() as raw:
        raw.sendall(b"GET /endless HTTP/1.1\r\nHost: x\r\n\r\n")
        assert raw.recv(1000)
    assert streams.seen.closed.wait(WAIT_S)
    assert streams.seen.cleaned.wait(WAIT_S)


def test_a_producer_ends_when_a_pipelining_client_left(streams: StreamServer) -> None:
    with streams.connect() as raw:
        raw.sendall(b"GET /endless HTTP/1.1\r\nHost: x\r\n\r\nGET /three HTTP/1.1\r\nHost: x\r\n\r\n")
        assert raw.recv(1000)
    assert streams.seen.cleaned.wait(WAIT_S)


def test_a_producer_ends_when_its_client_takes_nothing(streams: StreamServer) -> None:
    with streams.connect() as raw:
        raw.sendall(b"GET /impatient HTTP/1.1\r\nHost: x\r\n\r\n")
        assert streams.seen.cleaned.wait(WAIT_S)
        pieces = streams.seen.pieces
    assert pieces * len(PIECE) < 100_000_000


def test_a_stream_whose_client_left_within_its_body_is_cleaned_up(streams: StreamServer) -> None:
    with streams.connect() as raw:
        raw.sendall(b"POST /endless HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nabc")
        assert streams.seen.asked.wait(WAIT_S)
    assert streams.seen.cleaned.wait(WAIT_S)


def test_a_bug_is_answered_500_without_its_details(
    streams: StreamServer, caplog: pytest.LogCaptureFixture
) -> None:
    reply = get(streams, "/bug")
    assert (reply.status_code, reply.json()["error"]) == (500, "internal server error")
    assert "secret" not in reply.text
    assert any(record.exc_info and "secret" in str(record.exc_info[1]) for record in caplog.records)


def test_the_end_of_the_server_ends_streams(streams: StreamServer) -> None:
    with streams.connect() as raw:
        raw.sendall(b"GET /endless HTTP/1.1\r\nHost: x\r\n\r\n")
        assert raw.recv(1000)
        reader = threading.Thread(target=lambda: [None for _ in iter(lambda: raw.recv(65536), b"")])
        reader.start()
        streams.server.should_exit = True
        streams.thread.join(WAIT_S)
        assert not streams.thread.is_alive()
        reader.join(WAIT_S)
    assert streams.seen.cleaned.wait(WAIT_S)


def test_a_client_that_sends_too_much_still_sees_the_answer(streams: StreamServer) -> None:
    with streams.connect() as raw:
        head = b"POST /three_sized HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n"
        raw.sendall(head)
        stop = threading.Event()

        def flood() -> None:
            try:
                while not stop.is_set():
                    raw.sendall(PIECE)
            except OSError:
                stop.set()

        sender = threading.Thread(target=flood)
        sender.start()
        answer = http.client.HTTPResponse(raw, method="POST")
        answer.begin()
        assert answer.read() == PIECE * 3
        assert answer.getheader("connection") == "close"
        answer.close()
        stop.set()
        sender.join(WAIT_S)


def test_large_uploads_arrive_whole(streams: StreamServer) -> None:
    size = 50_000_000
    reply = httpx.post(f"{streams.url}/echo", content=b"a" * size, trust_env=False, timeout=WAIT_S)
    assert reply.text == str(size)

    def pieces() -> Iterator[bytes]:
        for _ in range(500):
            yield b"a" * 100_001

    reply = httpx.post(f"{streams.url}/echo", content=pieces(), trust_env=False, timeout=WAIT_S)
    assert reply.text == str(500 * 100_001)


def test_problem_bodies_are_json_on_unknown_paths_of_any_app(streams: StreamServer) -> None:
    assert json.loads(get(streams, "/nowhere").content)["status"] == 404
