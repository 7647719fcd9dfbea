"""A database restored from a backup does not know the packs that were joined after the backup."""

import contextlib
import json
import shutil
import sqlite3
from pathlib import Path

from tests.conftest import StartServer
from tests.support.clients.git import Git
from tests.support.servers.server import Server
from tests.support.servers.server_process import STORED, ServerOptions
from tests.support.waiting import wait_until

PACKS_MAX = 35


def back_up(server: Server, copy: Path) -> None:
    """Copy the database online."""
    with (
        contextlib.closing(sqlite3.connect(server.data / "packhouse.db")) as source,
        contextlib.closing(sqlite3.connect(copy)) as backup,
    ):
        source.backup(backup)


def restore(server: Server, copy: Path) -> None:
    """Start the server on the copy of its database, and on the packs as they are now."""
    server.terminate()
    for name in ("packhouse.db-wal", "packhouse.db-shm"):
        (server.data / name).unlink(missing_ok=True)
    shutil.copy(copy, server.data / "packhouse.db")
    server.start()


def test_packs_that_were_joined_after_a_backup_are_adopted_by_a_command(
    start_server: StartServer, git: Git, tmp_path: Path
) -> None:
    server = start_server(ServerOptions(settings=STORED))
    repo = server.new_org().create_repo()
    tip = ""
    for number in range(20):
        tip = repo.write_commit("main", {f"f{number}": b"%d" % number})
    back_up(server, tmp_path / "backup.db")
    for number in range(40):
        repo.write_commit("main", {f"g{number}": b"%d" % number})
    packs = repo.folder() / "objects" / "pack"
    wait_until(lambda: len(list(packs.glob("*.pack"))) < PACKS_MAX, "packs are not joined")
    restore(server, tmp_path / "backup.db")
    assert repo.branches() == {"main": tip}
    lost = repo.api("GET", "/file", params={"path": "f0"})
    assert lost.status_code == 500
    assert "is damaged" in lost.text

    told = json.loads(server.cli("repo", "adopt", repo.org.name, repo.name, "--json"))
    assert told["name"] == repo.name
    assert len(told["packs"]) >= 1
    assert repo.api("GET", "/file", params={"path": "f0"}).content == b"0"
    work = git.clone(repo.remote(), tmp_path / "work")
    assert git.run("rev-parse", "HEAD", cwd=work) == tip
    git.run("fsck", "--strict", cwd=work)
    repo.write_commit("main", {"after": b"it takes writes"})
    again = server.cli("repo", "adopt", repo.org.name)
    assert again.strip() == "no unlisted packs"


def test_small_packs_that_were_flushed_after_a_backup_are_in_the_backup(
    start_server: StartServer, git: Git, tmp_path: Path
) -> None:
    """Their rows are part of the database. The stored pack that has replaced them is left to the operator."""
    server = start_server()
    repo = server.new_org().create_repo()
    tip = ""
    for number in range(5):
        tip = repo.write_commit("main", {f"f{number}": b"%d" % number})
    back_up(server, tmp_path / "backup.db")
    later = repo.write_commit("main", {"later": b"later"})
    packs = repo.folder() / "objects" / "pack"
    assert len(list(packs.glob("*.pack"))) == 1
    restore(server, tmp_path / "backup.db")
    assert repo.branches() == {"main": tip}
    assert [repo.read_file(f"f{number}") for number in range(5)] == [b"%d" % number for number in range(5)]
    assert repo.api("GET", "/commit", params={"ref": later}).status_code == 404
    assert len(list(packs.glob("*.pack"))) == 1
    told = json.loads(server.cli("repo", "adopt", repo.org.name, repo.name, "--json"))
    assert len(told["packs"]) == 1
    assert len(list(repo.folder().glob("objects/pack/*.pack"))) == 2
    work = git.clone(repo.remote(), tmp_path / "work")
    assert git.run("rev-parse", "HEAD", cwd=work) == tip
    git.run("fsck", "--strict", cwd=work)
