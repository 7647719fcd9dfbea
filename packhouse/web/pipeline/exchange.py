"""One request and its answer, handed from stage to stage of the pipeline."""

import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from starlette.responses import Response
from starlette.types import Send

from packhouse.web.call import Call, Shared
from packhouse.web.edge.wire_request import WireRequest
from packhouse.web.pipeline.outgoing import Outgoing
from packhouse.web.routing.route import ErrorStyle, Route


class Exchange:
    """One request and the answer to it, as far as they are known.

    `route` and `call` are set once a route is found. `style` is the form of failures. `refused_path` is the template of
    a path that does not take the method. `answer` is set by the inner stages, and `send` sends it. `outcome` says how
    an exchange ended that did not end well, and `reason` why.
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
        """Return route and call. Only stages behind `find_route` may call this."""
        assert self.route is not None and self.call is not None, "no route was found yet"
        return self.route, self.call

    def send(self, answer: Response) -> Awaitable[None]:
        """Send the answer. Raises what the producer of its body raises, and what the connection raises."""
        return answer(self.wire.scope, self.wire.receive, self.outgoing)


Proceed = Callable[[Exchange], Coroutine[Any, Any, None]]
"""A function that runs the rest of the pipeline."""

Stage = Callable[[Exchange, Proceed], Coroutine[Any, Any, None]]
"""One step of the pipeline: it works on the exchange before and after it proceeds, and sees the errors of the rest."""


def chain(*stages: Stage, last: Proceed) -> Proceed:
    """Return the stages as one stage, the first one outermost. `last` is called by the innermost."""
    rest = last
    for stage in reversed(stages):
        rest = _before(rest, stage)
    return rest


def _before(rest: Proceed, stage: Stage) -> Proceed:
    return lambda exchange: stage(exchange, rest)
