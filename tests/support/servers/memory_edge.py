"""Handlers without a server: requests in memory, answered on a node in memory."""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import unquote

from starlette.responses import Response
from starlette.types import Message, Scope

from packhouse.node.node import Node
from packhouse.operations.tenants.add_key import AddKey, add_key
from packhouse.web.admission.admission import Admission
from packhouse.web.call import Call, Shared
from packhouse.web.edge.wire_request import WireRequest
from packhouse.web.routing.route import Route
from packhouse.web.routing.router import Router
from tests.support.builders.keys import KeyPair, make_key_pair, sign_token, usual_claims

_STALL_MAX_S = 1_000_000  # a client of a test is slow, not stalled


@dataclass(frozen=True)
class Reply:
    """The answer that a client got."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Client:
    """The other end of one request. It sends these pieces of the body, then waits for the answer or leaves.

    A slow client sends the rest of the body later.
    """

    def __init__(self, pieces: Iterable[bytes] = (), *, leaves: bool = False, is_slow: bool = False) -> None:
        self._messages: asyncio.Queue[Message] = asyncio.Queue()
        self.got: list[bytes] = []
        self.has_left = False
        self.cuts = 0
        self._start: Message = {}
        self._waiting = False
        for piece in pieces:
            self.send(piece)
        if leaves:
            self.leave()
        elif not is_slow:
            self.finish()

    def send(self, piece: bytes) -> None:
        """Send a piece of the body."""
        self._messages.put_nowait({"type": "http.request", "body": piece, "more_body": True})

    def finish(self) -> None:
        """Send the end of the body."""
        self._messages.put_nowait({"type": "http.request", "body": b"", "more_body": False})

    def leave(self) -> None:
        """Close the connection."""
        self.has_left = True
        self._messages.put_nowait({"type": "http.disconnect"})

    def cut(self) -> None:
        """Be cut off by the server."""
        self.cuts += 1
        self.leave()

    @property
    def is_waited_for(self) -> bool:
        """Tell whether the server has taken all sent pieces and waits for more."""
        return self._waiting and self._messages.empty()

    async def receive(self) -> Message:
        """Give the server the next message, once there is one (ASGI specification)."""
        self._waiting = True
        try:
            return await self._messages.get()
        finally:
            self._waiting = False

    async def take(self, message: Message) -> None:
        """Take a message of the server (ASGI specification)."""
        if message["type"] == "http.response.start":
            self._start = message
        else:
            self.got.append(message.get("body", b""))

    def reply(self) -> Reply:
        """Return the answer so far."""
        headers = {name.decode(): value.decode() for name, value in self._start["headers"]}
        return Reply(self._start["status"], headers, b"".join(self.got))


class MemoryEdge:
    """Answers requests by the handlers of some routes, for a caller of organisation acme."""

    def __init__(self, node: Node, admission: Admission, routes: Iterable[Route]) -> None:
        self._shared = Shared(node, admission)
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
        path, _, query = target.partition("?")
        scope: Scope = {
            "type": "http",
            "method": method,
            "path": unquote(path),
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
            "packhouse.has_left": lambda: client.has_left,
            "packhouse.cut_connection": client.cut,
        }
        if method == "POST":
            scope["headers"].append((b"transfer-encoding", b"chunked"))
        wire = WireRequest(scope, client.receive, stall_max_s=_STALL_MAX_S)
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

    async def ask(self, method: str, target: str, client: Client | None = None, **headers: str) -> Reply:
        """Return the whole answer of a handler."""
        client = client or Client()
        response, call = await self.open(method, target, client, **headers)
        await response(call.wire.scope, client.receive, client.take)
        return client.reply()
