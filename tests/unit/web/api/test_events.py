"""Streams of events: one reader of the database for all of them, and each stream gets each event once."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from packhouse import limits
from packhouse.auth.principal import operator_principal
from packhouse.auth.scopes import Scope
from packhouse.db.events import NewEvent, insert_events, lock_repo
from packhouse.errors import ServerBusy
from packhouse.ids import RepoKey
from packhouse.node.node import Node
from packhouse.operations.catalog.lookup import lookup_repo
from packhouse.operations.events.prune_events import PruneEvents, prune_events
from packhouse.operations.repos.create_repo import CreateRepo, create_repo
from packhouse.operations.repos.delete_repo import DeleteRepo, delete_repo
from packhouse.operations.tenants.add_key import AddKey, add_key
from packhouse.operations.tenants.create_org import CreateOrg, create_org
from packhouse.web.admission.shares import Shares
from packhouse.web.admission.threads import WorkerThreads
from packhouse.web.call import Shared
from packhouse.web.event_feed import EventFeed
from tests.support.builders.keys import sign_token, usual_claims
from tests.support.event_loop import in_event_loop, let_pass, settle
from tests.support.exchanges import Sent, open_exchange
from tests.support.wire_requests import make_wire
from tests.unit.web.api.conftest import PAIR, PIPELINE

pytestmark = pytest.mark.quick

WAIT_STEPS = 20_000
ORG = 1


class Office(WorkerThreads):
    """Worker threads that count the calls of each function, and refuse calls of the function that is `closed_to` them.

    While there is a gate, they hold back news that were read.
    """

    def __init__(self) -> None:
        super().__init__(4, waiting_max=10_000)
        self.counts: dict[str, int] = {}
        self.closed_to = ""
        self.gate: asyncio.Event | None = None
        self.holds_news = False

    async def run(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """Run the function."""
        name = function.__name__
        self.counts[name] = self.counts.get(name, 0) + 1
        if name == self.closed_to:
            raise ServerBusy(work="calls", retry_after_s=1)
        result = await super().run(function, *args, **kwargs)
        if self.gate is not None and name == "read_news" and result.events:
            self.holds_news = True
            await self.gate.wait()
        return result


@dataclass
class Hall:
    """A process with streams. `ending` is the server's end."""

    node: Node
    shared: Shared
    office: Office
    ending: bool = False
    written: dict[str, list[int]] = field(default_factory=dict)

    def write(self, repo: str = "r", count: int = 1) -> None:
        """Write events. Their payloads are numbers that grow within the repository."""
        caller = operator_principal(ORG, "acme")
        repo_id = lookup_repo(self.node, caller, repo).id
        numbers = self.written.setdefault(repo, [])
        new = range(len(numbers), len(numbers) + count)
        events = [NewEvent("push", str(number)) for number in new]
        with self.node.database.write() as session:
            lock_repo(session, repo_id)
            insert_events(session, org_id=ORG, repo_id=RepoKey(repo_id), events=events, now=self.node.clock())
        numbers.extend(new)

    @asynccontextmanager
    async def listen(self, repo: str = "r", after: int | None = None) -> AsyncIterator["Listener"]:
        """Open a stream and wait until it listens."""
        now = self.node.clock()
        claims = usual_claims("acme", repo, [scope.value for scope in Scope]) | {
            "iat": now,
            "exp": now + 3600,
        }
        headers = {"Authorization": f"Bearer {sign_token(PAIR, claims)}", "Host": "git.test"}
        if after is not None:
            headers["Last-Event-ID"] = str(after)
        wire = make_wire(
            "GET", f"/api/repos/{repo}/events", headers=headers, stays=True, is_ending=lambda: self.ending
        )
        exchange, sent = open_exchange(wire, self.shared)
        slow = Listener(sent)
        exchange.outgoing._send = slow
        slow.task = asyncio.create_task(PIPELINE(exchange))
        await until(lambda: b"listening" in sent.body or sent.is_whole)
        try:
            yield slow
        finally:
            slow.task.cancel()
            await asyncio.wait({slow.task})


@dataclass(eq=False)
class Listener:
    """A client that reads a stream. While `reads` is not set, it takes nothing."""

    sent: Sent
    reads: asyncio.Event = field(default_factory=asyncio.Event)
    task: "asyncio.Task[None] | None" = None

    def __post_init__(self) -> None:
        self.reads.set()

    async def __call__(self, message: Any) -> None:
        """Take the next part of the answer, as the server's `send` does."""
        await self.sent(message)
        await self.reads.wait()

    @property
    def heard(self) -> list[int]:
        """The payloads of the events so far."""
        return [
            int(line.removeprefix(b"data: "))
            for line in self.sent.body.split(b"\n")
            if line.startswith(b"data: ")
        ]

    @property
    def comments(self) -> int:
        """The number of comments that keep the stream open."""
        return self.sent.body.count(b": still here")


async def until(holds: Callable[[], bool]) -> None:
    """Let time pass, a little for the feed and less for threads, until the condition holds."""
    for _ in range(WAIT_STEPS):
        if holds():
            return
        await asyncio.sleep(0.0005)
        await let_pass(0.02)
    raise AssertionError("it did not happen")


async def rounds(hall: Hall, count: int) -> None:
    """Wait until the feed has read news so many times more."""
    target = hall.office.counts.get("read_news", 0) + count
    await until(lambda: hall.office.counts.get("read_news", 0) >= target)


@pytest.fixture
def hall(memory_node: Node, shared: Shared) -> Hall:
    """A process with an organisation that has the repositories `r` and `other`."""
    create_org(memory_node, CreateOrg("acme"))
    add_key(memory_node, AddKey("acme", PAIR.public_pem))
    for name in ("r", "other"):
        create_repo(memory_node, operator_principal(ORG, "acme"), CreateRepo(name))
    office = Office()
    admission = replace(shared.admission, threads=office)
    return Hall(memory_node, Shared(memory_node, admission, EventFeed(memory_node, office)), office)


@in_event_loop
async def test_all_streams_get_each_event_once_and_in_order(hall: Hall) -> None:
    hall.write(count=3)
    async with AsyncExitStack() as stack:
        live = [await stack.enter_async_context(hall.listen()) for _ in range(20)]
        others = [await stack.enter_async_context(hall.listen("other")) for _ in range(20)]
        hall.write(count=5)
        hall.write("other", count=2)
        late = await stack.enter_async_context(hall.listen(after=0))
        hall.write(count=250)
        await until(lambda: all(len(stream.heard) == 255 for stream in live) and len(late.heard) == 258)
        assert [stream.heard for stream in live] == [hall.written["r"][3:]] * 20
        assert late.heard == hall.written["r"]
        assert [stream.heard for stream in others] == [hall.written["other"]] * 20


@in_event_loop
async def test_idle_streams_read_the_database_together(hall: Hall) -> None:
    async with AsyncExitStack() as stack:
        streams = [await stack.enter_async_context(hall.listen(repo)) for repo in ["r", "other"] * 25]
        await rounds(hall, 2)
        hall.office.counts.clear()
        await rounds(hall, 10)
        assert set(hall.office.counts) <= {"read_news", "find_missed_events"}
        hall.write(count=10)
        await until(lambda: all(len(stream.heard) == 10 for stream in streams[::2]))
        assert set(hall.office.counts) <= {"read_news", "find_missed_events"}, "one page serves all streams"


@in_event_loop
async def test_a_process_without_streams_reads_nothing(hall: Hall) -> None:
    async with hall.listen():
        await rounds(hall, 1)
    await let_pass(limits.event_poll_s)
    await settle()
    hall.office.counts.clear()
    for _ in range(20):
        await let_pass(limits.event_poll_s)
    assert hall.office.counts == {}
    async with hall.listen() as again:
        hall.write()
        await until(lambda: again.heard == [0])


@in_event_loop
async def test_a_slow_client_reads_on_where_it_stopped_and_holds_up_nobody(hall: Hall) -> None:
    async with hall.listen() as slow, hall.listen() as quick:
        slow.reads.clear()
        for number in range(1, 6):
            hall.write(count=60)
            await until(lambda number=number: len(quick.heard) == number * 60)  # type: ignore[misc]  # mypy: a default
        assert len(slow.heard) < 300
        slow.reads.set()
        await until(lambda: len(slow.heard) == 300)
        assert slow.heard == quick.heard == hall.written["r"]


@in_event_loop
async def test_a_stream_that_opens_while_news_are_read_misses_nothing(hall: Hall) -> None:
    hall.write(count=4)
    async with AsyncExitStack() as stack:
        async with hall.listen():
            await rounds(hall, 1)
            hall.office.gate = asyncio.Event()
            hall.write()
            await until(lambda: hall.office.holds_news)
        # The topic of the first stream is gone, and its news are still on their way.
        early = await stack.enter_async_context(hall.listen(after=1))
        hall.office.gate.set()
        hall.office.gate = None
        await until(lambda: len(early.heard) >= 4)
        assert early.heard == [1, 2, 3, 4]


@in_event_loop
async def test_a_quiet_stream_gets_comments_and_an_event_later(hall: Hall) -> None:
    async with hall.listen() as stream:
        await until(lambda: stream.comments >= 2)
        hall.write()
        await until(lambda: stream.heard == [0])


@in_event_loop
async def test_streams_end_with_their_repository_with_lost_events_with_the_token_and_with_the_server(
    hall: Hall,
) -> None:
    node = hall.node
    async with hall.listen() as deleted, hall.listen("other") as kept:
        delete_repo(node, operator_principal(ORG, "acme"), DeleteRepo("r"))
        await until(lambda: deleted.sent.is_whole)
        assert not kept.sent.is_whole
        kept.reads.clear()
        hall.write("other", count=200)
        await until(lambda: bool(kept.heard))
        hall.write("other", count=200)
        await rounds(hall, 3)
        started = node.clock()
        node.clock = lambda: started + 1 + node.config.event_keep_s
        assert prune_events(node, PruneEvents())
        node.clock = lambda: started
        kept.reads.set()
        await until(lambda: kept.sent.is_whole)
        assert kept.heard == list(range(len(kept.heard))), "nothing behind the gap was sent"
    async with hall.listen("other") as expired:
        node.clock = lambda: started + 3600
        await until(lambda: expired.sent.is_whole)
        async with hall.listen("other") as last:
            hall.ending = True
            await until(lambda: last.sent.is_whole)


@in_event_loop
async def test_an_outage_delays_events_and_ends_no_stream(hall: Hall) -> None:
    async with hall.listen() as stream:
        hall.office.closed_to = "read_news"
        await rounds(hall, 1)
        hall.write()
        await rounds(hall, 3)
        assert stream.heard == []
        hall.office.closed_to = ""
        await until(lambda: stream.heard == [0])
        assert not stream.sent.is_whole


@in_event_loop
async def test_a_repository_leaves_places_for_streams_of_others(hall: Hall) -> None:
    admission = replace(hall.shared.admission, event_streams=Shares(4))
    hall.shared = replace(hall.shared, admission=admission)
    async with AsyncExitStack() as stack:
        statuses = [(await stack.enter_async_context(hall.listen())).sent.status for _ in range(4)]
        assert statuses == [200, 200, 200, 503]
        assert (await stack.enter_async_context(hall.listen("other"))).sent.status == 200
    async with hall.listen() as after:
        assert after.sent.status == 200, "places are given back"
