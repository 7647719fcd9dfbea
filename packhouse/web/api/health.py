"""Is the process up, can it serve, and what does it serve?"""

from starlette.responses import Response

from packhouse.errors import Unavailable
from packhouse.web.request import Request
from packhouse.web.responses import json_response
from packhouse.web.routing import Claim, Route


async def healthz(_request: Request) -> Response:
    """GET /healthz: the process answers."""
    return json_response({"status": "ok"})


async def readyz(request: Request) -> Response:
    """GET /readyz: database and storage answer; 503 otherwise."""
    try:
        await request.in_thread(request.node.check)
    except OSError as error:
        raise Unavailable("storage not available") from error
    return json_response({"status": "ok"})


ROUTES = (
    Route("healthz", "GET", healthz, preferred="/healthz", claim=Claim.HANDLER, summary="The process is up"),
    Route(
        "readyz",
        "GET",
        readyz,
        preferred="/readyz",
        claim=Claim.HANDLER,
        summary="Database and storage answer",
        failures=(503,),
    ),
)
