"""Handling: the route's handler answers, or prepares a write that is run here."""

from packhouse.repository import RepositoryMended
from packhouse.web.pipeline.exchange import Exchange
from packhouse.web.pipeline.render import render
from packhouse.web.pipeline.writes import answer_write
from packhouse.web.prepared_write import PreparedWrite


async def handle(exchange: Exchange) -> None:
    """Call the handler; once more when what it lacked was mended meanwhile and no body was used up."""
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
    assert not isinstance(returned, PreparedWrite), (
        "the route says that it writes nothing in the way of a prepared write"
    )
    exchange.answer = render(returned, route)
