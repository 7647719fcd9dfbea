"""Git LFS paths: refused, in the form that LFS clients read."""

from starlette.responses import Response

from packhouse.web.call import Call
from packhouse.web.routing.route import ErrorStyle, of_remote
from packhouse.web.routing.router import LfsNotServed

# Batch, locks, verification and transfers (git-lfs, "docs/api"). The router answers deeper paths in the same form.
_PATHS = (
    "/info/lfs",
    "/info/lfs/{part}",
    "/info/lfs/objects/{part}",
    "/info/lfs/objects/{id}/{part}",
    "/info/lfs/locks/{part}",
    "/info/lfs/locks/{id}/{part}",
)
_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


async def refuse_lfs(_call: Call) -> Response:
    """Answer any path below {remote}/info/lfs with a JSON 404, which git-lfs takes for "not supported"."""
    raise LfsNotServed()


ROUTES = tuple(
    of_remote("lfs", path, refuse_lfs, method=method, errors=ErrorStyle.LFS)
    for path in _PATHS
    for method in _METHODS
)
