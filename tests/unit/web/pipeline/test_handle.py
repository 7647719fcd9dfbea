"""The end of the pipeline: one handler, called twice only where that is harmless."""

import asyncio
from collections.abc import Callable

import msgspec
import pytest

from packhouse.auth.principal import Principal
from packhouse.cursors import BadCursor
from packhouse.node.node import Node
from packhouse.operations.catalog.lookup import lookup_repo
from packhouse.operations.repos.create_repo import CreateRepo, create_repo
from packhouse.repository.damage import RepositoryMended
from packhouse.web.call import Call, Shared
from packhouse.web.openapi.description import Description
from packhouse.web.pipeline.handle import handle
from packhouse.web.routing.match import Dialect, Match
from packhouse.web.routing.route import Handler, Route, changing, of_repo, reading
from tests.support.exchanges import open_exchange
from tests.support.wire_requests import make_wire

pytestmark = pytest.mark.quick


class Count(msgspec.Struct):
    """The number of calls of the handler."""

    calls: int


def failing_first(error: Callable[[], Exception], *, times: int = 1) -> Handler:
    """Return a handler that fails a number of times before it answers."""
    calls = 0

    async def handler(_call: Call) -> Count:
        nonlocal calls
        calls += 1
        if calls <= times:
            raise error()
        return Count(calls)

    return handler


@pytest.fixture
def mended(memory_node: Node, memory_caller: Principal) -> Callable[[], Exception]:
    """A maker of the failure of a read whose objects were mended a moment later."""
    create_repo(memory_node, memory_caller, CreateRepo("r"))
    repo = lookup_repo(memory_node, memory_caller, "r")
    return lambda: RepositoryMended(repo.name)


def body_of(shared: Shared, route: Route) -> bytes:
    exchange, _ = open_exchange(make_wire(route.method, "/"), shared)
    exchange.route = route
    exchange.call = Call(exchange.wire, shared, Match(route.name, "", Dialect.PREFERRED))
    asyncio.run(handle(exchange))
    assert exchange.answer is not None
    return bytes(exchange.answer.body)


def get(handler: Handler) -> Route:
    return reading("count", of_repo("count"), handler, Description("Count"))


def test_a_read_is_repeated_after_its_repository_was_mended(
    shared: Shared, mended: Callable[[], Exception]
) -> None:
    assert body_of(shared, get(failing_first(mended))) == b'{"calls":2}'


def test_a_read_is_repeated_only_once(shared: Shared, mended: Callable[[], Exception]) -> None:
    with pytest.raises(RepositoryMended):
        body_of(shared, get(failing_first(mended, times=2)))


def test_other_failures_are_final(shared: Shared) -> None:
    with pytest.raises(BadCursor):
        body_of(shared, get(failing_first(BadCursor)))


def test_a_call_with_a_body_is_not_repeated(shared: Shared, mended: Callable[[], Exception]) -> None:
    grep = reading("grep", of_repo("grep"), failing_first(mended), Description("Search"), method="POST")
    pull = changing("pull", of_repo("pull"), failing_first(mended), Description("Pull"))
    for route in (grep, pull):
        with pytest.raises(RepositoryMended):
            body_of(shared, route)
