"""Handling: the route's handler answers."""

from packhouse.repository.damage import RepositoryMended
from packhouse.web.edge.responses import REVALIDATED
from packhouse.web.pipeline.exchange import Exchange
from packhouse.web.pipeline.idempotency import answer_once


async def handle(exchange: Exchange) -> None:
    """Call the handler; once more when what it lacked was mended meanwhile and no body was used up."""
    route, call = exchange.require_call()
    if route.writes.takes_key:
        exchange.answer = await answer_once(call, route.handler)
        return
    try:
        answer = await route.handler(call)
    except RepositoryMended:
        if route.method != "GET":
            raise
        answer = await route.handler(call)
    if route.method == "GET":
        answer.headers.setdefault("Cache-Control", REVALIDATED)
    exchange.answer = answer
