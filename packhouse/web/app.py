"""The ASGI application: all routes, and the pipeline that every request goes through."""

import asyncio
import logging
from collections.abc import Callable, Sequence

from starlette.types import ASGIApp, Receive, Scope, Send

from packhouse.config import Config
from packhouse.log import log_event
from packhouse.node import Node, open_node
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
from packhouse.web.call import Shared
from packhouse.web.edge.wire_request import WireRequest
from packhouse.web.event_feed import EventFeed
from packhouse.web.pipeline.authorise import authorise_caller
from packhouse.web.pipeline.exchange import Exchange, Proceed, chain
from packhouse.web.pipeline.failures import answer_failures, end_broken
from packhouse.web.pipeline.handle import handle
from packhouse.web.pipeline.log import log_exchange
from packhouse.web.pipeline.routes import find_route
from packhouse.web.pipeline.sending import send_answer
from packhouse.web.routing.route import Route
from packhouse.web.routing.router import Router
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


StartBackground = Callable[[Node], Callable[[], None]]
"""Starts the background work of a process; returns the function that ends it within seconds."""


def start_nothing(_node: Node) -> Callable[[], None]:
    """Start no background work."""
    return lambda: None


def make_app(
    config: Config, routes: Sequence[Route] = ROUTES, *, start_background: StartBackground = start_nothing
) -> ASGIApp:
    """Return the application; the node is opened by the lifespan's start-up and closed by its end."""
    return App(config, routes, start_background)


def make_pipeline(routes: Sequence[Route]) -> Proceed:
    """Return the pipeline: the stages from the outside in, and behind them the handler."""
    return chain(
        log_exchange,  # request id and log, with the time that the request took
        end_broken,  # fail: cut the connection of an answer that has begun
        send_answer,  # limit: the bytes that are read of an unwanted body
        answer_failures,  # fail: answer in the form of the route
        find_route(Router(routes)),
        authorise_caller,
        last=handle,
    )


class App:
    """The application of one server process."""

    def __init__(self, config: Config, routes: Sequence[Route], start_background: StartBackground) -> None:
        self._config = config
        self._start_background = start_background
        self._pipeline = make_pipeline(routes)
        self._shared: Shared | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or the lifespan of the process (ASGI specification)."""
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
            return
        assert scope["type"] == "http", scope["type"]
        assert self._shared is not None, "the lifespan has not started"
        wire = WireRequest(scope, receive, stall_max_s=self._config.stall_timeout_s)
        await self._pipeline(Exchange(wire, self._shared, send))

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        try:
            node = await asyncio.to_thread(open_node, self._config)
        except Exception as error:  # noqa: BLE001  # any failure of the start: the server reports it and ends
            log_event("server cannot start", level=logging.ERROR, reason=str(error))
            await send({"type": "lifespan.startup.failed"})
            return
        admission = open_admission(self._config, node.limits)
        self._shared = Shared(node, admission, EventFeed(node, admission.threads))
        stop_background = self._start_background(node)
        await send({"type": "lifespan.startup.complete"})
        await receive()
        admission.close()
        await asyncio.to_thread(stop_background)
        await asyncio.to_thread(node.close)
        await send({"type": "lifespan.shutdown.complete"})
