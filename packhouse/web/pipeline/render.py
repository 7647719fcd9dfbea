"""Rendering: from what a handler returns to the answer that is sent."""

import msgspec
from starlette.responses import Response

from packhouse.web.edge.responses import IMMUTABLE, REVALIDATED
from packhouse.web.reply import Reply, Returned
from packhouse.web.routing.route import Route


def render(returned: Returned, route: Route) -> Response:
    """Return the answer, with the status of the route's description where the handler gives none."""
    response = _respond(returned, route.description.status)
    if route.method == "GET":
        response.headers.setdefault("Cache-Control", REVALIDATED)
    return response


def _respond(returned: Returned, status: int) -> Response:
    if isinstance(returned, Response):
        return returned
    if returned is None:
        return Response(status_code=status)
    reply: Reply[msgspec.Struct] = returned if isinstance(returned, Reply) else Reply(returned)
    caching = {"Cache-Control": IMMUTABLE} if reply.is_by_id else None
    return Response(reply.encode(), reply.status or status, caching, "application/json")
