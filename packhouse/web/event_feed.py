"""One reader of new events for all streams of a process, which costs the same whether one or a thousand wait."""

import asyncio
import contextvars
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from packhouse import limits
from packhouse.errors import Unavailable
from packhouse.ids import RepoKey
from packhouse.log import log_event
from packhouse.node import Node
from packhouse.operations.events.find_missed_events import FindMissedEvents, find_missed_events
from packhouse.operations.events.open_events import EventReader
from packhouse.operations.events.read_news import ReadNews, read_news
from packhouse.web.admission.threads import WorkerThreads


class EventPage:
    """Events of one repository in order, as a stream sends them. All streams of the repository share one page.

    It is made of id, kind and payload of each event. There is at least one.
    """

    def __init__(self, events: Iterable[tuple[int, str, str]]) -> None:
        # JSON text as we write it holds no line feed, so one data line is the whole payload.
        self._events = [
            (event_id, f"id: {event_id}\nevent: {kind}\ndata: {payload}\n\n".encode())
            for event_id, kind, payload in events
        ]
        self._text = b"".join(frame for _, frame in self._events)
        self.first, self.last = self._events[0][0], self._events[-1][0]

    def after(self, event_id: int) -> bytes:
        """Return the text of the events behind the given one."""
        if event_id < self.first:
            return self._text
        return b"".join(frame for number, frame in self._events if number > event_id)


def _new_telling() -> "asyncio.Future[EventPage | None]":
    return asyncio.get_running_loop().create_future()


@dataclass(slots=True, eq=False)
class Topic:
    """The events of one repository that has streams. `position` is the id of the last event that was told.

    `is_over` tells that streams cannot go on: the repository is gone, or unread events were deleted.
    """

    position: int
    is_over: bool = False
    streams: int = 0
    _next: "asyncio.Future[EventPage | None]" = field(default_factory=_new_telling)

    async def wait(self, timeout_s: float) -> EventPage | None:
        """Return the next page; None after the time, or when the stream should see whether it must end.

        Call it only while nothing at or before `position` is unread: a page that was told earlier does not come again.
        """
        told = self._next
        await asyncio.wait({told}, timeout=timeout_s)
        return told.result() if told.done() else None

    def tell(self, page: EventPage | None) -> None:
        """Give the page to each stream that waits. The others read it themselves when they are ready for it."""
        told, self._next = self._next, _new_telling()
        if page is not None:
            self.position = page.last
        told.set_result(page)

    def end(self) -> None:
        """End the streams of the topic."""
        self.is_over = True
        self.tell(None)


class EventFeed:
    """Reads new events for the streams of this process, as long as there are streams."""

    def __init__(self, node: Node, threads: WorkerThreads) -> None:
        self._node = node
        self._threads = threads
        self._topics: dict[RepoKey, Topic] = {}
        self._endings: dict[object, Callable[[], bool]] = {}
        self._poller: asyncio.Task[None] | None = None
        self._catching_up = asyncio.Semaphore(limits.event_catch_up_max)

    @contextmanager
    def join(self, reader: EventReader, is_ending: Callable[[], bool]) -> Iterator[Topic]:
        """Give the topic of the reader's repository for the time of the block.

        `is_ending` tells that the server is ending. Streams are then woken.
        """
        topic = self._topics.get(reader.repo_id)
        if topic is None or topic.is_over:
            topic = self._topics[reader.repo_id] = Topic(reader.after)
        topic.streams += 1
        me = object()
        self._endings[me] = is_ending
        if self._poller is None or self._poller.done():
            # In a context of its own: its log lines must not have the id of the request that came first.
            self._poller = asyncio.create_task(self._poll(), context=contextvars.Context())
        try:
            yield topic
        finally:
            del self._endings[me]
            topic.streams -= 1
            if not topic.streams and self._topics.get(reader.repo_id) is topic:
                del self._topics[reader.repo_id]

    async def catch_up(self, reader: EventReader) -> EventPage | None:
        """Read the next page for one stream that is behind; None when there is nothing to read."""
        async with self._catching_up:
            events = await self._threads.run(reader.read)
        return EventPage((event.id, event.kind, event.payload) for event in events) if events else None

    async def _poll(self) -> None:
        """Tell new events until no stream is left."""
        loop = asyncio.get_running_loop()
        check_at = loop.time() + limits.event_keepalive_s
        while self._topics:
            try:
                has_more = await self._tell_news()
                if loop.time() >= check_at:
                    await self._end_overtaken()
                    check_at = loop.time() + limits.event_keepalive_s
            except Unavailable:  # an outage is logged where it is noticed, and the next round may succeed
                has_more = False
            except Exception:  # noqa: BLE001  # any failure: streams that hear nothing more must not stay open
                has_more = False
                log_event("events can not be read", level=logging.ERROR, exc_info=True)
                for topic in self._topics.values():
                    topic.end()
            if any(is_ending() for is_ending in self._endings.values()):
                for topic in self._topics.values():
                    topic.tell(None)
            if not has_more:
                await asyncio.sleep(limits.event_poll_s)

    async def _tell_news(self) -> bool:
        asked = self._positions()
        news = await self._threads.run(read_news, self._node, ReadNews(asked))
        for repo_id, events in news.events.items():
            # The last stream may have left meanwhile. A stream that came then has another topic and position.
            topic = self._topics.get(repo_id)
            if events and topic is not None and topic.position == asked[repo_id]:
                topic.tell(EventPage((event.id, event.kind, event.payload) for event in events))
        return news.has_more

    async def _end_overtaken(self) -> None:
        asked = self._positions()
        for repo_id in await self._threads.run(find_missed_events, self._node, FindMissedEvents(asked)):
            topic = self._topics.get(repo_id)
            if topic is not None and topic.position == asked[repo_id]:
                topic.end()

    def _positions(self) -> Mapping[RepoKey, int]:
        return {repo_id: topic.position for repo_id, topic in self._topics.items()}
