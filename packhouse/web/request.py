"""The request as handlers see it: Starlette's, plus the route, the caller and the server's own parts."""

import re
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Concatenate, ParamSpec, TypeVar
from urllib.parse import quote

import msgspec
from starlette.requests import Request as StarletteRequest
from starlette.responses import Response
from starlette.types import Receive, Scope

from packhouse import limits
from packhouse.auth.principal import Principal
from packhouse.config import Config
from packhouse.git.refname import RefName, short_name
from packhouse.node.node import Node
from packhouse.repository.refs.receipts import Answer, Receipt, Ticket
from packhouse.web.admission.admission import Admission
from packhouse.web.caller import Caller
from packhouse.web.edge.body import RequestBody, drop_body
from packhouse.web.json.fields import parse_query
from packhouse.web.routing.match import Dialect, Match

P = ParamSpec("P")
T = TypeVar("T")
S = TypeVar("S", bound=msgspec.Struct)

_HOST = re.compile(r"(?:[A-Za-z0-9._~-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")


@dataclass(frozen=True, slots=True)
class Shared:
    """What all requests of one server process have in common."""

    node: Node
    admission: Admission


class Request(StarletteRequest):
    """One request.

    `principal` is known as soon as the token is, `authorised` once its caller may call the route for its repository.
    `refused_path` is the template of a path that does not take the method. `failure_facts` are members (`branch`, …)
    that a handler knows for a `result` body. `idempotency_key` is None unless the request has one and its route takes
    it; `ticket` is made for the write.
    """

    def __init__(self, scope: Scope, receive: Receive, shared: Shared) -> None:
        super().__init__(scope, receive)
        self.node = shared.node
        self.admission = shared.admission
        self.match: Match | None = None
        self.refused_path = ""
        self.request_id = ""
        self.principal: Principal | None = None
        self.authorised: Caller | None = None
        self.upload = RequestBody(scope, receive, stall_max_s=self.node.config.stall_timeout_s)
        self.failure_facts: dict[str, str] = {}
        self.idempotency_key: str | None = None
        self.ticket: Ticket | None = None

    @property
    def config(self) -> Config:
        """The server's settings."""
        return self.node.config

    @property
    def caller(self) -> Caller:
        """Who calls; only for routes whose claim is not left to the handler."""
        assert self.authorised is not None, "this route does not authorise before its handler"
        return self.authorised

    @property
    def dialect(self) -> Dialect:
        """The family of paths by which the request came."""
        return self.match.dialect if self.match else Dialect.NONE

    @property
    def path_values(self) -> Mapping[str, str]:
        """The decoded values of the path's variables, such as `repo`."""
        return self.match.values if self.match else {}

    @property
    def git_path(self) -> str:
        """The decoded path in front of a git suffix, without a slash at either end."""
        return self.match.git_path if self.match else ""

    @property
    def git_path_as_written(self) -> str:
        """The same path before its escapes were decoded."""
        return self.match.git_path_as_written if self.match else ""

    def read_query(self, kind: type[S]) -> S:
        """Return the query as `kind`, old names included; raise Invalid naming the parameter that does not fit."""
        assert self.match is not None
        return parse_query(self.scope["query_string"], kind, where=self.match.operation)

    def is_ending(self) -> bool:
        """Tell whether the server ends and waits for this request."""
        ask: Callable[[], bool] | None = self.scope.get("packhouse.is_ending")
        return ask is not None and ask()

    async def in_thread(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Run what blocks in a worker thread; see WorkerThreads.run."""
        return await self.admission.threads.run(function, *args, **kwargs)

    async def operate(
        self, operation: Callable[Concatenate[Node, Principal, P], T], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run an operation as the caller of this request, in a worker thread."""
        return await self.admission.threads.run(operation, self.node, self.caller.principal, *args, **kwargs)

    async def write(
        self, operation: Callable[[Receipt[T] | None], T], render: Callable[[T], Response]
    ) -> Response:
        """Run an operation that writes, in a worker thread, and return its answer.

        The operation gets a receipt when the request has an idempotency key: `render` is then called within its
        transaction as well, so that the answer is kept with what was written. It may look at its result only.
        """
        if self.idempotency_key is None:
            return render(await self.in_thread(operation, None))
        fingerprint = self.upload.fingerprint
        assert fingerprint is not None, "a request with a key has its body hashed"
        if not fingerprint.is_whole:  # a body that counts for nothing
            await drop_body(self.upload, max_bytes=self.config.commit_max_bytes)
        self.ticket = Ticket(self.idempotency_key, fingerprint.text())
        receipt: Receipt[T] = Receipt(self.ticket, lambda result: as_answer(render(result)))
        return render(await self.in_thread(operation, receipt))

    async def search(
        self, operation: Callable[Concatenate[Node, Principal, P], T], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run an operation that a caller can make take many seconds, and leave threads for all others.

        Such calls wait for a slot without a thread, and repositories and organisations share the slots fairly.
        Raises Unavailable as Limiter.slot() does.
        """
        async with self.admission.searches.slot((self.caller.principal.org_id, self.caller.repo)):
            return await self.operate(operation, *args, **kwargs)

    def wait_for_branch(self, namespace: str, refname: RefName) -> AbstractAsyncContextManager[None]:
        """Wait in the branch queue until this request may write to the branch; see BranchQueue."""
        key = (self.caller.principal.org_id, self.caller.repo, namespace, refname)
        queue = self.admission.branch_queue
        return queue.wait(key, branch=short_name(refname), wait_max_s=limits.guard_wait_max_s)

    @property
    def base_address(self) -> str:
        """Scheme and host by which clients reach this server, without a slash at the end."""
        if self.config.public_url:
            return self.config.public_url.rstrip("/")
        host = self.headers.get("host", "")
        if not _HOST.fullmatch(host):
            name, port = self.scope.get("server") or ("localhost", None)
            host = f"{name}:{port}" if port else name
        return f"{self.scope.get('scheme', 'http')}://{host}"

    def clone_address(self, repo: str) -> str:
        """Return the address from which git clones the repository, without credentials."""
        return f"{self.base_address}/{quote(repo, safe='/+')}.git"


def as_answer(response: Response) -> Answer:
    """Return a whole response for keeping; its length follows from its body."""
    headers = ((name, value) for name, value in response.headers.items() if name != "content-length")
    return Answer(response.status_code, tuple(headers), bytes(response.body))
