"""Which callers may call which route: token, then scope, then repository."""

import asyncio

import pytest
from starlette.responses import Response

from packhouse.auth.principal import RepoClaimMismatch, ScopeMissing
from packhouse.auth.scopes import Scope
from packhouse.errors import Unauthenticated
from packhouse.node.node import Node
from packhouse.operations.tenants.add_key import AddKey, add_key
from packhouse.operations.tenants.create_org import CreateOrg, create_org
from packhouse.web.call import Call, Shared
from packhouse.web.openapi.description import Description
from packhouse.web.pipeline.authorise import authorise_caller
from packhouse.web.pipeline.exchange import Exchange
from packhouse.web.routing.match import Dialect, Match
from packhouse.web.routing.route import WRITE, Claim, Route, changing, of_org, of_repo, public, reading
from tests.support.builders.keys import make_key_pair, sign_token, usual_claims
from tests.support.exchanges import answering, open_exchange
from tests.support.wire_requests import make_wire

pytestmark = pytest.mark.quick

PAIR = make_key_pair()


async def handler(_call: Call) -> Response:
    """Stand in for a handler: these tests never call it."""
    return Response()


TAGS = reading("list_tags", of_repo("tags"), handler, Description("List tags"))
WEBHOOKS = changing("create_webhook", of_org("webhooks"), handler, Description("Subscribe"), claim=Claim.ORG)
PULL = changing(
    "pull_upstream", of_repo("pull"), handler, Description("Pull"), scopes=WRITE, released_scope_status=403
)
HEALTH = public("healthz", "/healthz", handler, Description("Up"))


@pytest.fixture
def org(memory_node: Node) -> str:
    """An organisation whose tokens PAIR signs."""
    create_org(memory_node, CreateOrg("acme"))
    add_key(memory_node, AddKey("acme", PAIR.public_pem))
    return "acme"


def token_of(org: str, repo: str | None, *scopes: Scope) -> str:
    """Return a token that is valid while the clock of the node stands at 1000."""
    claims = usual_claims(org, repo, [scope.value for scope in scopes])
    return sign_token(PAIR, claims | {"iat": 1000, "exp": 2000})


def call_route(shared: Shared, route: Route, token: str | None, dialect: Dialect, **values: str) -> Call:
    """Send a call through the stage and return it. Raises the errors of the stage."""
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    exchange, _ = open_exchange(make_wire("GET", "/", headers=headers), shared)
    exchange.route = route
    call = exchange.call = Call(exchange.wire, shared, Match(route.name, "", dialect, values))
    asyncio.run(authorise_caller(exchange, answering(Response())))
    assert exchange.answer is not None
    return call


def test_the_caller_of_a_preferred_path_is_for_the_repository_in_it(shared: Shared, org: str) -> None:
    call = call_route(shared, TAGS, token_of(org, "a", Scope.GIT_READ), Dialect.PREFERRED, repo="a")
    assert (call.caller.repo, call.caller.principal.org_name) == ("a", "acme")
    assert call.principal is call.caller.principal


def test_the_caller_of_a_released_path_is_for_the_repository_of_the_token(shared: Shared, org: str) -> None:
    assert call_route(shared, TAGS, token_of(org, "b", Scope.GIT_READ), Dialect.RELEASED).caller.repo == "b"


def test_a_token_of_another_repository_is_refused(shared: Shared, org: str) -> None:
    with pytest.raises(RepoClaimMismatch):
        call_route(shared, TAGS, token_of(org, "b", Scope.GIT_READ), Dialect.PREFERRED, repo="a")


def test_a_call_without_a_repository_needs_no_claim(shared: Shared, org: str) -> None:
    call = call_route(shared, WEBHOOKS, token_of(org, None, Scope.REPO_WRITE), Dialect.PREFERRED)
    assert call.caller.repo == ""


def test_a_missing_scope_is_refused_and_released_paths_call_it_unauthenticated(
    shared: Shared, org: str
) -> None:
    token = token_of(org, "a", Scope.REPO_WRITE)
    with pytest.raises(ScopeMissing):
        call_route(shared, TAGS, token, Dialect.PREFERRED, repo="a")
    with pytest.raises(Unauthenticated, match="token lacks the scope"):
        call_route(shared, TAGS, token, Dialect.RELEASED)
    with pytest.raises(ScopeMissing):
        call_route(shared, PULL, token, Dialect.RELEASED)


def test_the_scope_is_checked_before_the_repository(shared: Shared, org: str) -> None:
    with pytest.raises(ScopeMissing):
        call_route(shared, TAGS, token_of(org, "b", Scope.ORG_READ), Dialect.PREFERRED, repo="a")


@pytest.mark.parametrize("token", [None, "x", ""])
def test_without_a_valid_token_the_handler_is_not_called(shared: Shared, org: str, token: str | None) -> None:
    with pytest.raises(Unauthenticated):
        call_route(shared, TAGS, token, Dialect.PREFERRED, repo="a")


def test_the_log_names_a_refused_caller(shared: Shared, org: str) -> None:
    exchange, _ = open_exchange(
        make_wire("GET", "/", headers={"Authorization": f"Bearer {token_of(org, 'b', Scope.GIT_READ)}"}),
        shared,
    )
    exchange.route = TAGS
    call = exchange.call = Call(
        exchange.wire, shared, Match("list_tags", "", Dialect.PREFERRED, {"repo": "a"})
    )
    with pytest.raises(RepoClaimMismatch):
        asyncio.run(authorise_caller(exchange, never))
    assert call.principal is not None and call.principal.subject == "@pierre/storage"
    assert call.authorised is None


async def never(_exchange: Exchange) -> None:
    """Stand behind a stage that refuses: it is never called."""
    raise AssertionError


def test_a_public_route_needs_no_token(shared: Shared) -> None:
    call = call_route(shared, HEALTH, None, Dialect.NONE)
    assert (call.principal, call.authorised) == (None, None)
