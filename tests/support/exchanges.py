"""Exchanges for tests of the pipeline: a request without a server, and the messages sent for it."""

from dataclasses import dataclass, field

from starlette.responses import Response
from starlette.types import Message

from packhouse.node.node import Node
from packhouse.web.admission.admission import open_admission
from packhouse.web.call import Shared
from packhouse.web.edge.wire_request import WireRequest
from packhouse.web.event_feed import EventFeed
from packhouse.web.pipeline.exchange import Exchange, Proceed


@dataclass(slots=True)
class Sent:
    """The messages that the server was given to send."""

    messages: list[Message] = field(default_factory=list)

    async def __call__(self, message: Message) -> None:
        """Take the next message, as the server's `send` does."""
        self.messages.append(message)

    @property
    def status(self) -> int:
        """The status of the answer; 0 before it began."""
        return int(self.messages[0]["status"]) if self.messages else 0

    @property
    def headers(self) -> dict[str, str]:
        """The header fields of the answer, names in lower case."""
        named = self.messages[0]["headers"]
        return {name.decode("latin-1"): value.decode("latin-1") for name, value in named}

    @property
    def body(self) -> bytes:
        """The body that was sent so far."""
        return b"".join(message.get("body", b"") for message in self.messages[1:])

    @property
    def is_whole(self) -> bool:
        """Whether the answer was sent to its end."""
        return len(self.messages) > 1 and not self.messages[-1].get("more_body", False)


def open_shared(node: Node) -> Shared:
    """Return what the requests of one process have in common, with bounds as the server opens them."""
    admission = open_admission(node.config, node.limits)
    return Shared(node, admission, EventFeed(node, admission.threads))


def open_exchange(wire: WireRequest, shared: Shared) -> tuple[Exchange, Sent]:
    """Return an exchange at the start of the pipeline, and a record of the messages sent for it."""
    sent = Sent()
    return Exchange(wire, shared, sent), sent


def answering(answer: Response) -> Proceed:
    """Return the end of a pipeline that always gives this answer."""

    async def last(exchange: Exchange) -> None:
        exchange.answer = answer

    return last


def raising(error: BaseException) -> Proceed:
    """Return the end of a pipeline that always raises this error."""

    async def last(_exchange: Exchange) -> None:
        raise error

    return last
