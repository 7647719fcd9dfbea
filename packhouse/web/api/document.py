"""The route that serves the OpenAPI document."""

import functools
from collections.abc import Sequence

import msgspec
from starlette.responses import Response

from packhouse.web.call import Call
from packhouse.web.openapi.description import Description
from packhouse.web.openapi.document import make_document
from packhouse.web.routing.route import Handler, Route, public


def document_route(routes: Sequence[Route]) -> Route:
    """Return the route that answers with the OpenAPI document of `routes` and of itself.

    The document is made when it is first asked for, because making it would delay every start.
    """

    def row(handler: Handler) -> Route:
        return public("openapi", "/api/openapi.json", handler, Description("This document"))

    @functools.cache
    def make_text() -> bytes:
        return msgspec.json.encode(make_document([*routes, route]))

    async def get_document(call: Call) -> Response:
        """GET /api/openapi.json."""
        return Response(await call.in_thread(make_text), media_type="application/json")

    route = row(get_document)
    return route
