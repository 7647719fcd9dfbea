"""A server whose database was lost, as its operator meets it."""

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.conftest import StartServer
from tests.support.servers.postgres import PostgresServer
from tests.support.servers.server import Server
from tests.support.servers.server_process import COMMAND_TIMEOUT_S, PROGRAM, STORED, ServerOptions
from tests.support.waiting import wait_until

COMMANDS = [
    ("serve",),
    ("serve", "--workers", "2"),
    ("demo",),
    ("worker",),
    ("org", "create", "northwind"),
    ("org", "list"),
    ("repo", "list", "northwind"),
    ("jobs", "list"),
]


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def make_server_with_a_repository(server: Server) -> None:
    """Serve, commit once, and end like a power cut: the last writes are only in the write-ahead log of SQLite."""
    org = server.new_org()
    server.start()
    org.create_repo("shop").write_commit("main", {"a": b"1"})
    server.kill()


@pytest.fixture
def server(tmp_path: Path, request: pytest.FixtureRequest) -> Server:
    """A stopped server. It has stored a pack, or has the pack in its journal."""
    settings = getattr(request, "param", STORED)
    server = Server(tmp_path / "server", ServerOptions(settings=settings))
    make_server_with_a_repository(server)
    return server


@pytest.mark.parametrize(
    ("server", "damage"),
    [
        (STORED, "gone"),
        (STORED, "emptied"),
        (STORED, "gone with its log"),
        (STORED, "emptied, log gone"),
        ({}, "gone"),
        ({}, "gone with its log"),
    ],
    ids=lambda value: value if isinstance(value, str) else "stored" if value else "journal",
    indirect=["server"],
)
def test_every_command_refuses_a_folder_whose_database_is_lost_and_changes_nothing(
    server: Server, damage: str
) -> None:
    database = server.data / "packhouse.db"
    if damage.startswith("gone"):
        database.unlink()
    else:
        database.write_bytes(b"")
    log = server.data / "packhouse.db-wal"
    assert log.stat().st_size > 0
    if "log" in damage:
        log.unlink()
    before = contents(server.data)
    for command in COMMANDS:
        done = server.try_cli(*command)
        assert done.returncode == 1, (command, done.stderr)
        assert "--accept-empty-database" in done.stderr
        assert str(server.data) in done.stderr
        assert str(database) in done.stderr
        assert "Traceback" not in done.stderr
    assert contents(server.data) == before
    server.http.close()


def test_an_operator_who_accepts_the_loss_gets_a_new_database_and_keeps_the_old_files(
    server: Server,
) -> None:
    (server.data / "packhouse.db").write_bytes(b"")
    log = (server.data / "packhouse.db-wal").read_bytes()
    repos = contents(server.data / "repos")
    assert server.try_cli("org", "create", "northwind").returncode == 1
    server.cli("org", "create", "northwind", "--accept-empty-database")
    assert [path.read_bytes() for path in server.data.glob("packhouse.db-wal.lost-*")] == [log]
    org = server.new_org()  # accepted once and for all
    server.start()
    try:
        org.create_repo("shop").write_commit("main", {"a": b"2"})
        wait_until(
            lambda: "repositories that the database does not know" in server.stderr(), "the warning is logged"
        )
    finally:
        server.stop()
    told = [json.loads(line) for line in server.stderr().splitlines() if "does not know" in line]
    assert [(line["level"], line["repositories"]) for line in told] == [("warning", 1)]
    after = contents(server.data / "repos")
    assert {path: after[path] for path in repos if "multi-pack-index" not in path}.items() <= repos.items()


def test_the_variable_accepts_too_and_anything_but_0_and_1_is_refused(server: Server) -> None:
    (server.data / "packhouse.db").unlink()
    variable = "PACKHOUSE_ACCEPT_EMPTY_DATABASE"
    for value, code in (("yes", 2), ("0", 1), ("1", 0)):
        done = subprocess.run(
            [PROGRAM, "org", "create", "northwind"],
            env={**server.environment, variable: value},
            capture_output=True,
            text=True,
            timeout=COMMAND_TIMEOUT_S,
        )
        assert done.returncode == code, done.stderr
    server.http.close()


def test_a_database_that_is_put_back_is_served_as_before(server: Server) -> None:
    aside = server.folder / "aside"
    aside.mkdir()
    files = ("packhouse.db", "packhouse.db-wal", "packhouse.db-shm")
    for name in files:
        (server.data / name).rename(aside / name)
    assert server.try_cli("serve").returncode == 1
    for name in files:
        (aside / name).rename(server.data / name)
    assert "shop" in server.cli("repo", "list", json.loads(server.cli("org", "list", "--json"))[0]["name"])
    server.start()
    server.stop()


@pytest.mark.parametrize("settings", [STORED, {}], ids=["stored", "journal"])
def test_an_empty_postgresql_database_and_the_database_of_another_server_are_refused(
    tmp_path: Path, postgres_server: PostgresServer, settings: Mapping[str, str]
) -> None:
    ours, theirs = (
        Server(tmp_path / name, ServerOptions(database=postgres_server.new_database(), settings=settings))
        for name in ("ours", "theirs")
    )
    make_server_with_a_repository(ours)
    make_server_with_a_repository(theirs)
    before = contents(ours.data)
    for url in (postgres_server.new_database(), theirs.options.database):
        mixed = Server(tmp_path / "ours", ServerOptions(database=url))
        for command in COMMANDS:
            done = mixed.try_cli(*command)
            assert done.returncode == 1, (command, done.stderr)
            assert "--accept-empty-database" in done.stderr
            assert str(ours.data) in done.stderr
            assert url.rpartition("/")[2] in done.stderr
        mixed.http.close()
    assert contents(ours.data) == before
    ours.start()
    ours.stop()
    theirs.http.close()


@pytest.mark.parametrize("engine", ["sqlite", "postgres"])
def test_server_processes_and_commands_that_start_at_once_on_a_new_folder_all_work(
    engine: str, start_server: StartServer, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    url = ""
    if engine == "postgres":
        postgres: PostgresServer = request.getfixturevalue("postgres_server")
        url = postgres.new_database()
    environment = Server(tmp_path / "server0", ServerOptions(database=url)).environment
    creating = [
        subprocess.Popen(
            [PROGRAM, "org", "create", f"org{number}"],
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in range(3)
    ]
    server = start_server(ServerOptions(database=url, workers=3), name="server0")
    for process in creating:
        _, said = process.communicate(timeout=COMMAND_TIMEOUT_S)
        assert process.returncode == 0, said
    assert len(json.loads(server.cli("org", "list", "--json"))) == 3
    assert "worker ended" not in server.stderr()
