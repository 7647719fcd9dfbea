"""SIGKILL during writes with a key: after a client has retried its unanswered requests, each write is there once."""

import os
import random
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

from tests.conftest import StartServer
from tests.support.clients.git import Git
from tests.support.clients.keyed_calls import COMMIT
from tests.support.clients.repo import Repo, commit_lines
from tests.support.servers.postgres import PostgresServer
from tests.support.servers.server_process import ServerOptions
from tests.support.waiting import WAIT_S, wait_until

ROUNDS = 3
WRITERS = 4
LOAD_MAX_S = 1.5


@dataclass
class Sent:
    """The requests that were sent, by key. `answers` has the answers, also those to retries."""

    repo: Repo
    bodies: dict[str, bytes] = field(default_factory=dict)
    answers: dict[str, bytes] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def send(self, key: str) -> None:
        """Send the commit of a key, for the first time or again. Raises httpx.TransportError if the server is gone."""
        reply = COMMIT.send_body(self.repo, random.choice(("api", "v1")), key, self.bodies[key])
        assert reply.status_code == 201, reply.text
        with self.lock:
            assert self.answers.setdefault(key, reply.content) == reply.content

    def write_until(self, stop: threading.Event) -> None:
        """Commit to one shared branch, each commit once and under its own key."""
        while not stop.is_set():
            key = str(uuid4())
            body = b"".join(commit_lines("main", {f"{key[:2]}/{key}": os.urandom(300)}, message=key))
            with self.lock:
                self.bodies[key] = body
            try:
                self.send(key)
            except httpx.TransportError:
                return

    def unanswered(self) -> list[str]:
        """Return the keys of the requests without an answer."""
        return sorted(set(self.bodies) - set(self.answers))


@pytest.mark.parametrize("engine", ["sqlite", "postgres"])
def test_after_a_kill_under_load_every_retried_commit_is_there_once(
    start_server: StartServer, git: Git, tmp_path: Path, engine: str, request: pytest.FixtureRequest
) -> None:
    database = ""
    if engine == "postgres":
        server_of_all: PostgresServer = request.getfixturevalue("postgres_server")
        database = server_of_all.new_database()
    server = start_server(ServerOptions(database=database, workers=2))
    repo = server.new_org().create_repo()
    repo.write_commit("main", {"README.md": b"# Shop\n"})
    sent = Sent(repo)
    chance = random.Random(f"keyed {engine}")
    for _ in range(ROUNDS):
        before, stop = len(sent.answers), threading.Event()
        threads = [threading.Thread(target=sent.write_until, args=(stop,)) for _ in range(WRITERS)]
        for thread in threads:
            thread.start()
        wait_until(lambda before=before: len(sent.answers) > before, "no write is answered")  # type: ignore[misc]  # bound at once
        time.sleep(chance.uniform(0, LOAD_MAX_S))
        server.kill()
        stop.set()
        for thread in threads:
            thread.join(WAIT_S)
            assert not thread.is_alive()
        server.start()
        answered = random.sample(sorted(sent.answers), min(5, len(sent.answers)))
        for key in [*sent.unanswered(), *answered]:
            sent.send(key)
    mirror = tmp_path / "mirror"
    git.clone(repo.remote(), mirror, "--mirror")
    subjects = git.run("log", "--format=%s", "main", cwd=mirror).split()
    assert sorted(subjects) == sorted([*sent.bodies, "change"])


def test_a_kept_answer_outlives_a_kill(start_server: StartServer) -> None:
    server = start_server()
    repo = server.new_org().create_repo()
    tip = repo.write_commit("main", {"a": b"1"})
    headers = {"Idempotency-Key": "k"}
    first = repo.api("POST", "/tags", json={"name": "v1", "ref": "main"}, headers=headers)
    server.kill()
    server.start()
    repo.write_commit("main", {"a": b"2"})
    again = repo.api("POST", "/tags", json={"name": "v1", "ref": "main"}, headers=headers)
    assert (again.status_code, again.content) == (first.status_code, first.content)
    assert again.json()["sha"] == tip
