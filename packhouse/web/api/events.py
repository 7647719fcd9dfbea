"""Events as a stream, for programs that wait for a push. They are the events that webhooks get.

The stream is of server-sent events (HTML standard, section 9.2): `id`, `event` and one line of `data` each.
"""

import asyncio
import re
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


async def handle_events(call: Call) -> Response:
    """GET …/events: the events from now on, or after the event of the given id."""
    query = parse_query(call.wire.query_string, EventsQuery, where="events")
    after = _parse_id(call.wire.headers.get("last-event-id", "").strip() or query.last_event_id)
    reader = await call.operate(open_events, OpenEvents(call.caller.repo, after))
    streams, holder = call.admission.event_streams, (call.caller.principal.org_id, call.caller.repo)
    if not streams.has_room(holder):
        raise ServerBusy(work="event streams", retry_after_s=_RETRY_AFTER_S)
    streams.take(holder)

    async def leave() -> None:
        streams.give_back(holder)

    return StreamResponse(
        _stream(call, reader),
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
        media_type="text/event-stream",
        cleanup=leave,
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
    # Streams that were opened at once, as after a restart, do not write their comments at once.
    now = asyncio.get_running_loop().time
    comment_at = now() + limits.event_keepalive_s * (1 + call.node.jitter()) / 2
    with call.events.join(reader, call.wire.is_ending) as topic:
        while (left_s := call.caller.principal.expires_at - call.node.clock()) > 0:
            if topic.is_over or call.wire.is_ending():
                return
            seen = reader.after
            if seen < topic.position:
                page = await call.events.catch_up(reader)
                if page is None or reader.has_missed:
                    return
            else:
                page = await topic.wait(max(0.0, min(left_s, comment_at - now())))
            if page is not None and page.last > seen:
                yield page.after(seen)
                reader.after = page.last
                comment_at = now() + limits.event_keepalive_s
            elif now() >= comment_at:
                yield _KEEPALIVE
                comment_at = now() + limits.event_keepalive_s


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
