"""The commands that may create an installation, and the refusals of the others where there is none."""

import logging
import subprocess
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from packhouse import RELEASE
from packhouse.cli.main import root
from packhouse.db.engines.database import open_database
from tests.support.builders.keys import make_key_pair
from tests.support.servers.ports import free_port
from tests.support.servers.postgres import PostgresServer
from tests.support.servers.server_process import COMMAND_TIMEOUT_S, PROGRAM
from tests.support.servers.shell import Shell

CREATING = {("serve",), ("demo",), ("org", "create")}
WITHOUT_DATA = {("version",), ("token",)}
# Every other command, called rightly.
OTHERS = [
    ("org", "list"),
    ("key", "add", "northwind", "public.pem"),
    ("key", "list", "northwind"),
    ("key", "revoke", "northwind", "key_1"),
    ("signing-key", "add", "northwind", "public.pem"),
    ("signing-key", "list", "northwind"),
    ("signing-key", "revoke", "northwind", "skey_1"),
    ("repo", "list", "northwind"),
    ("repo", "show", "northwind", "shop"),
    ("repo", "delete", "northwind", "shop"),
    ("repo", "undelete", "northwind", "shop"),
    ("repo", "adopt", "northwind"),
    ("journal", "flush"),
    ("ref", "log", "northwind", "shop"),
    ("ref", "restore", "northwind", "shop", "main", "--entry", "1"),
    ("worker",),
    ("jobs", "list"),
    ("jobs", "retry", "1"),
    ("webhook", "add", "northwind", "https://example.com/"),
    ("webhook", "list", "northwind"),
    ("webhook", "remove", "northwind", "wh_1"),
    ("webhook", "deliveries", "northwind", "wh_1"),
    ("webhook", "redeliver", "northwind", "whd_1"),
    ("secrets", "rotate"),
]


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    logger = logging.getLogger()
    handlers, level = logger.handlers[:], logger.level
    shell = Shell(tmp_path)
    shell.write("public.pem", make_key_pair().public_pem)
    yield shell
    logger.handlers[:], logger.level = handlers, level


def program(shell: Shell, *args: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run a command in a process of its own: `serve` and `worker` change signals and logging."""
    return subprocess.run(
        [PROGRAM, *args],
        env={**shell.env, **env},
        cwd=shell.folder,
        capture_output=True,
        text=True,
        timeout=COMMAND_TIMEOUT_S,
    )


def refusal(shell: Shell, command: tuple[str, ...], **env: str) -> str:
    """Return the one line with which a command fails."""
    done = program(shell, *command, **env)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1), done.stderr
    return done.stderr


def leaves(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if isinstance(command, click.Group):
            yield from leaves(command, (*path, name))
        else:
            yield (*path, name)


def test_every_command_is_listed_as_creating_an_installation_or_not() -> None:
    known = CREATING | WITHOUT_DATA | {tuple(word for word in c[:2]) if len(c) > 1 else c for c in OTHERS}
    assert set(leaves(root)) == known


@pytest.mark.parametrize("command", OTHERS, ids=" ".join)
def test_a_command_that_finds_no_data_says_so_and_leaves_nothing(
    shell: Shell, command: tuple[str, ...]
) -> None:
    data = shell.folder / "data"
    before = sorted(shell.folder.iterdir())
    expected = f"packhouse: no Packhouse data in {data} (set --data or PACKHOUSE_DATA)\n"
    run = refusal if command == ("worker",) else lambda shell, command: shell.fails(1, *command)
    assert run(shell, command) == expected
    assert sorted(shell.folder.iterdir()) == before
    data.mkdir()
    (data / "notes.txt").write_text("a stray file")
    assert run(shell, command) == expected
    assert [file.name for file in data.iterdir()] == ["notes.txt"]


def test_the_folder_that_is_named_is_absolute(shell: Shell) -> None:
    said = shell.fails(1, "repo", "list", "northwind", "--data", "elsewhere")
    assert f"no Packhouse data in {shell.folder / 'elsewhere'} (" in said
    assert not (shell.folder / "elsewhere").exists()


def test_a_folder_with_an_empty_database_file_is_not_an_installation(shell: Shell) -> None:
    data = shell.folder / "data"
    data.mkdir()
    (data / "packhouse.db").touch()
    assert "no Packhouse data" in shell.fails(1, "org", "list")
    assert [(file.name, file.stat().st_size) for file in data.iterdir()] == [("packhouse.db", 0)]


@pytest.mark.parametrize("command", [("version",), ("--help",), ("org", "list", "--help")])
def test_commands_that_need_no_data_create_none(shell: Shell, command: tuple[str, ...]) -> None:
    before = sorted(shell.folder.iterdir())
    shell.ok(*command)
    assert sorted(shell.folder.iterdir()) == before


def test_creating_an_organisation_sets_up_what_the_others_need(shell: Shell) -> None:
    shell.ok("org", "create", "northwind")
    assert {"packhouse.db", "repos", "secret-key"} < {file.name for file in (shell.folder / "data").iterdir()}
    shell.ok("key", "add", "northwind", "public.pem")
    assert "northwind" in shell.ok("org", "list")


def test_on_postgresql_folder_and_database_must_both_be_there(
    shell: Shell, postgres_server: PostgresServer
) -> None:
    url = postgres_server.new_database()
    empty = postgres_server.new_database()
    shell.env["PACKHOUSE_DATABASE"] = url
    data = shell.folder / "data"
    expected = f"packhouse: no Packhouse data in {data} (set --data or PACKHOUSE_DATA)\n"
    assert shell.fails(1, "org", "list") == expected
    assert not data.exists()
    shell.ok("org", "create", "northwind")
    assert "northwind" in shell.ok("org", "list")
    said = shell.fails(1, "org", "list", "--data", str(shell.folder / "forgotten"))
    assert said == expected.replace(str(data), str(shell.folder / "forgotten"))
    assert not (shell.folder / "forgotten").exists()
    said = shell.fails(1, "org", "list", "--database", empty)
    place = empty.replace("packhouse@", "")
    assert said == f"packhouse: no Packhouse data in {place} (set --database or PACKHOUSE_DATABASE)\n"


def test_a_command_that_only_needs_the_secret_key_does_not_create_it(shell: Shell) -> None:
    shell.ok("org", "create", "northwind")
    key = shell.folder / "data" / "secret-key"
    key.unlink()
    assert "northwind" in shell.ok("org", "list")
    for command in (("webhook", "add", "northwind", "https://example.com/"), ("secrets", "rotate")):
        said = shell.fails(1, *command)
        assert "secret key file is missing" in said
        assert str(key) in said
    assert not key.exists()


def test_a_secret_key_is_not_made_anew_while_secrets_are_stored_that_it_cannot_open(shell: Shell) -> None:
    shell.ok("org", "create", "northwind")
    key = shell.folder / "data" / "secret-key"
    key.unlink()
    shell.ok("org", "create", "contoso")
    assert key.exists(), "nothing is stored yet: a new key does no harm"
    shell.ok("webhook", "add", "northwind", "https://example.com/")
    aside = key.rename(shell.folder / "aside")
    listen = f"127.0.0.1:{free_port()}"
    for workers in ("1", "2"):
        serve = program(shell, "serve", "--listen", listen, "--workers", workers)
        assert serve.returncode == 1
        assert '"message": "server cannot start", "reason": "secret key file is missing' in serve.stderr
        assert "Traceback" not in serve.stderr
    for command in (("demo", "--listen", listen), ("org", "create", "globex")):
        said = shell.fails(1, *command)
        assert "secret key file is missing" in said
        assert str(key) in said
    assert not key.exists()
    aside.rename(key)
    shell.ok("org", "create", "globex")


@pytest.mark.parametrize("engine", ["sqlite", "postgres"])
def test_every_command_refuses_a_database_two_releases_ahead_and_takes_one_ahead(
    shell: Shell, engine: str, request: pytest.FixtureRequest
) -> None:
    if engine == "postgres":
        postgres: PostgresServer = request.getfixturevalue("postgres_server")
        shell.env["PACKHOUSE_DATABASE"] = postgres.new_database()
    shell.ok("org", "create", "northwind")
    database = shell.env.get("PACKHOUSE_DATABASE") or f"sqlite:///{shell.folder / 'data/packhouse.db'}"
    note_lowest_release(database, RELEASE)
    assert "northwind" in shell.ok("org", "list")
    note_lowest_release(database, RELEASE + 1)
    listen = f"127.0.0.1:{free_port()}"
    servers = [
        ("serve", "--listen", listen),
        ("serve", "--listen", listen, "--workers", "2"),
        ("demo", "--listen", listen),
        ("worker",),
    ]
    others = [command for command in OTHERS if command != ("worker",)]
    for command in [*servers, *others, ("org", "create", "contoso")]:
        done = program(shell, *command)
        assert done.returncode == 1, (command, done.stderr)
        assert f"it takes release {RELEASE + 1} or later" in done.stderr, command
        assert "listening" not in done.stderr
        assert "Traceback" not in done.stderr
        assert done.stdout == ""


def note_lowest_release(database_url: str, lowest: int) -> None:
    database = open_database(database_url)
    with database.write() as session:
        session.run("raise_lowest_release", lowest=str(lowest), now=1)
    database.close()
