"""Idle connections and streams of events: their memory, their processor time, and how fast an event reaches all."""

import resource
import statistics
import time
from collections.abc import Iterator
from urllib.parse import quote

from bench.context import Context, measure, request_bytes
from bench.report import Measure, percentiles
from tests.support.clients.crowd import Crowd
from tests.support.clients.repo import Repo
from tests.support.servers.processes import cpu_seconds, resident_bytes
from tests.support.servers.server import Server
from tests.support.servers.server_process import ServerOptions

IDLE = 10_000
STREAMS = 1000
REPOS = 100
FILES_LEFT = 3000
"""Open files of a process that are no connections of this section, or that the server keeps free."""

EVENT_WAIT_MAX_S = 60
HEALTH = "GET /healthz HTTP/1.1\r\nHost: bench\r\n\r\n"


def run(context: Context) -> Iterator[Measure]:
    """Open the connections, then the streams, and measure other requests before and after."""
    server = context.start_server(ServerOptions(settings={"log_level": "warning"}))
    org = server.new_org()
    repos = [org.create_repo() for _ in range(min(REPOS, context.count(STREAMS)))]
    streams = context.count(STREAMS)
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1] - FILES_LEFT - streams
    idle = min(context.count(IDLE), max(10, most))
    alone = _median_ms(context, server, repos[0])
    with Crowd(server.port) as crowd:
        before = resident_bytes(server.pid)
        crowd.open_idle(idle, HEALTH)
        each = (resident_bytes(server.pid) - before) / idle / 1024
        yield Measure(f"memory of each of {idle:,} idle connections", each, "KiB", better="lower")
        before = resident_bytes(server.pid)
        crowd.open_streams([_stream_request(repos[n % len(repos)]) for n in range(streams)])
        each = (resident_bytes(server.pid) - before) / streams / 1024
        yield Measure(f"memory of each of {streams:,} streams of events", each, "KiB", better="lower")
        yield Measure("processor while all are idle", _busy_share(context, server), "%", better="lower")
        yield Measure(
            "GET repository among them, median",
            _median_ms(context, server, repos[0]),
            "ms",
            better="lower",
            baseline=("alone", alone),
        )
        yield from _event_delays(context, crowd, repos, streams)


def _event_delays(context: Context, crowd: Crowd, repos: list[Repo], streams: int) -> Iterator[Measure]:
    """Commit to one repository after another, and wait until all its streams have the event."""
    delays = []
    for number, repo in enumerate(repos[: context.count(100)]):
        repo.write_commit("main", {"a": b"1"})
        begun = time.monotonic()
        while not all(crowd.heard()[number : streams : len(repos)]):
            if time.monotonic() - begun > EVENT_WAIT_MAX_S:
                raise RuntimeError("an event did not arrive")
            time.sleep(0.01)
        delays.append(time.monotonic() - begun)
    yield Measure(
        "commit to its event on all streams, median",
        1000 * statistics.median(delays),
        "ms",
        better="lower",
        note=percentiles(delays),
    )


def _median_ms(context: Context, server: Server, repo: Repo) -> float:
    path = f"/api/repos/{quote(repo.name, safe='')}"
    request = request_bytes(repo, "GET", path, token=repo.token())
    outcome = measure(server, [[request]], duration_s=context.seconds(3), warm_up_s=context.seconds(1))
    outcome.rate(200)
    return 1000 * statistics.median(outcome.latencies_s)


def _busy_share(context: Context, server: Server) -> float:
    """Return the server's processor time in percent of one processor."""
    before, begun = cpu_seconds(server.pid), time.monotonic()
    time.sleep(context.seconds(10))
    return 100 * (cpu_seconds(server.pid) - before) / (time.monotonic() - begun)


def _stream_request(repo: Repo) -> str:
    path = f"/api/repos/{quote(repo.name, safe='')}/events"
    return request_bytes(repo, "GET", path, token=repo.token()).decode()
