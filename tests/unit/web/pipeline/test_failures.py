"""Failures in the pipeline: answered as long as possible, afterwards the connection ends."""

import asyncio
import json
from collections.abc import AsyncIterator

import pytest
from starlette.responses import Response

from packhouse.web.call import Shared
from packhouse.web.edge.body import ClientGone
from packhouse.web.edge.responses import ClientLeft, ResponseAborted, StreamResponse
from packhouse.web.pipeline.exchange import Exchange, chain
from packhouse.web.pipeline.failures import answer_failures, end_broken
from packhouse.web.pipeline.sending import send_answer
from packhouse.web.routing.route import ErrorStyle
from packhouse.web.routing.router import PathUnknown
from tests.support.exchanges import Sent, answering, open_exchange, raising
from tests.support.wire_requests import make_wire

pytestmark = pytest.mark.quick


def answer_of(shared: Shared, error: BaseException, style: ErrorStyle) -> Response:
    """Return the answer to a failure of the inner stages."""
    exchange, _ = open_exchange(make_wire("GET", "/api/x"), shared)
    exchange.style = style
    asyncio.run(answer_failures(exchange, raising(error)))
    assert exchange.answer is not None
    return exchange.answer


def test_a_failure_is_answered_in_the_form_of_its_route(shared: Shared) -> None:
    plain = answer_of(shared, PathUnknown(), ErrorStyle.PLAIN)
    assert plain.status_code == 404
    assert json.loads(bytes(plain.body))["error"] == "no such path"
    assert bytes(answer_of(shared, PathUnknown(), ErrorStyle.GIT).body) == b"no such path\n"
    result = json.loads(bytes(answer_of(shared, PathUnknown(), ErrorStyle.COMMIT_RESULT).body))["result"]
    assert result == {"success": False, "status": "not_found", "message": "no such path"}


def test_a_bug_is_answered_without_details(shared: Shared) -> None:
    answer = answer_of(shared, RuntimeError("a secret"), ErrorStyle.PLAIN)
    assert answer.status_code == 500
    assert b"secret" not in bytes(answer.body)


@pytest.mark.parametrize("error", [ClientGone(), ClientLeft(), ResponseAborted("half")])
def test_a_broken_connection_is_not_answered(shared: Shared, error: Exception) -> None:
    exchange, _ = open_exchange(make_wire("GET", "/"), shared)
    with pytest.raises(type(error)):
        asyncio.run(answer_failures(exchange, raising(error)))
    assert exchange.answer is None


def end(shared: Shared, error: BaseException) -> tuple[Exchange, Sent, list[str]]:
    """Let the inner stages fail. Return the exchange, the sent bytes, and the cuts of the connection."""
    cuts: list[str] = []
    wire = make_wire("GET", "/", cut_connection=lambda: cuts.append("cut"))
    exchange, sent = open_exchange(wire, shared)
    asyncio.run(end_broken(exchange, raising(error)))
    return exchange, sent, cuts


@pytest.mark.parametrize(
    ("error", "outcome", "reason"),
    [
        (ClientGone(), "client left", ""),
        (ClientLeft("gone"), "client left", ""),
        (ResponseAborted("the client took nothing"), "answer cut short", "the client took nothing"),
    ],
)
def test_an_exchange_without_a_client_ends_with_its_connection(
    shared: Shared, error: Exception, outcome: str, reason: str
) -> None:
    exchange, sent, cuts = end(shared, error)
    assert (exchange.outcome, exchange.reason, sent.messages, cuts) == (outcome, reason, [], ["cut"])


def test_while_the_server_ends_the_answer_is_unavailable(shared: Shared) -> None:
    _, sent, cuts = end(shared, asyncio.CancelledError())
    assert (sent.status, sent.headers["retry-after"], sent.headers["connection"]) == (503, "1", "close")
    assert json.loads(sent.body)["error"] == "server is shutting down"
    assert cuts == []


def test_a_failure_before_the_first_byte_is_answered_and_closes_the_connection(shared: Shared) -> None:
    exchange, sent, cuts = end(shared, PathUnknown())
    assert (sent.status, sent.headers["connection"], exchange.outcome, cuts) == (404, "close", "", [])


def test_a_failure_in_the_middle_of_an_answer_cuts_it(shared: Shared) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"half"
        raise RuntimeError("a bug")

    async def receive() -> dict[str, str]:
        await asyncio.Event().wait()
        raise AssertionError

    cuts: list[str] = []
    wire = make_wire("GET", "/", cut_connection=lambda: cuts.append("cut"))
    wire._receive = receive
    exchange, sent = open_exchange(wire, shared)
    answer = StreamResponse(pieces())
    asyncio.run(chain(end_broken, send_answer, answer_failures, last=answering(answer))(exchange))
    assert (sent.status, sent.body, sent.is_whole) == (200, b"half", False)
    assert (exchange.outcome, cuts) == ("answer cut short", ["cut"])


def test_an_answer_that_cannot_begin_is_replaced(shared: Shared) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for error in [PathUnknown()]:
            raise error
        yield b"never"

    async def receive() -> dict[str, str]:
        await asyncio.Event().wait()
        raise AssertionError

    wire = make_wire("GET", "/")
    wire._receive = receive
    exchange, sent = open_exchange(wire, shared)
    pipeline = chain(end_broken, send_answer, answer_failures, last=answering(StreamResponse(pieces())))
    asyncio.run(pipeline(exchange))
    assert (sent.status, sent.is_whole) == (404, True)
