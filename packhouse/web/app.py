"""The ASGI application: route, authorise, handle, answer. One place for each."""

import asyncio
import logging
import time
from collections.abc import Sequence

from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from packhouse import limits
from packhouse.config import Config
from packhouse.errors import Unavailable
from packhouse.log import log_event, request_id
from packhouse.node.node import open_node
from packhouse.repository.damage import RepositoryMended
from packhouse.web.admission.admission import open_admission
from packhouse.web.api import (
    archives,
    blame,
    branches,
    commits,
    credentials,
    diffs,
    events,
    files,
    grep,
    health,
    history,
    merge,
    merge_preview,
    metadata,
    notes,
    ref_log,
    repos,
    tags,
    upstreams,
    webhooks,
)
from packhouse.web.api.document import document_route
from packhouse.web.auth import authorise
from packhouse.web.call import Call, Shared
from packhouse.web.edge.background import BackgroundThreads, Loop
from packhouse.web.edge.body import ClientGone
from packhouse.web.edge.request_log import ID_HEADER, choose_request_id, log_request
from packhouse.web.edge.responses import REVALIDATED, ClientLeft, ResponseAborted, StreamResponse
from packhouse.web.edge.wire_request import WireRequest
from packhouse.web.errors import log_failure, render_failure
from packhouse.web.idempotency import answer_once
from packhouse.web.routing.route import Claim, ErrorStyle, Route
from packhouse.web.routing.router import Router, RoutingFailure
from packhouse.web.smart import info_refs, lfs, receive_pack, upload_pack

API: tuple[Route, ...] = (
    *health.ROUTES,
    *repos.ROUTES,
    *branches.ROUTES,
    *commits.ROUTES,
    *files.ROUTES,
    *archives.ROUTES,
    *history.ROUTES,
    *tags.ROUTES,
    *notes.ROUTES,
    *ref_log.ROUTES,
    *metadata.ROUTES,
    *diffs.ROUTES,
    *blame.ROUTES,
    *grep.ROUTES,
    *merge_preview.ROUTES,
    *credentials.ROUTES,
    *webhooks.ROUTES,
    *events.ROUTES,
    *merge.ROUTES,
    *upstreams.ROUTES,
)
GIT: tuple[Route, ...] = (*info_refs.ROUTES, *upload_pack.ROUTES, *receive_pack.ROUTES, *lfs.ROUTES)
ROUTES: tuple[Route, ...] = (*API, document_route(API), *GIT)


def make_app(config: Config, routes: Sequence[Route] = ROUTES, *, loops: Sequence[Loop] = ()) -> ASGIApp:
    """Return the application; the node is opened by the lifespan's start-up and closed by its end."""
    return App(config, routes, loops)


class App:
    """One server process's application."""

    def __init__(self, config: Config, routes: Sequence[Route], loops: Sequence[Loop]) -> None:
        self._config = config
        self._loops = loops
        self._router = Router(routes)
        self._shared: Shared | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or the lifespan of the process (ASGI specification)."""
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
            return
        assert scope["type"] == "http", scope["type"]
        assert self._shared is not None, "the lifespan has not started"
        chosen = choose_request_id(scope["headers"]).decode("ascii")
        request_id.set(chosen)  # the server gives each request a context of its own
        wire = WireRequest(scope, receive, id=chosen, stall_max_s=self._config.stall_timeout_s)
        await _Exchange(wire, self._shared, self._router, send).run()

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        try:
            node = await asyncio.to_thread(open_node, self._config)
        except Exception as error:  # noqa: BLE001  # whatever prevents the start: the server tells it and ends
            log_event("server cannot start", level=logging.ERROR, reason=str(error))
            await send({"type": "lifespan.startup.failed"})
            return
        admission = open_admission(self._config, node.limits)
        self._shared = Shared(node, admission)
        background = BackgroundThreads(node, self._loops)
        await send({"type": "lifespan.startup.complete"})
        await receive()
        admission.close()
        await asyncio.to_thread(background.stop, limits.background_stop_max_s)
        await asyncio.to_thread(node.close)
        await send({"type": "lifespan.shutdown.complete"})


class _Exchange:
    """One request and its answer."""

    def __init__(
        self,
        wire: WireRequest,
        shared: Shared,
        router: Router,
        send: Send,
    ) -> None:
        self._wire = wire
        self._shared = shared
        self._router = router
        self._send_to_server = send
        self._call: Call | None = None
        self._refused_path = ""
        self._style = ErrorStyle.PLAIN
        self._started_at = time.monotonic()
        self._status = 0
        self._sent_bytes = 0
        self._outcome = "request"
        self._reason = ""

    async def run(self) -> None:
        """Answer the request, whatever happens; only a broken connection goes without an answer. Log it once."""
        try:
            await self._respond(await self._answer())
        except (ClientGone, ClientLeft):
            self._outcome = "client left"
            await self._cut_connection()
        except ResponseAborted as error:
            self._outcome, self._reason = "answer cut short", str(error)
            await self._cut_connection()
        except asyncio.CancelledError:
            # Only the end of the server's grace period cancels requests.
            await self._fail(Unavailable("server is shutting down", retry_after_s=1))
        except Exception as error:  # noqa: BLE001  # the outermost frame: every failure is answered and logged
            await self._fail(error)
        finally:
            log_request(
                self._wire,
                self._call,
                self._outcome,
                refused_path=self._refused_path,
                status=self._status,
                bytes_out=self._sent_bytes,
                seconds=time.monotonic() - self._started_at,
                reason=self._reason,
            )

    async def _answer(self) -> Response:
        try:
            route, match = self._router.match(self._wire.method, self._wire.raw_path)
            self._style = route.errors
            call = self._call = Call(self._wire, self._shared, match)
            if route.claim is not Claim.HANDLER:
                call.authorised = await authorise(call, route)
            return await self._handle(call, route)
        except RoutingFailure as failure:
            self._style = failure.style
            self._refused_path = failure.template
            return render_failure(self._wire, None, failure.error, failure.style)
        except (ClientGone, ResponseAborted):
            raise
        except Exception as error:  # noqa: BLE001  # render_failure knows our errors, and logs all others
            return render_failure(self._wire, self._call, error, self._style)

    async def _handle(self, call: Call, route: Route) -> Response:
        """Call the handler; once more when what it lacked was mended meanwhile and no body was used up."""
        if route.writes.takes_key:
            return await answer_once(call, route.handler)
        try:
            response = await route.handler(call)
        except RepositoryMended:
            if route.method != "GET":
                raise
            response = await route.handler(call)
        if route.method == "GET":
            response.headers.setdefault("Cache-Control", REVALIDATED)
        return response

    async def _respond(self, response: Response) -> None:
        """Send the answer once the client has sent its whole body; else close the connection after it."""
        upload = self._wire.upload
        try:
            if not await upload.drain(limits.refused_body_drain_max_bytes):
                response.headers["Connection"] = "close"
        except BaseException:
            if isinstance(response, StreamResponse):
                await response.close()
            raise
        await response(self._wire.scope, self._wire.receive, self._send)

    async def _send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._status = message["status"]
            if self._wire.has_left():
                self._outcome = "client left"
            named = (ID_HEADER, self._wire.id.encode("ascii"))
            await self._send_to_server({**message, "headers": [*message.get("headers", ()), named]})
            return
        if self._wire.method != "HEAD":
            self._sent_bytes += len(message.get("body", b""))
        if not message.get("more_body", False) and not self._wire.upload.complete:
            # The connection closes with the last message. Whoever still sends would see it reset before
            # having read the answer, so take what comes for a little while.
            await self._send_to_server({**message, "more_body": True})
            await self._wire.upload.linger(limits.refused_body_linger_max_s)
            message = {"type": "http.response.body", "body": b"", "more_body": False}
        await self._send_to_server(message)

    async def _fail(self, error: BaseException) -> None:
        """Answer a failure that came while the answer was made ready, or cut the answer that has begun."""
        if self._status:
            self._outcome = "answer cut short"
            log_failure(self._call, error, self._status)
            await self._cut_connection()
            return
        response = render_failure(self._wire, self._call, error, self._style)
        response.headers["Connection"] = "close"
        await response(self._wire.scope, self._wire.receive, self._send)

    async def _cut_connection(self) -> None:
        """End the connection so that the client sees that the body is not whole."""
        cut = self._wire.cut_connection
        if cut is not None:
            cut()
            await asyncio.sleep(0)  # the server learns of the lost connection before this task ends
