"""The route that serves the OpenAPI document."""

from collections.abc import Sequence

import msgspec
from starlette.responses import Response

from packhouse.web.call import Call
from packhouse.web.openapi.description import Description
from packhouse.web.openapi.document import make_document
from packhouse.web.routing.route import Handler, Route, public


def document_route(routes: Sequence[Route]) -> Route:
    """Return the route that answers with the OpenAPI document of `routes` and of itself."""

    def row(handler: Handler) -> Route:
        return public("openapi", "/api/openapi.json", handler, Description("This document"))

    async def get_document(_call: Call) -> Response:
        """GET /api/openapi.json."""
        return Response(text, media_type="application/json")

    route = row(get_document)
    text = msgspec.json.encode(make_document([*routes, route]))
    return route
