"""Git LFS paths: not served yet, and said so in the form that LFS clients read."""

from starlette.responses import Response

from packhouse.errors import NotFound
from packhouse.web.request import Request
from packhouse.web.routing import Claim, ErrorStyle, Route

_PATHS = (
    "/info/lfs/{part}",
    "/info/lfs/objects/{part}",
    "/info/lfs/locks/{part}",
    "/info/lfs/locks/{id}/{part}",
)
_METHODS = ("GET", "POST", "PUT")


async def refuse_lfs(_request: Request) -> Response:
    """Any path below {remote}/info/lfs: a JSON 404, which git-lfs takes for "not supported"."""
    raise NotFound("git LFS is not served")


ROUTES = tuple(
    Route("lfs", method, refuse_lfs, git_suffix=path, claim=Claim.HANDLER, errors=ErrorStyle.PLAIN)
    for path in _PATHS
    for method in _METHODS
)
