"""The log line of a request. It is written at every end of an exchange."""

import asyncio
import io
import json
import logging
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from starlette.responses import Response

from packhouse.log import configure_logging, request_id, write_collected_lines
from packhouse.web.call import Call, Shared
from packhouse.web.pipeline.exchange import Exchange, Proceed, chain
from packhouse.web.pipeline.log import log_exchange
from packhouse.web.pipeline.sending import send_answer
from packhouse.web.routing.match import Dialect, Match
from tests.support.exchanges import answering, open_exchange, raising
from tests.support.wire_requests import make_wire

pytestmark = pytest.mark.quick

ReadLines = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def log_lines(monkeypatch: pytest.MonkeyPatch) -> Iterator[ReadLines]:
    """A reader of the lines that were logged so far."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    configure_logging()

    def read() -> list[dict[str, Any]]:
        write_collected_lines()
        return [json.loads(line) for line in stream.getvalue().splitlines()]

    yield read
    root.handlers[:] = handlers
    root.setLevel(level)


def run(exchange: Exchange, last: Proceed) -> None:
    asyncio.run(chain(log_exchange, send_answer, last=last)(exchange))


def test_the_line_has_the_facts_of_request_and_answer(shared: Shared, log_lines: ReadLines) -> None:
    async def answer(exchange: Exchange) -> None:
        match = Match("list_tags", "/api/repos/{repo}/tags", Dialect.PREFERRED, {"repo": "a"})
        exchange.call = Call(exchange.wire, shared, match)
        exchange.answer = Response("four", 203)

    exchange, _ = open_exchange(
        make_wire("GET", "/api/repos/a/tags", headers={"X-Request-Id": "r-1"}), shared
    )
    run(exchange, answer)
    (line,) = log_lines()
    told = {name: line[name] for name in ("message", "request_id", "method", "path", "operation", "status")}
    assert told == {
        "message": "request",
        "request_id": "r-1",
        "method": "GET",
        "path": "/api/repos/{repo}/tags",
        "operation": "list_tags",
        "status": 203,
    }
    assert (line["bytes_out"], line["client"], line["org"], line["repo"]) == (4, "192.0.2.7", "", "")
    assert line["duration_ms"] >= 0


def test_an_exchange_that_fails_has_its_line_too(shared: Shared, log_lines: ReadLines) -> None:
    exchange, _ = open_exchange(make_wire("GET", "/"), shared)
    with pytest.raises(RuntimeError):
        run(exchange, raising(RuntimeError()))
    (line,) = log_lines()
    assert (line["status"], line["path"], line["operation"]) == (0, "", "")


def test_the_path_of_a_refused_method_is_logged_as_its_template(shared: Shared, log_lines: ReadLines) -> None:
    exchange, _ = open_exchange(make_wire("PUT", "/api/repos/secret/tags"), shared)
    exchange.refused_path = "/api/repos/{repo}/tags"
    run(exchange, answering(Response("no", 405)))
    (line,) = log_lines()
    assert (line["path"], line["status"]) == ("/api/repos/{repo}/tags", 405)


def test_an_answer_that_came_too_late_is_logged_as_such(shared: Shared, log_lines: ReadLines) -> None:
    exchange, _ = open_exchange(make_wire("GET", "/", has_left=lambda: True), shared)
    run(exchange, answering(Response("ok")))
    (line,) = log_lines()
    assert (line["message"], line["status"]) == ("client left", 200)


def test_outcome_and_reason_of_inner_stages_are_logged(shared: Shared, log_lines: ReadLines) -> None:
    exchange, _ = open_exchange(make_wire("GET", "/"), shared)
    exchange.outcome, exchange.reason = "answer cut short", "the client took nothing"
    run(exchange, answering(Response("ok")))
    (line,) = log_lines()
    assert (line["message"], line["reason"]) == ("answer cut short", "the client took nothing")


def test_other_lines_of_the_request_have_its_id(shared: Shared) -> None:
    async def look(exchange: Exchange) -> None:
        exchange.answer = Response(request_id.get())

    exchange, sent = open_exchange(make_wire("GET", "/", headers={"X-Request-Id": "r-2"}), shared)
    run(exchange, look)
    assert sent.body == b"r-2"
