"""Authorisation: may this caller call this route for this repository?

The checks run in this order: token, scope, repository. Policies are checked later, where refs change.
"""

from packhouse.auth import ScopeMissing
from packhouse.errors import Code, Unauthenticated
from packhouse.web.auth import authenticate_token, read_token
from packhouse.web.call import Call
from packhouse.web.caller import Caller
from packhouse.web.pipeline.exchange import Exchange, Proceed
from packhouse.web.routing.match import Dialect
from packhouse.web.routing.route import Claim, Route


class ReleasedScopeMissing(Unauthenticated):
    """The token lacks the scope of a released path. Released clients expect status 401 for it."""

    code = Code.RELEASED_SCOPE_MISSING
    needed: list[str]


async def authorise_caller(exchange: Exchange, proceed: Proceed) -> None:
    """Proceed if the caller may call the route, and raise otherwise.

    Some handlers authorise their callers themselves.
    """
    route, call = exchange.require_call()
    if route.claim is not Claim.HANDLER:
        call.authorised = await authorise(call, route)
    await proceed(exchange)


async def authorise(call: Call, route: Route) -> Caller:
    """Return the caller of a route of the API.

    Raises Unauthenticated without a valid token, and on released paths for a missing scope, where clients expect 401.
    Raises Denied elsewhere for a missing scope, and for a token of another repository.
    """
    principal = await authenticate_token(call, read_token(call.wire))
    try:
        principal.require_scope(*route.scopes)
    except ScopeMissing as error:
        if call.dialect is Dialect.RELEASED and route.released_scope_status == 401:
            raise ReleasedScopeMissing(error.needed) from None
        raise
    if route.claim is Claim.ORG:
        return Caller(principal, "")
    name = call.path_values.get("repo")
    if name is None:
        return Caller(principal, principal.read_repo_claim())
    principal.require_repo(name)
    return Caller(principal, name)
