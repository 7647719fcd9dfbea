"""Rendering: makes the answer from the value that a handler returns."""

from collections.abc import Mapping
from typing import Any, Final

from starlette.responses import Response

from packhouse.web.edge.responses import REVALIDATED, StreamResponse, cache_control
from packhouse.web.reply import Reply, Returned, encode_body
from packhouse.web.routing.route import Route

_JSON: Final = "application/json"


def render(returned: Returned, route: Route) -> Response:
    """Return the answer. It has the status of the route's description unless the handler gives one."""
    status, is_get = route.description.status, route.method == "GET"
    if isinstance(returned, Response):
        if is_get:
            returned.headers.setdefault("Cache-Control", REVALIDATED)
        return returned
    is_by_id = isinstance(returned, Reply) and returned.is_by_id
    is_marked = is_get or is_by_id  # the answer to a POST that only reads may be kept, too
    headers = {"Cache-Control": cache_control(is_by_id=is_by_id)} if is_marked else None
    if isinstance(returned, Reply):
        return _respond_in_detail(returned, returned.status or status, headers)
    if returned is None:
        return Response(status_code=status, headers=headers)
    return Response(encode_body(returned), status, headers, _JSON)


def _respond_in_detail(reply: Reply[Any], status: int, headers: Mapping[str, str] | None) -> Response:
    if reply.pieces is not None:
        return StreamResponse(reply.pieces, status, headers, media_type=_JSON)
    return Response(reply.encode(), status, headers, _JSON)
