"""Outgoing answers: the id of the request, the counts, and the end of an answer while its client still sends."""

import asyncio

import pytest
from starlette.responses import Response

from packhouse.web.edge.wire_request import WireRequest
from packhouse.web.pipeline.outgoing import Outgoing
from tests.support.exchanges import Sent
from tests.support.wire_requests import make_wire

pytestmark = pytest.mark.quick


def send(wire: WireRequest, answer: Response) -> tuple[Outgoing, Sent]:
    sent = Sent()
    outgoing = Outgoing(wire, sent)
    asyncio.run(answer(wire.scope, wire.receive, outgoing))
    return outgoing, sent


def test_the_last_header_of_every_answer_is_the_request_id() -> None:
    _, sent = send(make_wire("GET", "/", headers={"X-Request-Id": "abc-1"}), Response("ok"))
    assert list(sent.headers.items())[-1] == ("x-request-id", "abc-1")


@pytest.mark.parametrize("given", ["", "a b", "x" * 1000, "caf\xe9"])
def test_an_invalid_id_is_replaced_by_a_new_one(given: str) -> None:
    _, sent = send(make_wire("GET", "/", headers={"X-Request-Id": given}), Response("ok"))
    assert len(sent.headers["x-request-id"]) == 32


def test_status_and_bytes_of_the_body_are_counted() -> None:
    outgoing, sent = send(make_wire("GET", "/"), Response("four", 203))
    assert (outgoing.status, outgoing.sent_bytes) == (203, 4)
    assert (sent.status, sent.body, sent.is_whole) == (203, b"four", True)


def test_nothing_is_counted_before_an_answer() -> None:
    outgoing = Outgoing(make_wire("GET", "/"), Sent())
    assert (outgoing.status, outgoing.sent_bytes, outgoing.was_late) == (0, 0, False)


def test_head_sends_no_body_to_count() -> None:
    outgoing, _ = send(make_wire("HEAD", "/"), Response("four"))
    assert outgoing.sent_bytes == 0


def test_an_answer_may_come_too_late_for_its_client() -> None:
    outgoing, _ = send(make_wire("GET", "/", has_left=lambda: True), Response("ok"))
    assert outgoing.was_late


def test_the_rest_of_a_body_is_taken_before_the_answer_ends() -> None:
    wire = make_wire("POST", "/", b"abc", b"def")
    _, sent = send(wire, Response("refused", 413))
    assert [message.get("more_body") for message in sent.messages[1:]] == [True, False]
    assert (sent.body, sent.is_whole) == (b"refused", True)
    assert wire.upload.received_bytes == 6


def test_an_answer_to_a_whole_request_ends_at_once() -> None:
    async def serve() -> Sent:
        wire, sent = make_wire("POST", "/", b"abc"), Sent()
        while await wire.upload.read():
            continue
        await Response("ok")(wire.scope, wire.receive, Outgoing(wire, sent))
        return sent

    assert len(asyncio.run(serve()).messages) == 2
