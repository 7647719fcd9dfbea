"""A request as it came over the wire: its head, its body and its connection.

The server puts facts about the connection into the scope under `packhouse.` (protocol.py). Under another server they
are absent, and the properties here return their defaults.
"""

import asyncio
import re
from collections.abc import Callable
from typing import Final

from starlette.requests import Request
from starlette.types import Receive, Scope

from packhouse.web.edge.body import ClientGone, RequestBody
from packhouse.web.edge.request_id import choose_request_id

_HOST: Final = re.compile(r"(?:[A-Za-z0-9._~-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")


class WireRequest(Request):
    """One HTTP request. `id` names it in the log and in its answer, `upload` is its body as it arrives."""

    def __init__(self, scope: Scope, receive: Receive, *, stall_max_s: float) -> None:
        super().__init__(scope, receive)
        self.id = choose_request_id(scope["headers"]).decode("ascii")
        self.upload = RequestBody(scope, receive, stall_max_s=stall_max_s)

    @property
    def raw_path(self) -> bytes:
        """The path of the target as the client wrote it, escapes included."""
        path: bytes = self.scope["raw_path"]
        return path

    @property
    def query_string(self) -> bytes:
        """The query of the target as the client wrote it, without the question mark."""
        query: bytes = self.scope["query_string"]
        return query

    @property
    def client_host(self) -> str:
        """The address of the connection's other end, "" when it is unknown."""
        client = self.scope.get("client")
        return str(client[0]) if client else ""

    @property
    def base_address(self) -> str:
        """The scheme and host that the client called, without a slash at the end."""
        host = self.headers.get("host", "")
        if not _HOST.fullmatch(host):
            name, port = self.scope.get("server") or ("localhost", None)
            host = f"{name}:{port}" if port else name
        return f"{self.scope.get('scheme', 'http')}://{host}"

    def is_ending(self) -> bool:
        """Tell whether the server is ending and waits for this request."""
        ask: Callable[[], bool] | None = self.scope.get("packhouse.is_ending")
        return ask is not None and ask()

    def has_left(self) -> bool:
        """Tell whether the server has seen the client close the connection."""
        ask: Callable[[], bool] | None = self.scope.get("packhouse.has_left")
        return ask is not None and ask()

    @property
    def cut_connection(self) -> Callable[[], None] | None:
        """The function that ends the connection at once, so that the client sees that its answer is not whole."""
        cut: Callable[[], None] | None = self.scope.get("packhouse.cut_connection")
        return cut

    async def require_client(self) -> None:
        """Raise ClientGone if the client closed the connection, as clients do that have waited long."""
        await asyncio.sleep(
            0
        )  # for the loop to read what has arrived meanwhile, the end of the connection too
        if self.has_left():
            while (await self.receive())["type"] != "http.disconnect":
                continue
            raise ClientGone
