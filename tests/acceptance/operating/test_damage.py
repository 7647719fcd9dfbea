"""Lost and damaged data is reported once, as the server's fault, and never as a mistake of the client.

A server has recently read data in memory, so each test does its damage while the server is stopped.
"""

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.conftest import StartServer
from tests.support.clients.git import Git
from tests.support.clients.reads import OBJECT_READS
from tests.support.clients.repo import AUTHOR, Repo
from tests.support.damage import (
    cut,
    find_pack,
    flip,
    flip_content,
    lose_folder,
    lose_pack_and_idx,
    remove,
)
from tests.support.servers.server import Server
from tests.support.servers.server_process import STORED, ServerOptions
from tests.support.waiting import wait_until


@dataclass
class Shop:
    """A stopped server with a repository of two branches, and another repository beside it."""

    server: Server
    repo: Repo
    other: Repo
    commits: dict[str, str]

    def pack(self, name: str) -> Path:
        """Return the pack of a commit. The server runs."""
        return find_pack(self.repo, self.commits[name])

    def errors(self) -> list[dict[str, Any]]:
        """Return the log's lines about damage."""
        lines = map(json.loads, self.server.stderr().splitlines())
        return [line for line in lines if line["message"] == "stored data is damaged"]

    def readiness(self) -> dict[str, Any]:
        """Return the verbose answer of /readyz. The server is ready."""
        reply = self.server.http.get(f"{self.server.url}/readyz?verbose")
        assert reply.status_code == 200
        answer: dict[str, Any] = reply.json()
        return answer


@pytest.fixture
def shop(start_server: StartServer) -> Shop:
    """A shop in which each commit has a pack of its own.

    `old` has the first state of everything, `tip` is the tip of main.
    """
    server = start_server(ServerOptions(settings=STORED))
    org = server.new_org()
    repo, other = org.create_repo("team/shop"), org.create_repo("team/other")
    other.write_commit("main", {"a.txt": b"elsewhere\n"})
    commits = {"old": repo.write_commit("main", {"a.txt": b"line one\n", "dir/b.txt": b"line b\n"})}
    commits["side"] = repo.write_commit("side", {"side.txt": b"line side\n"}, base_branch="main")
    commits["between"] = repo.write_commit("main", {"c.txt": b"line c\n"})
    commits["tip"] = repo.write_commit("main", {"a.txt": b"line one\nline two\n"})
    return Shop(server, repo, other, commits)


def damage(shop: Shop, fault: Callable[[Path], None], *, commit: str = "tip") -> Path:
    """Stop the server, damage the pack of a commit and start again; return the pack's path."""
    pack = shop.pack(commit)
    shop.server.terminate()
    fault(pack)
    shop.server.start()
    return pack


def expect_damage(reply: httpx.Response) -> None:
    assert reply.status_code == 500, reply.text
    if reply.request.method != "HEAD":
        told = reply.json()["error"]
        assert "team/shop" in told
        assert "damaged" in told


LOST: dict[str, Callable[[Path], None]] = {
    "the pack is gone": remove,
    "the pack lacks a byte": lambda pack: cut(pack, -1),
    "the pack lacks its second half": lambda pack: cut(pack, pack.stat().st_size // 2),
    "the pack is empty": lambda pack: cut(pack, 0),
    "pack and idx are gone": lose_pack_and_idx,
    "the folder is gone": lose_folder,
}


@pytest.mark.parametrize("fault", LOST.values(), ids=LOST.keys())
def test_lost_data_is_reported_as_the_servers_fault_by_every_read(
    shop: Shop, fault: Callable[[Path], None], git: Git, tmp_path: Path
) -> None:
    pack = damage(shop, fault)
    for name, read in OBJECT_READS.items():
        try:
            expect_damage(read(shop.repo))
        except AssertionError as error:
            raise AssertionError(name) from error
    refused = shop.repo.post_commit("main", {"d.txt": b"new\n"})
    expect_damage(refused)
    assert refused.json()["result"]["status"] == "internal"
    for version in ("0", "2"):
        cloned = git.try_run(
            "-c", f"protocol.version={version}", "clone", shop.repo.remote(), tmp_path / version
        )
        assert cloned.returncode != 0
        assert b"is damaged" in cloned.stderr
        assert b"not our ref" not in cloned.stderr
    name = "" if fault is lose_folder else pack.stem.removeprefix("pack-")
    told = [line for line in shop.errors() if line["pack"] == name]
    assert len(told) == 1
    assert told[0]["level"] == "error"
    assert told[0]["repo"].endswith("/team/shop")
    assert len(told[0]["object"]) == 40
    answer = shop.readiness()
    assert answer["damaged_repositories"] == 1
    assert {row["repo_name"] for row in answer["damage"]} == {"team/shop"}
    assert shop.other.read_file("a.txt") == b"elsewhere\n"
    shop.other.write_commit("main", {"b.txt": b"2\n"})


def test_other_branches_of_a_damaged_repository_are_served(shop: Shop, git: Git, tmp_path: Path) -> None:
    damage(shop, remove)
    assert shop.repo.read_file("side.txt", ref="side") == b"line side\n"
    assert shop.repo.read_file("side.txt", ref=shop.commits["side"]) == b"line side\n"
    git.run("clone", "--branch", "side", "--single-branch", shop.repo.remote(), tmp_path / "work")
    shop.repo.write_commit("side", {"more.txt": b"1\n"})


def test_a_flipped_bit_is_reported_by_the_reads_that_meet_it(shop: Shop, git: Git, tmp_path: Path) -> None:
    pack = damage(shop, flip_content, commit="old")
    assert shop.repo.read_file("a.txt") == b"line one\nline two\n"
    met = [reply for read in OBJECT_READS.values() if (reply := read(shop.repo)).status_code != 200]
    assert met
    for reply in met:
        expect_damage(reply)
    assert git.try_run("clone", shop.repo.remote(), tmp_path / "work").returncode != 0
    (told,) = shop.errors()
    assert told["pack"] == pack.stem.removeprefix("pack-")


def test_damage_that_a_clone_meets_is_reported(shop: Shop, git: Git, tmp_path: Path) -> None:
    tree = git.run(
        "rev-parse", f"{shop.commits['old']}^{{tree}}", cwd=git.clone(shop.repo.remote(), tmp_path / "w")
    )
    pack = shop.pack("old")
    entries = subprocess.run(
        ["git", "show-index"], input=pack.with_suffix(".idx").read_bytes(), capture_output=True, check=True
    ).stdout.decode()
    (offset,) = [int(line.split()[0]) for line in entries.splitlines() if line.split()[1] == tree]
    damage(shop, lambda path: flip(path, offset + 8), commit="old")
    cloned = git.try_run("clone", shop.repo.remote(), tmp_path / "work")
    assert cloned.returncode != 0
    assert b"corrupt" in cloned.stderr
    wait_until(shop.errors, "nobody is told")
    assert shop.readiness()["damaged_repositories"] == 1


@pytest.mark.parametrize("name", ["HEAD", "config", "refs"])
def test_the_files_that_make_a_folder_a_repository_are_made_anew(
    shop: Shop, name: str, git: Git, tmp_path: Path
) -> None:
    def lose(pack: Path) -> None:
        path = pack.parent.parent.parent / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()

    damage(shop, lose)
    for label, read in OBJECT_READS.items():
        assert read(shop.repo).status_code == 200, label
    git.run("clone", shop.repo.remote(), tmp_path / "work")
    assert shop.errors() == []


def test_a_lost_folder_is_reported_at_start_and_mended_when_its_packs_are_back(
    shop: Shop, git: Git, tmp_path: Path
) -> None:
    aside = tmp_path / "aside"

    def lose(pack: Path) -> None:
        pack.parent.parent.parent.rename(aside)

    pack = damage(shop, lose)
    wait_until(lambda: shop.readiness().get("damaged_repositories") == 1, "nobody is told")
    assert [line["reason"] for line in shop.errors()] == ["folder of the repository is missing"]
    shop.server.terminate()
    pack.parent.mkdir(parents=True)
    for file in (aside / "objects" / "pack").glob("*.pack"):
        shutil.copy(file, pack.parent)
    shop.server.start()
    wait_until(lambda: shop.readiness() == {"status": "ok", "damage": []}, "still called damaged")
    for label, read in OBJECT_READS.items():
        assert read(shop.repo).status_code == 200, label
    git.run("clone", shop.repo.remote(), tmp_path / "work")


def test_a_search_does_not_leave_out_a_file_that_cannot_be_read(shop: Shop) -> None:
    blob = shop.repo.api("GET", "/files/metadata", params={"ref": "side"})
    assert blob.status_code == 200
    damage(shop, flip_content, commit="side")
    for body in ({}, {"file_filters": {"include_globs": ["*.txt"]}}):
        reply = shop.repo.api("POST", "/grep", json={"ref": "side", "query": {"pattern": "line"}, **body})
        expect_damage(reply)


def test_a_slow_pattern_does_not_hide_a_file_that_cannot_be_read(shop: Shop) -> None:
    shop.repo.write_commit("side", {"slow": b"w" * 100_000 + b"\n"})
    damage(shop, lose_pack_and_idx, commit="side")
    body = {"ref": "side", "query": {"pattern": r"\w+ line"}}
    expect_damage(shop.repo.api("POST", "/grep", json=body))


@pytest.mark.parametrize("commit", ["old", "tip"])
def test_a_push_on_top_of_lost_objects_is_not_called_wrong(
    shop: Shop, git: Git, tmp_path: Path, commit: str
) -> None:
    work = git.clone(shop.repo.remote(), tmp_path / "work")
    git.commit(work, {"a.txt": b"line one\nline two\nline three\n"})
    damage(shop, remove, commit=commit)
    before = shop.repo.branches()
    pushed = git.try_run("push", "origin", "HEAD:main", cwd=work)
    if pushed.returncode:
        assert b"is damaged" in pushed.stderr, pushed.stderr
        assert b"missing necessary objects" not in pushed.stderr
        assert shop.repo.branches() == before
    assert pushed.returncode or commit == "old", "a push onto a lost tip"


def test_a_policy_does_not_take_lost_history_for_a_forced_push(shop: Shop, git: Git, tmp_path: Path) -> None:
    work = git.clone(shop.repo.remote(), tmp_path / "work")
    git.commit(work, {"x": b"1"})
    damage(shop, remove)
    token = shop.repo.token(refs=[["*", ["no-force-push"]]])
    pushed = git.try_run("push", shop.repo.remote(token=token), "HEAD:main", cwd=work)
    assert pushed.returncode != 0
    assert b"denied by policy" not in pushed.stderr
    assert b"is damaged" in pushed.stderr


def test_a_fork_of_lost_data_fails_and_is_not_empty(shop: Shop) -> None:
    damage(shop, lose_folder)
    base = {
        "provider": "code",
        "name": "team/shop",
        "operation": "fork",
        "auth": {"token": shop.repo.token()},
    }
    made = Repo(shop.repo.org, "team/copy").create(base_repo=base)
    expect_damage(made)
    assert Repo(shop.repo.org, "team/copy").api("GET").status_code == 404


DERIVED: dict[str, Callable[[Path], None]] = {
    "the idx is gone": lambda pack: remove(pack.with_suffix(".idx")),
    "the idx is empty": lambda pack: cut(pack.with_suffix(".idx"), 0),
    "the idx lacks a byte": lambda pack: cut(pack.with_suffix(".idx"), -1),
    "the idx has a wrong fan-out": lambda pack: flip(pack.with_suffix(".idx"), 8 + 0x80 * 4),
    "the idx has a wrong id": lambda pack: flip(pack.with_suffix(".idx"), 8 + 1024 + 3),
    "the idx has a wrong offset": lambda pack: flip(pack.with_suffix(".idx"), -41),
    "the idx has a wrong hash": lambda pack: flip(pack.with_suffix(".idx"), -1),
}


@pytest.mark.parametrize("commit", ["old", "tip"])
@pytest.mark.parametrize("fault", DERIVED.values(), ids=DERIVED.keys())
def test_an_idx_that_is_lost_or_damaged_is_made_anew(
    shop: Shop, fault: Callable[[Path], None], commit: str, git: Git, tmp_path: Path
) -> None:
    pack = damage(shop, fault, commit=commit)
    for name, read in OBJECT_READS.items():
        assert read(shop.repo).status_code == 200, name
    work = git.clone(shop.repo.remote(), tmp_path / "work")
    git.run("fsck", "--strict", cwd=work)
    assert shop.errors() == []
    assert shop.readiness() == {"status": "ok", "damage": []}
    assert f'"file": "{pack.stem}.idx"' in shop.server.stderr()


@pytest.mark.parametrize("commit", ["old", "tip"])
@pytest.mark.parametrize("fault", DERIVED.values(), ids=DERIVED.keys())
def test_the_first_git_that_needs_an_idx_finds_it_made_anew(
    shop: Shop, fault: Callable[[Path], None], commit: str, git: Git, tmp_path: Path
) -> None:
    fault(shop.pack(commit))  # under a running server
    work = git.clone(shop.repo.remote(), tmp_path / "work")
    assert git.run("rev-parse", "HEAD", cwd=work) == shop.commits["tip"]
    assert shop.errors() == []


def test_damage_is_no_longer_listed_when_the_operator_brings_the_pack_back(shop: Shop) -> None:
    pack = shop.pack("tip")
    content = pack.read_bytes()
    damage(shop, remove)
    expect_damage(OBJECT_READS["file"](shop.repo))
    assert shop.readiness()["damaged_repositories"] == 1
    assert shop.server.http.get(f"{shop.server.url}/readyz").json() == {
        "status": "ok",
        "damaged_repositories": 1,
    }
    shop.server.terminate()
    pack.write_bytes(content)
    shop.server.start()
    wait_until(lambda: shop.readiness() == {"status": "ok", "damage": []}, "still called damaged")
    wait_until(lambda: "damage is mended" in shop.server.stderr(), "the log does not tell")
    assert shop.repo.read_file("a.txt") == b"line one\nline two\n"


def test_no_commit_is_not_found_while_a_pack_is_lost_or_after_its_return(shop: Shop, tmp_path: Path) -> None:
    """Git lists too much, without a message, when it cannot read the parents of a commit to leave out."""
    repo, commits = shop.repo, [shop.repo.write_commit("main", {"n.txt": b"%d" % n}) for n in range(5)]
    made = repo.api("POST", "/branches/create", json={"base_ref": commits[2], "target_branch": "x"})
    assert made.status_code == 200, made.text

    def read_all() -> list[int]:
        return [repo.api("GET", "/commit", params={"ref": commit}).status_code for commit in commits]

    assert read_all() == [200] * 5
    pack = find_pack(repo, commits[3])
    files = {path: path.read_bytes() for path in (pack, pack.with_suffix(".idx"))}
    for path in files:
        path.unlink()
    assert repo.api("DELETE", "/branches", json={"name": "x"}).status_code == 200
    assert 404 not in read_all()
    for path, content in files.items():
        path.write_bytes(content)
    assert read_all() == [200] * 5


@pytest.mark.parametrize("at", [8 + 1024 + 3, -41, 8 + 0x80 * 4], ids=["id", "offset", "fan-out"])
@pytest.mark.parametrize("commit", ["old", "tip"])
def test_a_flipped_bit_of_an_idx_with_unchanged_times_is_found_by_a_read(
    shop: Shop, at: int, commit: str, git: Git, tmp_path: Path
) -> None:
    for read in OBJECT_READS.values():
        assert read(shop.repo).status_code == 200
    idx = shop.pack(commit).with_suffix(".idx")
    status = idx.stat()
    flip(idx, at)
    os.utime(idx, ns=(status.st_atime_ns, status.st_mtime_ns))
    new = shop.repo.write_commit("main", {"another.txt": b"1\n"})
    for name, read in OBJECT_READS.items():
        reply = read(shop.repo)
        if reply.status_code == 503:  # git met it, and it is mended
            reply = read(shop.repo)
        assert reply.status_code == 200, name
    work = git.clone(shop.repo.remote(), tmp_path / "work")
    assert git.run("rev-parse", "HEAD", cwd=work) == new
    assert shop.errors() == []


def test_objects_that_never_existed_are_still_not_found(shop: Shop) -> None:
    for reply in (
        shop.repo.api("GET", "/commit", params={"ref": "0123456789" * 4}),
        shop.repo.api("GET", "/file", params={"path": "none"}),
        shop.repo.api("POST", "/notes", json={"object_ref": "12" * 20, "note": "n", "author": AUTHOR}),
    ):
        assert reply.status_code == 404, reply.text


@pytest.mark.parametrize("at", [30, -1, -200], ids=["chunk table", "hash", "offsets"])
def test_a_damaged_multi_pack_index_in_the_folder_changes_no_answer(
    shop: Shop, at: int, git: Git, tmp_path: Path
) -> None:
    folder = shop.repo.folder()
    git.run("multi-pack-index", "write", cwd=folder)  # as an operator's git may, or a release before
    flip(folder / "objects" / "pack" / "multi-pack-index", at)
    shop.server.terminate()
    shop.server.start()
    for name, read in OBJECT_READS.items():
        assert read(shop.repo).status_code == 200, name
    git.run("clone", shop.repo.remote(), tmp_path / "work")
    for number in range(60):
        shop.repo.write_commit("main", {"n.txt": b"%d\n" % number})
    tip = shop.repo.branches()["main"]
    wait_until(lambda: len(list((folder / "objects" / "pack").glob("*.pack"))) < 50, "packs are not joined")
    git.run("clone", shop.repo.remote(), tmp_path / "later")
    assert tip == git.run("rev-parse", "HEAD", cwd=tmp_path / "later")
    assert shop.errors() == []
