"""One request and its answer, handed from stage to stage of the pipeline."""

import time
from collections.abc import Callable, Coroutine
from typing import Any

from starlette.responses import Response
from starlette.types import Send

from packhouse.web.call import Call, Shared
from packhouse.web.edge.wire_request import WireRequest
from packhouse.web.pipeline.outgoing import Outgoing
from packhouse.web.routing.route import ErrorStyle, Route


class Exchange:
    """What is known of one request so far, and what is answered.

    `route` and `call` are there once a route is found. `style` is the form of failures, `refused_path` the template of
    a path that does not take the method. `answer` is what the inner stages made; it is sent by `send`. `outcome` says
    how the exchange ended where it did not end well, and `reason` why.
    """

    def __init__(self, wire: WireRequest, shared: Shared, send: Send) -> None:
        self.wire = wire
        self.shared = shared
        self.outgoing = Outgoing(wire, send)
        self.started_at = time.monotonic()
        self.route: Route | None = None
        self.call: Call | None = None
        self.style = ErrorStyle.PLAIN
        self.refused_path = ""
        self.answer: Response | None = None
        self.outcome = ""
        self.reason = ""

    def require_call(self) -> tuple[Route, Call]:
        """Return route and call, for stages behind the one that finds them."""
        assert self.route is not None and self.call is not None, "no route was found yet"
        return self.route, self.call

    async def send(self, answer: Response) -> None:
        """Send the answer; raise what its body raises, and what the connection does."""
        await answer(self.wire.scope, self.wire.receive, self.outgoing)


Proceed = Callable[[Exchange], Coroutine[Any, Any, None]]
"""The rest of the pipeline."""

Stage = Callable[[Exchange, Proceed], Coroutine[Any, Any, None]]
"""One step: it works on the exchange before it proceeds, and sees afterwards what the rest returned or raised."""


def chain(*stages: Stage, last: Proceed) -> Proceed:
    """Return the stages as one, the first one outermost."""
    rest = last
    for stage in reversed(stages):
        rest = _before(rest, stage)
    return rest


def _before(rest: Proceed, stage: Stage) -> Proceed:
    return lambda exchange: stage(exchange, rest)
