"""One server process with many idle connections and many streams of events, which answers others meanwhile."""

import json
import resource
import statistics
import time
from collections import Counter
from urllib.parse import quote

import pytest

from packhouse.web.edge.serve import FILES_BESIDE_CONNECTIONS
from tests.conftest import StartServer
from tests.support.clients.crowd import Crowd
from tests.support.clients.repo import Repo
from tests.support.servers.server import Server
from tests.support.servers.server_process import ServerOptions
from tests.support.skips import NOT_PERMITTED
from tests.support.waiting import wait_until

REPOS = 20
EVENTS = 3
HEALTH = "GET /healthz HTTP/1.1\r\nHost: git.example.test\r\n\r\n"


def stream_request(repo: Repo) -> str:
    """Return the request for a stream of the repository's events."""
    path = f"/api/repos/{quote(repo.name, safe='')}/events"
    head = [f"GET {path} HTTP/1.1", "Host: git.example.test", f"Authorization: Bearer {repo.token()}"]
    return "\r\n".join([*head, "", ""])


def require_open_files(connections: int) -> None:
    """Skip the test if the system allows a process fewer open files than the server and its client need."""
    needed = connections + FILES_BESIDE_CONNECTIONS + 100
    if resource.getrlimit(resource.RLIMIT_NOFILE)[1] < needed:
        pytest.skip(f"{NOT_PERMITTED}{needed} open files in one process (ulimit -Hn)")


def median_seconds(server: Server, repo: Repo) -> float:
    """Return how long a request takes, on a connection that is open already."""
    path = f"/api/repos/{quote(repo.name, safe='')}"
    taken = []
    for _ in range(50):
        begun = time.perf_counter()
        reply = server.http.get(server.url + path, headers={"Authorization": f"Bearer {repo.token()}"})
        taken.append(time.perf_counter() - begun)
        assert reply.status_code == 200
    return statistics.median(taken)


@pytest.mark.parametrize(("idle", "streams"), [(1_000, 200), (10_000, 1_000)])
def test_idle_connections_and_streams_are_held_while_others_are_answered(
    start_server: StartServer, idle: int, streams: int
) -> None:
    require_open_files(idle + streams)
    server = start_server(ServerOptions())
    org = server.new_org()
    repos = [org.create_repo() for _ in range(REPOS)]
    alone_s = median_seconds(server, repos[0])
    with Crowd(server.port) as crowd:
        assert crowd.open_idle(idle, HEALTH) == {"200": idle}
        requests = [stream_request(repo) for repo in repos]
        assert crowd.open_streams([requests[n % REPOS] for n in range(streams)]) == {"200": streams}
        among_many_s = median_seconds(server, repos[0])
        written = [[repo.write_commit("main", {"a": b"%d" % n}) for n in range(EVENTS)] for repo in repos]
        wait_until(
            lambda: all(len(heard) >= EVENTS for heard in crowd.heard()), "all streams hear of all commits"
        )
        for number, heard in enumerate(crowd.heard()):
            assert [json.loads(payload)["after"] for payload in heard] == written[number % REPOS]
        assert crowd.use_again(HEALTH) == {"200": idle}, "an idle connection was dropped"
    # A request takes milliseconds. The machine may be busy with other tests.
    assert among_many_s < 5 * alone_s + 0.05


def test_a_small_limit_of_open_files_lowers_the_number_of_connections(start_server: StartServer) -> None:
    server = start_server(ServerOptions(open_files_max=400))
    (line,) = server.log("limit of open files lowers the number of connections")
    assert (line["open_files_max"], line["connections_max"]) == (400, 300)
    with Crowd(server.port) as crowd:
        statuses = Counter(crowd.open_idle(350, HEALTH))
        assert statuses["200"] + statuses["503"] == 350
        assert 290 <= statuses["200"] <= 300
    wait_until(lambda: server.http.get(f"{server.url}/readyz").status_code == 200, "places are free again")
