"""When an answer is sent: after the body, and at its bound at the latest."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from starlette.responses import Response

from packhouse import limits
from packhouse.web.call import Shared
from packhouse.web.edge.body import ClientGone
from packhouse.web.edge.responses import StreamResponse
from packhouse.web.edge.wire_request import WireRequest
from packhouse.web.pipeline.sending import send_answer
from tests.support.exchanges import Sent, answering, open_exchange, raising
from tests.support.wire_requests import make_wire

pytestmark = pytest.mark.quick


def send(shared: Shared, wire: WireRequest, answer: Response) -> Sent:
    exchange, sent = open_exchange(wire, shared)
    asyncio.run(send_answer(exchange, answering(answer)))
    return sent


def test_a_body_that_nobody_read_is_read_before_the_answer(shared: Shared) -> None:
    wire = make_wire("POST", "/", b"abc", b"def")
    sent = send(shared, wire, Response("refused", 401))
    assert wire.upload.complete
    assert "connection" not in sent.headers
    assert len(sent.messages) == 2


def test_too_long_a_body_is_not_read_and_the_connection_ends(shared: Shared) -> None:
    length = str(limits.refused_body_drain_max_bytes + 1)
    wire = make_wire("POST", "/", b"abc", headers={"Content-Length": length})
    sent = send(shared, wire, Response("refused", 413))
    assert (sent.status, sent.headers["connection"]) == (413, "close")


def test_a_client_that_leaves_while_it_sends_gets_no_answer_and_its_stream_is_closed(shared: Shared) -> None:
    closed: list[str] = []

    async def pieces() -> AsyncIterator[bytes]:
        yield b"never"

    async def clean_up() -> None:
        closed.append("closed")

    wire = make_wire("POST", "/", headers={"Content-Length": "7"})  # no piece of it arrives
    exchange, sent = open_exchange(wire, shared)
    answer = StreamResponse(pieces(), cleanup=clean_up)
    with pytest.raises(ClientGone):
        asyncio.run(send_answer(exchange, answering(answer)))
    assert (closed, sent.messages) == (["closed"], [])


def test_errors_of_inner_stages_reach_the_outer_ones(shared: Shared) -> None:
    exchange, sent = open_exchange(make_wire("GET", "/"), shared)
    with pytest.raises(RuntimeError):
        asyncio.run(send_answer(exchange, raising(RuntimeError())))
    assert sent.messages == []
