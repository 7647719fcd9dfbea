"""The way out to the client: counts bytes, names the request, and waits for a client that still sends."""

from starlette.types import Message, Send

from packhouse import limits
from packhouse.web.edge.request_id import ID_HEADER
from packhouse.web.edge.wire_request import WireRequest


class Outgoing:
    """The server's `send` of one request (ASGI specification, "Response Start" and "Response Body").

    `status` is 0 until the answer has begun. `sent_bytes` counts the bytes of its body. `was_late` tells that the
    client had closed the connection when the answer began.
    """

    def __init__(self, wire: WireRequest, send: Send) -> None:
        self._wire = wire
        self._send = send
        self.status = 0
        self.sent_bytes = 0
        self.was_late = False

    async def __call__(self, message: Message) -> None:
        """Send the next part of the answer."""
        if message["type"] == "http.response.start":
            await self._start(message)
            return
        if self._wire.method != "HEAD":
            self.sent_bytes += len(message.get("body", b""))
        if not message.get("more_body", False) and not self._wire.upload.complete:
            # The connection closes with the last message. A client that still sends would see it reset before it
            # has read the answer, so take what comes for a little while.
            await self._send({**message, "more_body": True})
            await self._wire.upload.linger(limits.refused_body_linger_max_s)
            message = {"type": "http.response.body", "body": b"", "more_body": False}
        await self._send(message)

    async def _start(self, message: Message) -> None:
        self.status = message["status"]
        self.was_late = self._wire.has_left()
        named = (ID_HEADER, self._wire.id.encode("ascii"))
        await self._send({**message, "headers": [*message.get("headers", ()), named]})
