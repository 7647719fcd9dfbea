"""Handling: the handler of the route answers, or prepares a write that is run here."""

from packhouse.repository import RepositoryMended
from packhouse.web.pipeline.exchange import Exchange
from packhouse.web.pipeline.render import render
from packhouse.web.pipeline.writes import answer_write
from packhouse.web.prepared_write import PreparedWrite


async def handle(exchange: Exchange) -> None:
    """Call the handler. The handler of a GET is called once more when the repository was mended meanwhile."""
    route, call = exchange.require_call()
    if route.writes.takes_key:
        exchange.answer = await answer_write(call, route)
        return
    try:
        returned = await route.handler(call)
    except RepositoryMended:
        if route.method != "GET":
            raise
        returned = await route.handler(call)
    assert not isinstance(returned, PreparedWrite), "the route does not say that its handler prepares a write"
    exchange.answer = render(returned, route)
