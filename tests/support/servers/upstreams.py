"""Repositories that follow an upstream, and upstreams that misbehave."""

import json
import socket
import sqlite3
import threading
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.support.clients.git import Git
from tests.support.clients.repo import Org, Repo
from tests.support.waiting import wait_until


def remote_of(repo: Repo, suffix: str = "") -> str:
    """Return the address of a remote of `repo`, with a token in it."""
    scheme, _, host = repo.org.server.url.partition("://")
    return f"{scheme}://t:{repo.token()}@{host}/{repo.name}{suffix}.git"


def base_of(upstream: Repo, **fields: Any) -> dict[str, Any]:
    """Return a base_repo that follows `upstream` on its server. A field given as None is left out."""
    owner, _, name = upstream.name.rpartition("/")
    base = {
        "provider": "gitea",
        "owner": owner,
        "name": name,
        "upstream_host": upstream.org.server.host_port,
        **fields,
    }
    return {name: value for name, value in base.items() if value is not None}


def follow_base(org: Org, base: dict[str, Any], *, password: str, username: str = "bot") -> Repo:
    """Create a repository on `base` and store a credential for it."""
    mirror = org.create_repo(base_repo=base)
    reply = mirror.api("POST", "/git-credentials", json={"username": username, "password": password})
    assert reply.status_code == 201, reply.text
    return mirror


def follow(org: Org, upstream: Repo, *, password: str | None = None, **fields: Any) -> Repo:
    """Create a repository that follows `upstream`, and store a credential for it."""
    token = upstream.token() if password is None else password
    return follow_base(org, base_of(upstream, **fields), password=token)


def ask_for_pull(mirror: Repo, ref: str | None = None) -> None:
    """Ask for a pull, which must be accepted."""
    reply = mirror.api("POST", "/pull-upstream", json={} if ref is None else {"ref": ref})
    assert reply.status_code == 202, reply.text
    assert reply.json() == {"message": "Repository sync initiated successfully"}


def pull(mirror: Repo, ref: str | None = None) -> None:
    """Ask for a pull and wait for its end."""
    before = count_runs(mirror)
    ask_for_pull(mirror, ref)
    wait_until(lambda: count_runs(mirror) > before, "the sync does not end")


def count_runs(mirror: Repo) -> int:
    """Return the number of ended runs."""
    return sum(kind != "repo.sync.started" for kind, _ in sync_events(mirror))


def sync_events(mirror: Repo) -> list[tuple[str, dict[str, Any]]]:
    """Return kind and payload of the sync events of a repository, from the database."""
    public_id = mirror.api("GET").json()["repo_id"]
    database = sqlite3.connect(mirror.org.server.data / "packhouse.db")
    try:
        rows = database.execute(
            "SELECT e.kind, e.payload FROM events AS e JOIN repos AS r ON r.id = e.repo_id"
            " WHERE r.public_id = ? AND e.kind LIKE 'repo.sync.%' ORDER BY e.id",
            (public_id,),
        ).fetchall()
    finally:
        database.close()
    return [(kind, json.loads(payload)) for kind, payload in rows]


def last_error(mirror: Repo) -> str:
    """Return the error of the latest run."""
    kind, payload = sync_events(mirror)[-1]
    assert kind == "repo.sync.failed", kind
    error: str = payload["error"]
    return error


def refs_of(git: Git, url: str) -> dict[str, str]:
    """Return the branches, tags and notes that a remote shows."""
    return {name: oid for name, oid in git.ls_remote(url).items() if name != "HEAD"}


class HostileUpstream:
    """An HTTP server on the loopback address that answers every request with `answer`."""

    def __init__(self, answer: Callable[[BaseHTTPRequestHandler], None]) -> None:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.requests += 1
                outer.answer(self)

            do_POST = do_GET

            def log_message(self, *args: object) -> None:
                """Print nothing."""

        outer = self
        self.answer = answer
        self.requests = 0
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.host_port = f"127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever)

    def __enter__(self) -> "HostileUpstream":
        self._thread.start()
        return self

    def __exit__(self, *args: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class Gateway:
    """Passes connections on to `target`. While closed, it accepts connections and stays silent.

    It passes on `passes_bytes` of clients' bytes in all, and then lets the clients wait.
    """

    def __init__(self, target: tuple[str, int], *, passes_bytes: int = 2**62) -> None:
        self._target = target
        self._passes_bytes = passes_bytes
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.host_port = f"127.0.0.1:{self._listening.getsockname()[1]}"
        self.is_open = False
        self.accepted = 0
        self._sockets: list[socket.socket] = []
        self._thread = threading.Thread(target=self._accept, daemon=True)

    def __enter__(self) -> "Gateway":
        self._thread.start()
        return self

    def __exit__(self, *args: object) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self._thread.join()
        for each in self._sockets:
            with suppress(OSError):  # it has ended already
                each.shutdown(socket.SHUT_RDWR)  # closing alone does not end a read in another thread
            each.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listening.accept()
            except OSError:
                return
            self.accepted += 1
            self._sockets.append(client)
            if self.is_open:
                try:
                    server = socket.create_connection(self._target)
                except ConnectionRefusedError:  # the target was killed, and the client tries once more
                    client.close()
                    continue
                self._sockets.append(server)
                for source, sink in ((client, server), (server, client)):
                    threading.Thread(target=self._pump, args=(source, sink, client), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket, client: socket.socket) -> None:
        try:
            while piece := source.recv(65536):
                if source is client:
                    self._passes_bytes -= len(piece)
                if self._passes_bytes < 0:
                    return
                sink.sendall(piece)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            return
