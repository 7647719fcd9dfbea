"""Stages: their order, and the exchange that they hand on."""

import asyncio

import pytest
from starlette.responses import Response

from packhouse.web.call import Shared
from packhouse.web.pipeline.exchange import Exchange, Proceed, Stage, chain
from tests.support.exchanges import answering, open_exchange
from tests.support.wire_requests import make_wire

pytestmark = pytest.mark.quick


def noting(name: str, notes: list[str]) -> Stage:
    """Return a stage that notes when it begins and ends."""

    async def stage(exchange: Exchange, proceed: Proceed) -> None:
        notes.append(f"{name} begins")
        try:
            await proceed(exchange)
        finally:
            notes.append(f"{name} ends")

    return stage


def test_the_first_stage_is_the_outermost(shared: Shared) -> None:
    notes: list[str] = []
    exchange, _ = open_exchange(make_wire("GET", "/"), shared)
    answer = Response("ok")
    pipeline = chain(noting("log", notes), noting("authorise", notes), last=answering(answer))
    asyncio.run(pipeline(exchange))
    assert notes == ["log begins", "authorise begins", "authorise ends", "log ends"]
    assert exchange.answer is answer


def test_a_stage_may_answer_by_itself(shared: Shared) -> None:
    async def refuse(exchange: Exchange, _proceed: Proceed) -> None:
        exchange.answer = Response("too many requests", 429)

    notes: list[str] = []
    exchange, _ = open_exchange(make_wire("GET", "/"), shared)
    asyncio.run(chain(refuse, noting("handle", notes), last=answering(Response()))(exchange))
    assert notes == []
    assert exchange.answer is not None and exchange.answer.status_code == 429


def test_one_pipeline_serves_many_requests_at_once(shared: Shared) -> None:
    async def name_it(exchange: Exchange) -> None:
        await asyncio.sleep(0)
        exchange.answer = Response(exchange.wire.raw_path)

    async def serve() -> list[bytes]:
        pipeline = chain(noting("log", []), last=name_it)
        exchanges = [open_exchange(make_wire("GET", f"/{number}"), shared)[0] for number in range(3)]
        await asyncio.gather(*map(pipeline, exchanges))
        return [bytes(exchange.answer.body) for exchange in exchanges if exchange.answer]

    assert asyncio.run(serve()) == [b"/0", b"/1", b"/2"]


def test_without_a_route_there_is_no_call(shared: Shared) -> None:
    exchange, _ = open_exchange(make_wire("GET", "/"), shared)
    with pytest.raises(AssertionError):
        exchange.require_call()
