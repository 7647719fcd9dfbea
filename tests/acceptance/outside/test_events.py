"""The stream of events, for programs that wait for a push. It has the events that webhooks get."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from tests.conftest import StartServer
from tests.support.clients.repo import Repo
from tests.support.servers.server_process import STOP_TIMEOUT_S, ServerOptions
from tests.support.waiting import WAIT_S


class Stream:
    """An open stream, read event by event."""

    def __init__(self, response: httpx.Response) -> None:
        self._lines = response.iter_lines()

    def next(self) -> dict[str, Any]:
        """Return the next event: id, event and data; an empty mapping at the end of the stream.

        The event must come before the comment that keeps a quiet stream open.
        """
        fields: dict[str, Any] = {}
        for line in self._lines:
            assert not line.startswith(":"), "no event came"
            name, _, value = line.partition(": ")
            if not line and "data" in fields:
                return fields
            if name in ("id", "event", "data"):
                fields[name] = json.loads(value) if name == "data" else value
        return {}

    def wait_until_open(self) -> None:
        """Wait until the server has said that it listens."""
        for line in self._lines:
            if line == ": listening":
                return


@contextmanager
def listen(repo: Repo, last_event_id: str | None = None, *, dialect: str = "api") -> Iterator[Stream]:
    path = "/api/v1/repos/events" if dialect == "v1" else f"/api/repos/{repo.name.replace('/', '%2F')}/events"
    headers = {"Authorization": f"Bearer {repo.token(scopes=['git:read'])}"}
    if last_event_id is not None:
        headers["Last-Event-ID"] = last_event_id
    with httpx.stream("GET", repo.org.server.url + path, headers=headers, timeout=WAIT_S) as response:
        assert response.status_code == 200, response.read()
        assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
        stream = Stream(response)
        stream.wait_until_open()
        yield stream


@pytest.mark.parametrize("server", ["sqlite", "postgres", "workers"], indirect=True)
def test_a_reader_of_events_gets_a_push_at_once_and_resumes_where_it_stopped(repo: Repo) -> None:
    before = repo.write_commit("main", {"a": b"1"})
    with listen(repo) as stream:
        commit = repo.write_commit("main", {"b": b"1"})
        event = stream.next()
    assert event["event"] == "push"
    assert (event["data"]["ref"], event["data"]["before"]) == ("refs/heads/main", before)
    assert event["data"]["after"] == commit
    missed = [repo.write_commit("main", {"c": bytes([n])}) for n in range(3)]
    for dialect in ("api", "v1"):
        with listen(repo, event["id"], dialect=dialect) as stream:
            assert [stream.next()["data"]["after"] for _ in missed] == missed
    with listen(repo, "0") as stream:
        assert [stream.next()["data"]["after"] for _ in range(5)] == [before, commit, *missed]


def test_a_reader_of_events_gets_those_of_its_own_repository_only(repo: Repo) -> None:
    other = repo.org.create_repo()
    with listen(repo, "0") as stream:
        other.write_commit("main", {"a": b"1"})
        own = repo.write_commit("main", {"a": b"1"})
        assert stream.next()["data"]["after"] == own


def test_bad_ids_tokens_and_repositories_are_refused(repo: Repo) -> None:
    for wrong, status in (("x", 400), ("-1", 400), ("9" * 30, 400), ("9" * 18, 410)):
        assert repo.api("GET", "/events", headers={"Last-Event-ID": wrong}).status_code == status
    assert repo.api("GET", "/events", token=repo.token(scopes=["repo:write"])).status_code == 403
    assert repo.org.repo().api("GET", "/events").status_code == 404


def test_a_stream_ends_with_the_server(start_server: StartServer) -> None:
    server = start_server(ServerOptions(settings={"shutdown_grace_s": str(10 * STOP_TIMEOUT_S)}))
    repo = server.new_org().create_repo()
    with listen(repo) as stream:
        assert server.terminate() == 0
        assert stream.next() == {}
