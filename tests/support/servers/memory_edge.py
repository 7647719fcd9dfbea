"""Handlers without a server: requests in memory, answered on a node in memory."""

from collections.abc import Iterable, Mapping

from starlette.responses import Response

from packhouse.node.node import Node
from packhouse.operations.tenants.add_key import AddKey, add_key
from packhouse.web.admission.admission import Admission
from packhouse.web.call import Call, Shared
from packhouse.web.event_feed import EventFeed
from packhouse.web.routing.route import Route
from packhouse.web.routing.router import Router
from tests.support.builders.keys import KeyPair, make_key_pair, sign_token, usual_claims
from tests.support.exchanges import Sent
from tests.support.wire_requests import Client


class MemoryEdge:
    """Answers requests by the handlers of some routes, for a caller of organisation acme."""

    def __init__(self, node: Node, admission: Admission, routes: Iterable[Route]) -> None:
        self._shared = Shared(node, admission, EventFeed(node, admission.threads))
        self._router = Router(list(routes))
        self._keys: KeyPair = make_key_pair()
        add_key(node, AddKey("acme", self._keys.public_pem))

    def token(self, repo: str, *scopes: str) -> str:
        """Return a token for a repository. By default it may read and write."""
        return sign_token(self._keys, usual_claims("acme", repo, list(scopes or ("git:read", "git:write"))))

    def call(
        self, method: str, target: str, client: Client, headers: Mapping[str, str]
    ) -> tuple[Route, Call]:
        """Return the route of a request, and the call for its handler."""
        is_chunked = {"transfer-encoding": "chunked"} if method == "POST" else {}
        wire = client.request(method, target, {**headers, **is_chunked})
        route, match = self._router.match(method, wire.raw_path)
        return route, Call(wire, self._shared, match)

    async def open(
        self, method: str, target: str, client: Client | None = None, **headers: str
    ) -> tuple[Response, Call]:
        """Return the handler's response, before any of it is sent. Raises the handler's error."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        route, call = self.call(method, target, client or Client(), named)
        answer = await route.handler(call)
        assert isinstance(answer, Response), "handlers of Git's own paths answer by themselves"
        return answer, call

    async def ask(self, method: str, target: str, client: Client | None = None, **headers: str) -> Sent:
        """Return the whole answer of a handler."""
        client = client or Client()
        response, call = await self.open(method, target, client, **headers)
        await response(call.wire.scope, client.receive, client.sent)
        return client.sent
