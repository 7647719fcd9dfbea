"""Rendering: makes the answer from the value that a handler returns."""

from typing import Final

import msgspec
from starlette.responses import Response

from packhouse.web.edge.responses import IMMUTABLE, REVALIDATED, StreamResponse
from packhouse.web.reply import Reply, Returned
from packhouse.web.routing.route import Route

_JSON: Final = "application/json"


def render(returned: Returned, route: Route) -> Response:
    """Return the answer. It has the status of the route's description unless the handler gives one."""
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
    response = _make_response(reply, reply.status or status)
    if reply.is_by_id:
        response.headers["Cache-Control"] = IMMUTABLE
    return response


def _make_response(reply: Reply[msgspec.Struct], status: int) -> Response:
    if reply.pieces is not None:
        return StreamResponse(reply.pieces, status, media_type=_JSON)
    return Response(reply.encode(), status, media_type=_JSON)
