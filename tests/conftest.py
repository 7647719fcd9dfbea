"""Fixtures: running servers, organisations with keys, repositories and git.

Servers are shared by all tests of one pytest process; a test keeps to its own repository (`repo`) or its
own organisation (`new_org`), so tests run in any order and side by side. A test asks for another kind of
server by `@pytest.mark.parametrize("server", ["sqlite", "postgres"], indirect=True)`.
"""

import os
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.support.builders.signers import KeyMaker, Signer
from tests.support.clients.git import Git
from tests.support.clients.repo import Org, Repo
from tests.support.servers.postgres import PostgresServer
from tests.support.servers.server import Server
from tests.support.servers.server_process import ServerOptions
from tests.support.servers.tls import TlsFiles, make_tls_files
from tests.support.skips import pytest_addoption, pytest_sessionfinish, pytest_terminal_summary

# pytest finds its hooks here.
__all__ = ["pytest_addoption", "pytest_sessionfinish", "pytest_terminal_summary"]

StartServer = Callable[..., Server]

# How long an example takes says something about the machine.
settings.register_profile(
    "any speed", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
settings.load_profile("any speed")

# Clients that read the environment must reach the loopback address without the machine's proxy, and git must
# not be told of another repository, as it is when a hook runs the tests.
for _name in list(os.environ):
    if _name.startswith("GIT_") or _name.lower().endswith("_proxy"):
        del os.environ[_name]


class ServerPool:
    """Servers by kind, started when first asked for and stopped when pytest ends."""

    def __init__(self, folder: Path, request: pytest.FixtureRequest) -> None:
        self._folder = folder
        self._request = request
        self._running: dict[str, Server] = {}

    def get(self, kind: str) -> Server:
        """Return the server of a kind: sqlite, postgres, tls or workers (two processes)."""
        if kind not in self._running:
            self._running[kind] = Server(self._folder / kind, self._options(kind)).start()
        return self._running[kind]

    def _options(self, kind: str) -> ServerOptions:
        if kind == "postgres":
            return ServerOptions(database=self._request.getfixturevalue("postgres_database"))
        if kind == "tls":
            return ServerOptions(tls=self._request.getfixturevalue("tls_files"))
        return ServerOptions(workers={"sqlite": 1, "workers": 2}[kind])

    def stop(self) -> None:
        """Stop them all; the first failure is raised after the last one was tried."""
        failures = []
        for server in self._running.values():
            try:
                server.stop()
            except AssertionError as error:
                failures.append(error)
        if failures:
            raise failures[0]


@pytest.fixture(scope="session")
def tls_files(tmp_path_factory: pytest.TempPathFactory) -> TlsFiles:
    """Certificate, key and the authority that signed them."""
    return make_tls_files(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="session")
def server_pool(
    tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[ServerPool]:
    """The servers that tests share."""
    pool = ServerPool(tmp_path_factory.mktemp("servers"), request)
    yield pool
    pool.stop()


@pytest.fixture
def server(server_pool: ServerPool, request: pytest.FixtureRequest) -> Server:
    """A running server: SQLite and one process, unless the test is parametrised with another kind."""
    return server_pool.get(getattr(request, "param", "sqlite"))


@pytest.fixture(autouse=True)
def _clients_speak_as_described(request: pytest.FixtureRequest) -> Iterator[None]:
    """After each test with a server: what the official clients said was as the API's description says."""
    running: Server | None = request.getfixturevalue("server") if "server" in request.fixturenames else None
    yield
    if running is not None:
        running.check_recorded()


@pytest.fixture
def start_server(tmp_path: Path) -> Iterator[StartServer]:
    """Start servers of the test's own: `start_server(ServerOptions(…))`; they are stopped after it."""
    started: list[Server] = []

    def start(options: ServerOptions | None = None, *, name: str = "") -> Server:
        server = Server(tmp_path / (name or f"server{len(started)}"), options or ServerOptions())
        started.append(server)
        return server.start()

    yield start
    for server in started:
        server.stop()


@pytest.fixture
def org(server: Server) -> Org:
    """An organisation with a registered key; shared, so make repositories with names of their own in it."""
    return server.shared_org()


@pytest.fixture
def new_org(server: Server) -> Org:
    """An organisation that only this test uses."""
    return server.new_org()


@pytest.fixture
def repo(org: Org) -> Repo:
    """An existing, empty repository that only this test uses; its default branch is main."""
    return org.create_repo(f"team/{uuid.uuid4().hex[:12]}")


@pytest.fixture
def git(tmp_path: Path, request: pytest.FixtureRequest) -> Git:
    """The real git with a home of its own; it trusts the test's TLS server."""
    tls = "tls_files" in request.fixturenames or "server" in request.fixturenames
    ca = request.getfixturevalue("tls_files").ca if tls else None
    return Git(tmp_path / "home", ca=ca)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """A real PostgreSQL server of this pytest process; fails where `make test` was not run and none is there."""
    with PostgresServer() as server:
        yield server


@pytest.fixture(scope="session")
def postgres_database(postgres_server: PostgresServer) -> str:
    """The address of an empty PostgreSQL database, for the server that tests share."""
    return postgres_server.new_database()


@pytest.fixture(scope="module")
def keys() -> Iterator[KeyMaker]:
    """A maker of keys for signed commits."""
    maker = KeyMaker()
    yield maker
    maker.close()


@pytest.fixture(scope="module")
def pgp(keys: KeyMaker) -> Signer:
    """An OpenPGP signer."""
    return keys.openpgp()


@pytest.fixture(scope="module")
def ssh(keys: KeyMaker) -> Signer:
    """An SSH signer."""
    return keys.ssh()
