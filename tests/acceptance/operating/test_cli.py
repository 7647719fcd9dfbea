"""The command line as operators and scripts use it."""

import json
import logging
import os
import platform
import re
import signal
import socket
import sqlite3
import stat
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import jwt
import pygit2
import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from packhouse.config import Config
from packhouse.node.node import open_existing_node
from packhouse.operations.tenants.add_key import AddKey, add_key
from tests.support.builders.keys import KeyPair, make_key_pair
from tests.support.clients.git import Git
from tests.support.servers.ports import free_port
from tests.support.servers.programs import need_programs
from tests.support.servers.server import Server
from tests.support.servers.server_process import COMMAND_TIMEOUT_S, PROGRAM, STOP_TIMEOUT_S, ServerOptions
from tests.support.servers.shell import Shell
from tests.support.servers.tls import TlsFiles


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield Shell(tmp_path)
    root.handlers[:], root.level = handlers, level


@pytest.fixture(scope="module")
def pair() -> KeyPair:
    return make_key_pair()


def test_organisations_are_created_and_listed(shell: Shell) -> None:
    assert "northwind" in shell.ok("org", "create", "northwind")
    assert json.loads(shell.ok("org", "create", "contoso", "--json"))["name"] == "contoso"
    assert [org["name"] for org in json.loads(shell.ok("org", "list", "--json"))] == ["contoso", "northwind"]
    lines = shell.ok("org", "list").splitlines()
    assert lines[0].split() == ["NAME", "CREATED", "AT"]
    assert lines[1].startswith("contoso ")
    assert "northwind" in shell.fails(1, "org", "create", "northwind")
    assert "a b" in shell.fails(1, "org", "create", "a b")


def test_keys_are_added_listed_and_revoked(shell: Shell, pair: KeyPair) -> None:
    shell.ok("org", "create", "northwind")
    path = shell.write("public.pem", pair.public_pem)
    first = shell.ok("key", "add", "northwind", path, "--label", "laptop", "--kid", "k1").split()[-1]
    assert re.fullmatch(r"key_\w+", first)
    second_pem = make_key_pair("ed25519").public_pem
    second = json.loads(shell.ok("key", "add", "northwind", "-", "--json", stdin=second_pem))
    assert second["algorithm"] == "EdDSA"
    assert first in shell.fails(1, "key", "add", "northwind", path)
    revoked = json.loads(shell.ok("key", "revoke", "northwind", first, "--json"))
    assert revoked["revoked_at"] is not None
    keys = {key["key_id"]: key for key in json.loads(shell.ok("key", "list", "northwind", "--json"))}
    assert keys[second["key_id"]]["revoked_at"] is None
    assert (keys[first]["label"], keys[first]["kid"], keys[first]["algorithm"]) == ("laptop", "k1", "ES256")
    assert keys[first]["revoked_at"] == revoked["revoked_at"]
    assert first in shell.ok("key", "list", "northwind")
    assert "key_nothere" in shell.fails(1, "key", "revoke", "northwind", "key_nothere")
    assert "nobody" in shell.fails(1, "key", "list", "nobody")


def test_the_number_of_active_keys_is_bounded(shell: Shell) -> None:
    shell.ok("org", "create", "northwind")
    node = open_existing_node(Config(data=shell.folder / "data"))
    for _ in range(node.limits.active_keys_max - 2):
        add_key(node, AddKey("northwind", public_pem=make_key_pair().public_pem))
    node.close()
    ids = [
        shell.ok("key", "add", "northwind", "-", stdin=make_key_pair().public_pem).split()[-1] for _ in "12"
    ]
    third = make_key_pair().public_pem
    assert "too many" in shell.fails(1, "key", "add", "northwind", "-", stdin=third)
    shell.ok("key", "revoke", "northwind", ids[0])
    shell.ok("key", "add", "northwind", "-", stdin=third)


def test_text_that_is_not_a_key_is_refused_with_the_reason(shell: Shell, pair: KeyPair) -> None:
    shell.ok("org", "create", "northwind")
    private = shell.write("private.pem", pair.private_pem)
    said = shell.fails(1, "key", "add", "northwind", private)
    assert "private key" in said
    assert pair.private_pem.splitlines()[1] not in said
    assert "PEM" in shell.fails(1, "key", "add", "northwind", shell.write("empty", ""))
    assert "not exist" in shell.fails(2, "key", "add", "northwind", "missing.pem")
    assert json.loads(shell.ok("key", "list", "northwind", "--json")) == []


def test_a_token_has_the_claims_that_were_asked_for(shell: Shell, pair: KeyPair) -> None:
    key = shell.write("private.pem", pair.private_pem)
    rules = (
        "--ref-policy",
        "main=no-push,verify-sig",
        "--ref-policy",
        "a=b/*=",
        "--ref-policy",
        "*=no-force-push",
    )
    scopes = ("--scope", "git:read", "--scope", "git:write")
    token = shell.ok(
        "token", "northwind", "--key", key, "--repo", "apps/shop", *scopes, "--ttl", "60", *rules
    )
    claims = jwt.decode(token, pair.public_pem, algorithms=["ES256"])
    assert claims["exp"] - claims["iat"] == 60
    assert (claims["iss"], claims["repo"]) == ("northwind", "apps/shop")
    assert claims["scopes"] == ["git:read", "git:write"]
    assert claims["refs"] == [["main", ["no-push", "verify-sig"]], ["a=b/*", []], ["*", ["no-force-push"]]]
    listing = shell.ok("token", "northwind", "--key", key, "--scope", "org:read", "repo:write")
    claims = jwt.decode(listing, pair.public_pem, algorithms=["ES256"])
    assert (claims["repo"], claims["scopes"]) == ("org", ["org:read", "repo:write"])
    assert "refs" not in claims
    assert not (shell.folder / "data").exists()


@pytest.mark.parametrize("kind", ["rsa", "ed25519"])
def test_tokens_are_signed_with_each_type_of_key(shell: Shell, kind: str) -> None:
    other = make_key_pair(kind)
    key = shell.write("private.pem", other.private_pem)
    token = shell.ok("token", "northwind", "--key", key, "--repo", "a", "--scope", "git:read")
    assert jwt.decode(token, other.public_pem, algorithms=[other.algorithm])["repo"] == "a"


def test_a_token_that_would_not_work_is_not_made(shell: Shell, pair: KeyPair) -> None:
    key = shell.write("private.pem", pair.private_pem)
    public = shell.write("public.pem", pair.public_pem)
    good = ("token", "northwind", "--key", key, "--scope", "git:read")
    assert "--key" in shell.fails(2, "token", "northwind", "--scope", "git:read")
    assert "--scope" in shell.fails(2, "token", "northwind", "--key", key)
    assert "git:all" in shell.fails(2, *good, "--scope", "git:all")
    assert "--ttl" in shell.fails(2, *good, "--ttl", "0")
    assert "PATTERN" in shell.fails(2, *good, "--ref-policy", "main")
    assert "--ref-policy" in shell.fails(2, *good, "--ref-policy", "ma*n=no-push")
    assert "public key" in shell.fails(1, "token", "northwind", "--key", public, "--scope", "git:read")
    assert "larger" in shell.fails(2, *good, "--repo", "x" * 17_000)
    code, out, err = shell.run(*good, "--ref-policy", "main=no-such-op")
    assert (code, out.count(".")) == (0, 2)
    assert "no-such-op" in err


def test_repositories_are_listed_shown_and_deleted(server: Server) -> None:
    org = server.new_org()
    names = [f"apps/number-{number}" for number in range(3)]
    for name in names:
        org.create_repo(name)
    listed = json.loads(server.cli("repo", "list", org.name, "--json"))
    assert [repo["name"] for repo in listed] == names
    assert [
        repo["name"] for repo in json.loads(server.cli("repo", "list", org.name, "--search", "R-1", "--json"))
    ] == [names[1]]
    shown = json.loads(server.cli("repo", "show", org.name, names[0], "--json"))
    assert shown == listed[0]
    assert re.fullmatch(r"repo_\w+", shown["repo_id"])
    assert "default branch  main" in server.cli("repo", "show", org.name, names[0])
    assert names[0] in server.cli("repo", "delete", org.name, names[0])
    assert org.repo(names[0]).api("GET").status_code == 404
    for command in ("show", "delete"):
        gone = server.try_cli("repo", command, org.name, names[0])
        assert (gone.returncode, gone.stdout) == (1, "")
        assert gone.stderr.startswith("packhouse: repository")
    assert len(json.loads(server.cli("repo", "list", org.name, "--json"))) == 2


@pytest.mark.parametrize(
    "command",
    ["", "serve", "demo", "org", "org create", "key", "key add", "key list", "key revoke", "token", "repo",
     "repo list", "repo show", "repo delete", "version"],
)  # fmt: skip
def test_every_command_explains_itself(shell: Shell, command: str) -> None:
    text = shell.ok(*command.split(), "--help")
    assert text.startswith(f"Usage: packhouse {command}".strip())
    assert "--data" in text


def test_wrong_usage_prints_one_line_and_exits_with_two(shell: Shell) -> None:
    assert "nonsense" in shell.fails(2, "nonsense")
    assert "--nonsense" in shell.fails(2, "org", "list", "--nonsense")
    assert "NAME" in shell.fails(2, "org", "create")
    assert "JOB_ID" in shell.fails(2, "jobs", "retry", str(2**63))
    assert "--workers" in shell.fails(2, "serve", "--workers", "many")
    assert "workers" in shell.fails(2, "serve", "--workers", "0")
    assert "listen" in shell.fails(2, "serve", "--listen", "nowhere")
    assert "tls_cert" in shell.fails(2, "serve", "--tls-cert", "cert.pem")
    assert "PACKHOUSE_TYPO" in shell.fails(2, "org", "list", env={"PACKHOUSE_TYPO": "1"})
    assert "threads" in shell.fails(2, "org", "list", env={"PACKHOUSE_THREADS": "x"})
    assert "database" in shell.fails(2, "org", "list", "--database", "mysql://here")
    code, out, err = shell.run()
    assert (code, out) == (2, "")
    assert err.startswith("Usage: packhouse")


def test_a_failed_command_prints_one_line_and_exits_with_one(shell: Shell) -> None:
    shell.ok("org", "create", "northwind")
    assert "no such dead job" in shell.fails(1, "jobs", "retry", str(2**63 - 1))
    file = shell.write("file", "")
    assert str(file) in shell.fails(1, "org", "list", "--data", file)
    (shell.folder / "spoiled").mkdir()
    shell.write("spoiled/packhouse.db", "no database" * 1000)
    assert "damaged: file is not a database" in shell.fails(1, "org", "list", "--data", "spoiled")
    (shell.folder / "odd" / "packhouse.db.lock").mkdir(parents=True)
    assert "not available: [Errno 21] Is a directory" in shell.fails(1, "org", "create", "a", "--data", "odd")


def test_a_flag_wins_over_its_variable_wherever_it_stands(shell: Shell) -> None:
    for number, words in enumerate(
        (
            ("--data", "X", "org", "create", "a"),
            ("org", "--data", "X", "create", "a"),
            ("org", "create", "a", "--data", "X"),
        )
    ):
        data = shell.folder / f"flag{number}"
        shell.ok(*(str(data) if word == "X" else word for word in words))
        assert data.is_dir()
    assert not (shell.folder / "data").exists()


def test_the_program_ends_with_the_exit_code_and_nothing_but_its_line(shell: Shell) -> None:
    for args, code, lines in (
        (("version",), 0, 0),
        (("repo", "list", "nobody"), 1, 1),
        (("nonsense",), 2, 1),
    ):
        done = subprocess.run(
            [PROGRAM, *args], env=shell.env, capture_output=True, text=True, timeout=COMMAND_TIMEOUT_S
        )
        assert done.returncode == code
        assert done.stderr.count("\n") == lines
    closed = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {PROGRAM} org list --help | head -n 0"],
        env=shell.env,
        capture_output=True,
        text=True,
        timeout=COMMAND_TIMEOUT_S,
    )
    assert closed.stderr == ""


def test_the_version_is_printed(shell: Shell) -> None:
    assert re.fullmatch(r"packhouse \d+\.\d+\.\d+", shell.ok("--version"))
    first, *others = shell.ok("version").splitlines()
    assert first == shell.ok("--version")
    told = dict(line.split(maxsplit=1) for line in others)
    git = subprocess.run(["git", "--version"], capture_output=True, text=True, check=True).stdout
    assert told["git"] == git.strip().removeprefix("git version ")
    assert told["SQLite"] == sqlite3.sqlite_version
    assert told["libgit2"] == pygit2.LIBGIT2_VERSION
    assert told["Python"] == platform.python_version()
    as_json = json.loads(shell.ok("version", "--json"))
    assert f"packhouse {as_json['version']}" == first
    assert {name.lower(): str(as_json[name.lower()]) for name in told} == {
        k.lower(): v for k, v in told.items()
    }


def test_the_version_is_printed_where_git_is_missing(shell: Shell, tmp_path: Path) -> None:
    done = subprocess.run(
        [PROGRAM, "version", "--json"],
        env={**shell.env, "PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=COMMAND_TIMEOUT_S,
    )
    assert (done.returncode, json.loads(done.stdout)["git"]) == (0, None)


# The demo


@contextmanager
def running_demo(shell: Shell, port: int) -> Iterator[str]:
    """Run `packhouse demo` as `make run` does, without a setting for the data; yield its output."""
    demo = subprocess.Popen(
        [PROGRAM, "demo", "--listen", f"127.0.0.1:{port}"],
        env={name: value for name, value in shell.env.items() if name != "PACKHOUSE_DATA"},
        cwd=shell.folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert demo.stdout is not None
    with demo.stdout:
        try:
            printed = ""
            while "Ctrl-C" not in printed:
                line = demo.stdout.readline()
                assert line, f"the demo ended:\n{printed}"
                printed += line
            yield printed
            demo.send_signal(signal.SIGINT)
            assert demo.wait(STOP_TIMEOUT_S) == 0
        finally:
            demo.kill()
            demo.wait()


def line_of(printed: str, start: str) -> str:
    return next(line for line in printed.splitlines() if line.startswith(start))


def python_of(printed: str) -> str:
    return printed[printed.index("python3 - <<'PY'") :].split("\nPY\n")[0] + "\nPY\n"


def paste(shell: Shell, git: Git, command: str) -> str:
    """Run a line in a shell as a newcomer would, with the Python that has the client."""
    path = f"{PROGRAM.parent}{os.pathsep}{os.environ['PATH']}"
    pasted = subprocess.Popen(
        ["bash", "-c", command],
        cwd=shell.folder,
        env={**git.env, "PATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        out, err = pasted.communicate(timeout=COMMAND_TIMEOUT_S)
    finally:
        # When a line failed, its background processes must not stay.
        with suppress(ProcessLookupError):
            os.killpg(pasted.pid, signal.SIGKILL)
    assert pasted.returncode == 0, err
    return out


@pytest.fixture
def port() -> int:
    return free_port()


def test_the_demo_prints_lines_that_work_and_keeps_its_data(shell: Shell, git: Git, port: int) -> None:
    need_programs("curl")
    with running_demo(shell, port) as printed:
        assert "# Hello" in paste(shell, git, line_of(printed, "curl "))
        paste(shell, git, line_of(printed, "git clone "))
        first = git.run("rev-parse", "HEAD", cwd=shell.folder / "hello")
        assert "greetings/python.txt" in paste(shell, git, python_of(printed))
    key = shell.folder / "data/demo-key.pem"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    private_pem = key.read_text()

    (shell.folder / "hello").rename(shell.folder / "before")
    with running_demo(shell, port) as printed:
        paste(shell, git, line_of(printed, "git clone "))
    assert key.read_text() == private_pem
    log = git.run("log", "--format=%H", cwd=shell.folder / "hello").split()
    assert len(log) == 2
    assert log[1] == first
    assert len(json.loads(shell.ok("key", "list", "demo", "--json"))) == 1
    assert [repo["name"] for repo in json.loads(shell.ok("repo", "list", "demo", "--json"))] == [
        "hello",
        "apps/shop",
    ]


def test_an_address_in_use_is_reported_before_anything_is_created(shell: Shell) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        address = f"127.0.0.1:{other.getsockname()[1]}"
        said = shell.fails(1, "demo", "--listen", address)
        assert "in use" in said
        assert address in said
        assert not (shell.folder / "data").exists()
        assert "in use" in shell.fails(1, "serve", "--listen", address)


def test_the_demo_completes_an_interrupted_start(shell: Shell, port: int, git: Git) -> None:
    need_programs("curl")
    shell.ok("org", "create", "demo")
    with running_demo(shell, port) as printed:
        assert "# Hello" in paste(shell, git, line_of(printed, "curl "))


def test_the_demo_reports_a_damaged_key_file(shell: Shell, port: int) -> None:
    (shell.folder / "data").mkdir()
    shell.write("data/demo-key.pem", "rubbish")
    assert "private key" in shell.fails(1, "demo", "--listen", f"127.0.0.1:{port}")


def test_serving_reports_settings_it_cannot_serve_with(shell: Shell, tls_files: TlsFiles) -> None:
    cert = shell.write("cert.pem", "rubbish")
    assert "TLS" in shell.fails(1, "serve", "--tls-cert", cert, "--tls-key", cert)
    key = load_pem_private_key(tls_files.key.read_bytes(), password=None)
    locked = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret"))
    sealed = shell.write("sealed.pem", locked.decode())
    assert "key is encrypted" in shell.fails(1, "serve", "--tls-cert", tls_files.cert, "--tls-key", sealed)


def test_a_server_accepts_a_key_that_was_added_before_it_started(tmp_path: Path, pair: KeyPair) -> None:
    server = Server(tmp_path, ServerOptions())
    org = server.new_org(pair)
    try:
        server.start()
        assert org.request("GET", "/api/repos").status_code == 200
    finally:
        server.stop()


# The documents; the other examples on their pages are run by test_examples.py.


def test_the_guide_on_keys_makes_a_token_with_the_claims_it_names(shell: Shell, git: Git) -> None:
    need_programs("openssl")
    text = (Path(__file__).parents[3] / "docs/howto/keys.md").read_text()
    script = "set -euo pipefail\n" + "".join(
        re.findall(r"^```sh\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    )
    assert script.count("packhouse ") == 4
    said = paste(shell, git, f"export PACKHOUSE_DATA={shell.env['PACKHOUSE_DATA']}\n{script}").splitlines()
    claims = jwt.decode(said[-1], (shell.folder / "northwind-public.pem").read_text(), algorithms=["ES256"])
    assert claims["refs"] == [["agents/*", []], ["*", ["no-push"]]]
