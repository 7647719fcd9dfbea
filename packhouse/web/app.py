"""The ASGI application: route, authorise, handle, answer. One place for each."""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence

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
from packhouse.web.edge.background import BackgroundThreads, Loop
from packhouse.web.edge.body import ClientGone
from packhouse.web.edge.request_log import ID_HEADER, choose_request_id, log_request
from packhouse.web.edge.responses import REVALIDATED, ClientLeft, ResponseAborted, StreamResponse
from packhouse.web.errors import log_failure, render_failure
from packhouse.web.idempotency import answer_once
from packhouse.web.request import Request, Shared
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
        request = Request(scope, receive, self._shared)
        chosen = choose_request_id(scope["headers"]).decode("ascii")
        request.request_id = chosen
        request_id.set(chosen)  # the server gives each request a context of its own
        await _Exchange(request, self._router, scope, receive, send).run()

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
        request: Request,
        router: Router,
        scope: Scope,
        receive: Receive,
        send: Send,
    ) -> None:
        self._router = router
        self._scope = scope
        self._receive = receive
        self._send_to_server = send
        self._request = request
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
                self._request,
                self._outcome,
                status=self._status,
                bytes_out=self._sent_bytes,
                seconds=time.monotonic() - self._started_at,
                reason=self._reason,
            )

    async def _answer(self) -> Response:
        request = self._request
        try:
            route, request.match = self._router.match(request.method, self._scope["raw_path"])
            self._style = route.errors
            if route.claim is not Claim.HANDLER:
                request.authorised = await authorise(request, route)
            return await self._handle(route)
        except RoutingFailure as failure:
            self._style = failure.style
            request.refused_path = failure.template
            return render_failure(request, failure.error, failure.style)
        except (ClientGone, ResponseAborted):
            raise
        except Exception as error:  # noqa: BLE001  # render_failure knows our errors, and logs all others
            return render_failure(request, error, self._style)

    async def _handle(self, route: Route) -> Response:
        """Call the handler; once more when what it lacked was mended meanwhile and no body was used up."""
        if route.writes.takes_key:
            return await answer_once(self._request, route.handler)
        try:
            response = await route.handler(self._request)
        except RepositoryMended:
            if route.method != "GET":
                raise
            response = await route.handler(self._request)
        if route.method == "GET":
            response.headers.setdefault("Cache-Control", REVALIDATED)
        return response

    async def _respond(self, response: Response) -> None:
        """Send the answer once the client has sent its whole body; else close the connection after it."""
        upload = self._request.upload
        try:
            if not await upload.drain(limits.refused_body_drain_max_bytes):
                response.headers["Connection"] = "close"
        except BaseException:
            if isinstance(response, StreamResponse):
                await response.close()
            raise
        await response(self._scope, self._receive, self._send)

    async def _send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._status = message["status"]
            if self._has_left():
                self._outcome = "client left"
            named = (ID_HEADER, self._request.request_id.encode("ascii"))
            await self._send_to_server({**message, "headers": [*message.get("headers", ()), named]})
            return
        if self._request.method != "HEAD":
            self._sent_bytes += len(message.get("body", b""))
        if not message.get("more_body", False) and not self._request.upload.complete:
            # The connection closes with the last message. Whoever still sends would see it reset before
            # having read the answer, so take what comes for a little while.
            await self._send_to_server({**message, "more_body": True})
            await self._request.upload.linger(limits.refused_body_linger_max_s)
            message = {"type": "http.response.body", "body": b"", "more_body": False}
        await self._send_to_server(message)

    async def _fail(self, error: BaseException) -> None:
        """Answer a failure that came while the answer was made ready, or cut the answer that has begun."""
        if self._status:
            self._outcome = "answer cut short"
            log_failure(self._request, error, self._status)
            await self._cut_connection()
            return
        response = render_failure(self._request, error, self._style)
        response.headers["Connection"] = "close"
        await response(self._scope, self._receive, self._send)

    def _has_left(self) -> bool:
        ask: Callable[[], bool] | None = self._scope.get("packhouse.has_left")
        return ask is not None and ask()

    async def _cut_connection(self) -> None:
        """End the connection so that the client sees that the body is not whole."""
        cut: Callable[[], None] | None = self._scope.get("packhouse.cut_connection")
        if cut is not None:
            cut()
            await asyncio.sleep(0)  # the server learns of the lost connection before this task ends
