"""Rendering: makes the answer from the value that a handler returns."""

from typing import Any, Final

from starlette.responses import Response

from packhouse.web.edge.responses import IMMUTABLE, REVALIDATED, StreamResponse
from packhouse.web.reply import Reply, Returned, encode_body
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
    if isinstance(returned, Reply):
        return _respond_in_detail(returned, returned.status or status)
    return Response(encode_body(returned), status, media_type=_JSON)


def _respond_in_detail(reply: Reply[Any], status: int) -> Response:
    response: Response
    if reply.pieces is not None:
        response = StreamResponse(reply.pieces, status, media_type=_JSON)
    else:
        response = Response(reply.encode(), status, media_type=_JSON)
    if reply.is_by_id:
        response.headers["Cache-Control"] = IMMUTABLE
    return response
