"""Rendering: makes the answer from the value that a handler returns."""

from typing import Any, Final

from starlette.responses import Response

from packhouse.web.edge.responses import REVALIDATED, StreamResponse, cache_control
from packhouse.web.reply import Reply, Returned, encode_body
from packhouse.web.routing.route import Route

_JSON: Final = "application/json"


def render(returned: Returned, route: Route) -> Response:
    """Return the answer. It has the status of the route's description unless the handler gives one."""
    status, reads = route.description.status, route.method == "GET"
    if isinstance(returned, Response):
        if reads:
            returned.headers.setdefault("Cache-Control", REVALIDATED)
        return returned
    if isinstance(returned, Reply):
        return _respond_in_detail(returned, returned.status or status, reads=reads)
    headers = {"Cache-Control": REVALIDATED} if reads else None
    if returned is None:
        return Response(status_code=status, headers=headers)
    return Response(encode_body(returned), status, headers, _JSON)


def _respond_in_detail(reply: Reply[Any], status: int, *, reads: bool) -> Response:
    is_marked = reads or reply.is_by_id  # a POST that only reads may also be kept
    headers = {"Cache-Control": cache_control(is_by_id=reply.is_by_id)} if is_marked else None
    if reply.pieces is not None:
        return StreamResponse(reply.pieces, status, headers, media_type=_JSON)
    return Response(reply.encode(), status, headers, _JSON)
