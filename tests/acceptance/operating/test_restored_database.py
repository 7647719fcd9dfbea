"""A database restored from a backup does not know the packs that were joined after the backup."""

import contextlib
import json
import shutil
import sqlite3
from pathlib import Path

from tests.conftest import StartServer
from tests.support.clients.git import Git
from tests.support.waiting import wait_until

PACKS_MAX = 35


def test_packs_that_were_joined_after_a_backup_are_adopted_by_a_command(
    start_server: StartServer, git: Git, tmp_path: Path
) -> None:
    server = start_server()
    repo = server.new_org().create_repo()
    tip = ""
    for number in range(20):
        tip = repo.write_commit("main", {f"f{number}": b"%d" % number})
    with (
        contextlib.closing(sqlite3.connect(server.data / "packhouse.db")) as source,
        contextlib.closing(sqlite3.connect(tmp_path / "backup.db")) as backup,
    ):
        source.backup(backup)
    for number in range(40):
        repo.write_commit("main", {f"g{number}": b"%d" % number})
    packs = repo.folder() / "objects" / "pack"
    wait_until(lambda: len(list(packs.glob("*.pack"))) < PACKS_MAX, "packs are not joined")
    server.terminate()
    for name in ("packhouse.db-wal", "packhouse.db-shm"):
        (server.data / name).unlink(missing_ok=True)
    shutil.copy(tmp_path / "backup.db", server.data / "packhouse.db")
    server.start()
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
