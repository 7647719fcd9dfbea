"""One call of an operation, as handlers see it: the request, its caller, and the ways to run an operation."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Concatenate, Final, ParamSpec, TypeVar
from urllib.parse import quote

import msgspec

from packhouse import limits
from packhouse.auth import Principal
from packhouse.config import Config
from packhouse.git import RefName
from packhouse.node import Node
from packhouse.repository import Receipt
from packhouse.web.admission.admission import Admission
from packhouse.web.caller import Caller
from packhouse.web.edge.body import iter_body
from packhouse.web.edge.wire_request import WireRequest
from packhouse.web.event_feed import EventFeed
from packhouse.web.json import decode_members, member_names, parse_object, parse_query
from packhouse.web.prepared_write import BranchWrite, PreparedWrite, WriteVerb
from packhouse.web.reply import Reply
from packhouse.web.routing.match import Dialect, Match

P = ParamSpec("P")
T = TypeVar("T")
C = TypeVar("C")
R = TypeVar("R", bound=msgspec.Struct)
S = TypeVar("S", bound=msgspec.Struct)

_INLINE_MAX_BYTES: Final = 256 * limits.KIB  # parsing more would hold up the event loop


@dataclass(frozen=True, slots=True)
class Shared:
    """The state that all requests of one server process have in common."""

    node: Node
    admission: Admission
    events: EventFeed


class Call:
    """One call. `wire` is the request, `match` tells its route, dialect and path values.

    `principal` is set once the token is verified, `authorised` once its caller may call the route for its repository.
    `failure_facts` are members (`branch`, …) that a handler knows for the `result` of a failure.
    """

    def __init__(self, wire: WireRequest, shared: Shared, match: Match) -> None:
        self.wire = wire
        self.node = shared.node
        self.admission = shared.admission
        self.events = shared.events
        self.match = match
        self.principal: Principal | None = None
        self.authorised: Caller | None = None
        self.failure_facts: dict[str, str] = {}

    @property
    def config(self) -> Config:
        """The server's settings."""
        return self.node.config

    @property
    def caller(self) -> Caller:
        """The caller. Only routes have it whose claim is checked before the handler."""
        assert self.authorised is not None, "this route does not authorise before its handler"
        return self.authorised

    @property
    def dialect(self) -> Dialect:
        """The family of paths by which the request came."""
        return self.match.dialect

    @property
    def path_values(self) -> Mapping[str, str]:
        """The decoded values of the path's variables, such as `repo`."""
        return self.match.values

    def read_query(self, kind: type[S]) -> S:
        """Return the query as `kind`, old names included; raise Invalid, which names the unfit parameter."""
        return parse_query(self.wire.query_string, kind, where=self.match.operation)

    async def read_body(self, kind: type[S], *, max_bytes: int = limits.json_body_max_bytes) -> S:
        """Return the JSON body as `kind`. An empty body counts as `{}`, and the content type is ignored.

        Old field names are accepted by the route's rows in `dialects.py`. Raises Invalid, which names the field that
        does not fit, BodyTooLarge, ClientStalled, ClientGone.
        """
        members = await self.read_members(kind, max_bytes=max_bytes)
        return parse_object(members, kind, where=self.match.operation)

    async def read_members(
        self, kind: type[msgspec.Struct], *, max_bytes: int = limits.json_body_max_bytes
    ) -> dict[str, Any]:
        """Return the decoded members of the JSON body that `kind` knows, under the names by which the client sent them.

        An empty or blank body has no members. Raises the errors of `read_body`.
        """
        names = member_names(kind, self.match.operation)
        text = b"".join([piece async for piece in iter_body(self.wire.upload, max_bytes=max_bytes)]).strip()
        if not text:
            return {}
        if len(text) > _INLINE_MAX_BYTES:
            return await self.in_thread(decode_members, text, names)
        return decode_members(text, names)

    async def in_thread(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a blocking function in a worker thread; see WorkerThreads.run."""
        return await self.admission.threads.run(function, *args, **kwargs)

    async def operate(
        self, operation: Callable[Concatenate[Node, Principal, P], T], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run an operation as the caller of this request, in a worker thread."""
        return await self.admission.threads.run(operation, self.node, self.caller.principal, *args, **kwargs)

    async def search(
        self, operation: Callable[Concatenate[Node, Principal, P], T], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run an operation that a caller can make take many seconds, and leave threads for all other calls.

        A search waits for a slot without a thread, and repositories and organisations share the slots fairly. Raises
        Unavailable as Limiter.slot() does.
        """
        async with self.admission.searches.slot((self.caller.principal.org_id, self.caller.repo)):
            return await self.operate(operation, *args, **kwargs)

    def prepare_write(
        self, verb: WriteVerb[C, T], command: C, render: Callable[[T], R | Reply[R]]
    ) -> PreparedWrite[R]:
        """Return the write that runs an operation as the caller of this request; see PreparedWrite."""
        return PreparedWrite(operation=self._bind(verb, command), render=render)

    def prepare_branch_write(
        self,
        verb: WriteVerb[C, T],
        command: C,
        render: Callable[[T], R | Reply[R]],
        *,
        namespace: str,
        refname: RefName,
    ) -> BranchWrite[R]:
        """Return the prepared write of an operation that moves a branch.

        The write waits in the queue of that branch.
        """
        operation = self._bind(verb, command)
        return BranchWrite(operation=operation, render=render, namespace=namespace, refname=refname)

    def _bind(self, verb: WriteVerb[C, T], command: C) -> Callable[[Receipt[T] | None], T]:
        node, principal = self.node, self.caller.principal
        return lambda receipt: verb(node, principal, command, receipt=receipt)

    def clone_address(self, repo: str) -> str:
        """Return the address from which git clones the repository, without credentials."""
        base = self.config.public_url.rstrip("/") or self.wire.base_address
        return f"{base}/{quote(repo, safe='/+')}.git"
