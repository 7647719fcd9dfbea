"""Answers: JSON, and streams that end with their client."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import msgspec
import pytest
from starlette.types import Message

from packhouse.operations.refs.tags import TagNotFound
from packhouse.web.call import Call, Shared
from packhouse.web.edge.responses import (
    IMMUTABLE,
    REVALIDATED,
    ClientLeft,
    ResponseAborted,
    StreamResponse,
    cache_control,
    json_response,
)
from packhouse.web.edge.streams import iter_in_threads
from packhouse.web.routing.match import Dialect, Match
from tests.support.exchanges import Sent
from tests.support.wire_requests import make_scope, make_wire

pytestmark = pytest.mark.quick


class Stream:
    """An answer whose pieces and end are watched."""

    def __init__(self, *pieces: bytes | Exception, method: str = "GET", **options: Any) -> None:
        self.closed: list[str] = []
        self.sent = Sent()
        self.client_leaves = asyncio.Event()
        self.method = method
        self.response = StreamResponse(self._iter(pieces), cleanup=self._clean_up, **options)

    async def _iter(self, pieces: tuple[bytes | Exception, ...]) -> AsyncIterator[bytes]:
        try:
            for piece in pieces:
                if isinstance(piece, Exception):
                    raise piece
                yield piece
        finally:
            self.closed.append("pieces")

    async def _clean_up(self) -> None:
        self.closed.append("cleanup")

    async def _receive(self) -> Message:
        await self.client_leaves.wait()
        return {"type": "http.disconnect"}

    async def serve(self) -> Sent:
        """Send the answer."""
        await self.response(make_scope(self.method, "/"), self._receive, self.sent)
        return self.sent


def test_structs_and_mappings_are_json() -> None:
    class Made(msgspec.Struct):
        name: str

    assert bytes(json_response(Made("a")).body) == bytes(json_response({"name": "a"}).body) == b'{"name":"a"}'
    refused = json_response({}, 409, {"Retry-After": "1"}, media_type="application/problem+json")
    assert (refused.status_code, refused.headers["content-type"]) == (409, "application/problem+json")


def test_an_answer_by_a_full_id_may_be_cached() -> None:
    assert cache_control(is_by_id=True) == IMMUTABLE
    assert cache_control(is_by_id=False) == REVALIDATED


def test_a_stream_is_sent_piece_by_piece_and_closed() -> None:
    stream = Stream(b"ab", b"cd")
    sent = asyncio.run(stream.serve())
    assert (sent.status, sent.body, sent.is_whole) == (200, b"abcd", True)
    assert "content-length" not in sent.headers
    assert stream.closed == ["pieces", "cleanup"]


def test_a_length_that_is_known_is_announced() -> None:
    assert asyncio.run(Stream(b"abcd", size_bytes=4).serve()).headers["content-length"] == "4"


def test_head_starts_no_producer_and_cleans_up_all_the_same() -> None:
    stream = Stream(b"abcd", method="HEAD", size_bytes=4)
    sent = asyncio.run(stream.serve())
    assert (sent.headers["content-length"], sent.body) == ("4", b"")
    assert stream.closed == ["cleanup"]  # the producer has not begun, so there is nothing to close


def test_a_producer_that_fails_at_once_leaves_room_for_another_answer() -> None:
    stream = Stream(TagNotFound("v1"))
    with pytest.raises(TagNotFound):
        asyncio.run(stream.serve())
    assert stream.sent.messages == []
    assert "cleanup" in stream.closed


def test_a_producer_that_fails_later_has_begun_its_answer() -> None:
    stream = Stream(b"ab", TagNotFound("v1"))
    with pytest.raises(TagNotFound):
        asyncio.run(stream.serve())
    assert (stream.sent.body, stream.sent.is_whole) == (b"ab", False)


def test_the_producer_ends_with_its_client() -> None:
    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b"x"
            await asyncio.sleep(0)

    async def serve() -> Stream:
        stream = Stream()
        stream.response = StreamResponse(endless(), cleanup=stream._clean_up)
        serving = asyncio.create_task(stream.serve())
        while len(stream.sent.messages) < 3:
            await asyncio.sleep(0)
        stream.client_leaves.set()
        with pytest.raises(ClientLeft):
            await serving
        return stream

    assert asyncio.run(serve()).closed == ["cleanup"]


def test_a_client_that_reads_nothing_for_too_long_is_given_up() -> None:
    async def take_nothing(message: Message) -> None:
        if message["type"] == "http.response.body":
            await asyncio.Event().wait()

    async def serve() -> None:
        stream = Stream(b"ab", stall_max_s=0.01)
        await stream.response(make_scope("GET", "/"), stream._receive, take_nothing)

    with pytest.raises(ResponseAborted, match="took nothing"):
        asyncio.run(serve())


def pieces_of(threads: list[str], ended: list[str]) -> Iterator[bytes]:
    """Yield two pieces, noting in which thread each step runs."""
    try:
        for piece in (b"a", b"b"):
            threads.append(threading.current_thread().name)
            yield piece
    finally:
        ended.append(threading.current_thread().name)


@pytest.mark.parametrize("wanted", [1, 5])
def test_a_blocking_producer_runs_and_ends_in_worker_threads(shared: Shared, wanted: int) -> None:
    threads: list[str] = []
    ended: list[str] = []

    async def read() -> bytes:
        call = Call(make_wire("GET", "/"), shared, Match("file", "", Dialect.PREFERRED))
        stream = iter_in_threads(call, pieces_of(threads, ended))
        got = b""
        async for piece in stream:
            got += piece
            if len(got) == wanted:
                break
        await stream.aclose()
        return got

    assert asyncio.run(read()) == b"ab"[:wanted]
    assert len(ended) == 1
    assert all(name.startswith("packhouse") for name in threads + ended)
