"""The connection that a request came by: is its client still there, and how to end it.

What is asked here stands in the scope and belongs to the server (protocol.py). So any request of Starlette's will do.
"""

import asyncio
from collections.abc import Callable

from starlette.requests import Request

from packhouse.web.edge.body import ClientGone


async def require_client(request: Request) -> None:
    """Return unless the client closed the connection, as many do that wait long: then raise ClientGone."""
    await asyncio.sleep(0)  # for the loop to read what has arrived meanwhile, the end of the connection too
    has_left: Callable[[], bool] | None = request.scope.get("packhouse.has_left")
    if has_left is not None and has_left():
        while (await request.receive())["type"] != "http.disconnect":
            continue
        raise ClientGone


def connection_cutter(request: Request) -> Callable[[], None] | None:
    """Return what ends the request's connection at once, for `Limiter.slot`."""
    cut: Callable[[], None] | None = request.scope.get("packhouse.cut_connection")
    return cut
