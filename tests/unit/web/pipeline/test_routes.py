"""The stage that finds the route, and its notes in the exchange."""

import asyncio

import pytest
from starlette.responses import Response

from packhouse.errors import PackhouseError
from packhouse.web.call import Call, Shared
from packhouse.web.openapi.description import Description
from packhouse.web.pipeline.exchange import Exchange
from packhouse.web.pipeline.routes import find_route
from packhouse.web.routing.match import Dialect
from packhouse.web.routing.route import ErrorStyle, of_remote, of_repo, reading
from packhouse.web.routing.router import Router
from tests.support.exchanges import answering, open_exchange
from tests.support.wire_requests import make_wire

pytestmark = pytest.mark.quick


async def handler(_call: Call) -> Response:
    """Stand in for a handler: these tests never call it."""
    return Response()


STAGE = find_route(
    Router(
        [
            reading("list_tags", of_repo("tags"), handler, Description("List tags")),
            of_remote("info_refs", "/info/refs", handler),
        ]
    )
)


def test_the_call_knows_operation_dialect_and_values(shared: Shared) -> None:
    exchange, _ = open_exchange(make_wire("GET", "/api/repos/a%2Fb/tags"), shared)
    asyncio.run(STAGE(exchange, answering(Response())))
    route, call = exchange.require_call()
    assert (route.name, call.match.operation, call.dialect) == ("list_tags", "list_tags", Dialect.PREFERRED)
    assert (call.path_values, call.node) == ({"repo": "a/b"}, shared.node)
    assert exchange.answer is not None


def test_failures_of_a_route_have_its_form(shared: Shared) -> None:
    exchange, _ = open_exchange(make_wire("GET", "/a.git/info/refs"), shared)
    asyncio.run(STAGE(exchange, answering(Response())))
    assert exchange.style is ErrorStyle.GIT


@pytest.mark.parametrize(
    ("method", "path", "message", "template"),
    [
        ("GET", "/nowhere", "no such path", ""),
        ("PUT", "/api/v1/repos/tags", "method is not allowed", "/api/v1/repos/tags"),
        ("PUT", "/a.git/info/refs", "method is not allowed", "/{repo}.git/info/refs"),
    ],
)
def test_a_request_without_a_route_has_no_call(
    shared: Shared, method: str, path: str, message: str, template: str
) -> None:
    async def never(_exchange: Exchange) -> None:
        raise AssertionError

    exchange, _ = open_exchange(make_wire(method, path), shared)
    with pytest.raises(PackhouseError) as refused:
        asyncio.run(STAGE(exchange, never))
    assert (refused.value.code.value, exchange.refused_path, exchange.call) == (message, template, None)
