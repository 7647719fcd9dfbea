"""Events as a stream, for programs that wait for a push. They are the events that webhooks get.

The stream is of server-sent events (HTML standard, section 9.2): `id`, `event` and one line of `data` each.
"""

import asyncio
import re
import time
from collections.abc import AsyncIterator
from typing import Annotated, Final

import msgspec
from starlette.responses import Response

from packhouse import limits
from packhouse.errors import FieldInvalid, ServerBusy
from packhouse.operations.events.open_events import EventReader, OpenEvents, open_events
from packhouse.web.call import Call
from packhouse.web.edge.responses import StreamResponse
from packhouse.web.json import parse_query, says
from packhouse.web.openapi.description import Description
from packhouse.web.openapi.headers import LAST_EVENT_ID, NO_STORE
from packhouse.web.routing.route import of_repo, reading

_EVENT_ID: Final = re.compile(r"[0-9]{1,18}")
_HELLO: Final = b"retry: 1000\n: listening\n\n"
_KEEPALIVE: Final = b": still here\n\n"
_RETRY_AFTER_S: Final = 5


class EventsQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Where to read on, for callers that cannot send the header `Last-Event-ID`."""

    last_event_id: Annotated[str, says(pattern=r"^\s*[0-9]{0,18}\s*$")] = ""


class _OpenStreams:
    """The number of streams that this process serves."""

    def __init__(self) -> None:
        self._count = 0

    def enter(self) -> None:
        """Count one more stream; raise Unavailable when there are too many."""
        if self._count >= limits.event_streams_max:
            raise ServerBusy(work="event streams", retry_after_s=_RETRY_AFTER_S)
        self._count += 1

    async def leave(self) -> None:
        """Count one stream less."""
        self._count -= 1


_streams: Final = _OpenStreams()


async def handle_events(call: Call) -> Response:
    """GET …/events: the events from now on, or after the event of the given id."""
    query = parse_query(call.wire.query_string, EventsQuery, where="events")
    after = _parse_id(call.wire.headers.get("last-event-id", "").strip() or query.last_event_id)
    reader = await call.operate(open_events, OpenEvents(call.caller.repo, after))
    _streams.enter()
    return StreamResponse(
        _stream(call, reader),
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
        media_type="text/event-stream",
        cleanup=_streams.leave,
    )


def _parse_id(text: str) -> int | None:
    if not text:
        return None
    if not _EVENT_ID.fullmatch(text):
        raise FieldInvalid(field="Last-Event-ID", reason="not the id of an event")
    return int(text)


async def _stream(call: Call, reader: EventReader) -> AsyncIterator[bytes]:
    """Yield events until the token ends, the repository is deleted, or the reader falls too far behind.

    A reader reconnects by itself with the last id that it saw. The answer to that tells why it cannot go on.
    """
    yield _HELLO
    node, ends_at = call.node, call.caller.principal.expires_at
    quiet_since = time.monotonic()
    while node.clock() < ends_at and not call.wire.is_ending():
        events = await call.in_thread(reader.read)
        if events:
            yield b"".join(_frame(event.id, event.kind, event.payload) for event in events)
            quiet_since = time.monotonic()
        elif time.monotonic() - quiet_since >= limits.event_keepalive_s:
            if await call.in_thread(reader.has_missed):
                return
            yield _KEEPALIVE
            quiet_since = time.monotonic()
        if len(events) < limits.event_page_max:
            await asyncio.sleep(limits.event_poll_s)


def _frame(event_id: int, kind: str, payload: str) -> bytes:
    # JSON text as we write it holds no line feed, so one data line is the whole payload.
    return f"id: {event_id}\nevent: {kind}\ndata: {payload}\n\n".encode()


ROUTES = (
    reading(
        "stream_events",
        of_repo("events"),
        handle_events,
        Description(
            "Wait for events of a repository, as server-sent events",
            query=EventsQuery,
            request_headers=(LAST_EVENT_ID,),
            reply_media="text/event-stream",
            reply_headers=(NO_STORE,),
            failures=(410,),
        ),
    ),
)
