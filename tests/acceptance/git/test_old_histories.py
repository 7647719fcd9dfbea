"""Histories with faults that the import remote lets through are read, built upon, copied and packed like others."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from tests.acceptance.api.test_forks import fork, snapshot
from tests.conftest import StartServer
from tests.support.builders.raw_objects import FORGIVABLE, RawObjects, list_stored
from tests.support.clients.git import Git
from tests.support.clients.reads import OBJECT_READS, REF_READS
from tests.support.clients.repo import Org, Repo
from tests.support.servers.server import Server
from tests.support.servers.server_process import ServerOptions
from tests.support.servers.upstreams import follow, pull
from tests.support.waiting import wait_until

ZERO = "0" * 40

FAULTS: dict[str, tuple[bytes, bytes]] = {
    **FORGIVABLE,
    "no date": (b"author A <a@x.test>", b"m\n"),
    "badTimezone": (b"author A <a@x.test> 5 +99999999", b"m\n"),
    "nothing at all": (b"author ", b"m\n"),
    "no message": (b"author A <a@x.test> 5 +0000", b""),
    "only NUL": (b"author A <a@x.test> 5 +0000", b"\0"),
    "nullSha1": (b"author A <a@x.test> 5 +0000", b"m\n"),
    "multipleAuthors": (b"author A <a@x.test> 5 +0000\nauthor B <b@x.test> 6 +0000", b"m\n"),
}

MORE_READS: dict[str, Callable[[Repo], httpx.Response]] = {
    "file of the first commit": lambda repo: repo.api(
        "GET", "/file", params={"path": "a.txt", "ref": "main~1"}
    ),
    "metadata of a tag": lambda repo: repo.api("GET", "/files/metadata", params={"ref": "v1"}),
    "commit of a tag": lambda repo: repo.api("GET", "/commit", params={"ref": "v1"}),
    "commits of a tag": lambda repo: repo.api("GET", "/commits", params={"ref": "v1"}),
    "raw diff": lambda repo: repo.api("GET", "/diff", params={"ref": "main", "base": "main~1"}),
    "blame of the first": lambda repo: repo.api("GET", "/blame", params={"path": "a.txt", "ref": "main~1"}),
    "grep in a tag": lambda repo: repo.api("POST", "/grep", json={"query": {"pattern": "line"}, "ref": "v1"}),
    "notes": lambda repo: repo.api("GET", "/notes", params={"object_ref": "main"}),
    "notes refs": lambda repo: repo.api("GET", "/notes/refs"),
    "a branch": lambda repo: repo.api("GET", "/branch", params={"name": "main"}),
    "a tag": lambda repo: repo.api("GET", "/tag", params={"name": "v1"}),
    "repository": lambda repo: repo.api("GET"),
    "v1 commits": lambda repo: repo.v1("GET", "/repos/commits"),
    "v1 metadata": lambda repo: repo.v1("GET", "/repos/files/metadata"),
}

READS = {**OBJECT_READS, **REF_READS, **MORE_READS}

MAY_FAIL = {"merge preview", "notes"}
"""Calls that may answer 4xx: git itself cannot merge trees with null gitlinks, and not each tip has a note."""


@pytest.fixture(scope="module")
def lenient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Org]:
    """An organisation on a server that lets through every fault that a setting can allow."""
    allowed = "missingSpaceBeforeEmail,missingEmail,missingNameBeforeEmail,badName,badEmail,zeroPaddedDate"
    settings = {
        "import_allowed_faults": f"{allowed},badDate,badDateOverflow,nulInCommit,nullSha1,multipleAuthors"
    }
    server = Server(tmp_path_factory.mktemp("lenient"), ServerOptions(settings=settings)).start()
    yield server.shared_org()
    server.stop()


class History:
    """Two branches from one root, two tags and a note. Every commit and tag has the fault."""

    def __init__(self, raw: RawObjects, fault: str) -> None:
        author, message = FAULTS[fault]
        committer = author.splitlines()[0].replace(b"author", b"committer")
        lines = {"author": author, "committer": committer, "message": message}
        more = [(b"160000", b"sub", ZERO)] if fault == "nullSha1" else []
        trees = [
            raw.tree((b"100644", b"a.txt", raw.blob(text)), *more)
            for text in (b"line\n", b"line\ntwo\n", b"zero\nline\n")
        ]
        self.root = raw.commit(trees[0], **lines)
        self.main = raw.commit(trees[1], self.root, **lines)
        self.side = raw.commit(trees[2], self.root, **lines)
        self.tag = raw.tag(self.main, tagger=committer.replace(b"committer", b"tagger"))
        self.refs = {
            "refs/heads/main": self.main,
            "refs/heads/side": self.side,
            "refs/tags/v1": self.tag,
            "refs/tags/light": self.root,
            "refs/notes/commits": raw.commit(
                raw.tree((b"100644", self.main.encode(), raw.blob(b"n"))), **lines
            ),
        }


def import_history(raw: RawObjects, org: Org, fault: str) -> tuple[Repo, History]:
    history = History(raw, fault)
    repo = org.create_repo()
    specs = [f"{oid}:{name}" for name, oid in history.refs.items()]
    raw.git.run("push", "--quiet", repo.remote("+import"), *specs, cwd=raw.work)
    return repo, history


def failures(repo: Repo) -> dict[str, str]:
    """Return the reads that fail, with their answers."""
    failed = {}
    for name, read in READS.items():
        reply = read(repo)
        if reply.status_code >= (500 if name in MAY_FAIL else 400):
            failed[name] = f"{reply.status_code} {reply.text[:300]}"
    return failed


@pytest.fixture
def raw(git: Git, tmp_path: Path) -> RawObjects:
    return RawObjects(git, tmp_path / "raw")


@pytest.mark.parametrize("fault", FAULTS)
def test_every_reading_call_shows_an_old_history(lenient: Org, raw: RawObjects, fault: str) -> None:
    repo, _ = import_history(raw, lenient, fault)
    assert failures(repo) == {}


def test_an_unreadable_person_is_shown_as_empty_and_an_unreadable_date_as_1970(
    lenient: Org, raw: RawObjects
) -> None:
    shown = {}
    for fault in (
        "missingEmail",
        "missingNameBeforeEmail",
        "badDate",
        "before 1970",
        "zeroPaddedDate",
        "badDateOverflow",
    ):
        repo, _ = import_history(raw, lenient, fault)
        commit = repo.api("GET", "/commit", params={"ref": "main"}).json()["commit"]
        shown[fault] = (commit["author_name"], commit["author_email"], commit["date"])
    epoch = "1970-01-01T00:00:00Z"
    assert shown == {
        "missingEmail": ("A 5 +0000", "", epoch),
        "missingNameBeforeEmail": ("", "a@x.test", "1970-01-01T00:00:05Z"),
        "badDate": ("A", "a@x.test", epoch),
        "before 1970": ("A", "a@x.test", epoch),
        "zeroPaddedDate": ("A", "a@x.test", "1970-01-01T00:00:05Z"),
        "badDateOverflow": ("A", "a@x.test", "9999-12-31T23:59:59Z"),
    }


@pytest.mark.parametrize("fault", FAULTS)
def test_commits_over_http_build_on_an_old_history(lenient: Org, raw: RawObjects, fault: str) -> None:
    repo, history = import_history(raw, lenient, fault)
    person = {"name": "Ada", "email": "ada@x.test"}
    usual = {"commit_message": "m", "author": person}
    merge = {"source_ref": "side", "target_branch": "main", "strategy": "merge", "author": person}
    calls: dict[str, Callable[[], httpx.Response]] = {
        "commit": lambda: repo.post_commit("main", {"b.txt": b"b", "dir/c": b"c"}),
        "delete": lambda: repo.post_commit("main", {"dir/c": None}),
        "modules": lambda: repo.post_commit(
            "main", {".gitmodules": b'[submodule "x"]\n\tpath = x\n\turl = ./x\n'}
        ),
        "merge": lambda: repo.api("POST", "/merge", json=merge),
        "restore": lambda: repo.api(
            "POST",
            "/restore-commit",
            json={"metadata": {"target_branch": "main", "target_commit_sha": history.root, **usual}},
        ),
        "branch": lambda: repo.api(
            "POST", "/branches/create", json={"target_branch": "new", "base_branch": "main"}
        ),
        "tag": lambda: repo.api("POST", "/tags", json={"name": "v2", "ref": "main~1"}),
        "note": lambda: repo.api(
            "POST", "/notes", json={"object_ref": history.side, "note": "n", "author": person}
        ),
    }
    failed = {}
    for name, call in calls.items():
        reply = call()
        is_refused_by_git = (fault, name, reply.status_code) == ("nullSha1", "merge", 409)
        if not reply.is_success and not is_refused_by_git:
            failed[name] = f"{reply.status_code} {reply.text[:300]}"
    assert failed == {}
    assert failures(repo) == {}


@pytest.mark.parametrize("fault", FAULTS)
def test_an_old_history_is_cloned_fetched_and_pushed_to(
    lenient: Org, raw: RawObjects, fault: str, tmp_path: Path
) -> None:
    repo, history = import_history(raw, lenient, fault)
    for number, options in enumerate([("--mirror",), ("--depth", "1"), ("--filter=blob:none",)]):
        # Without a work tree: git itself writes none with a null gitlink.
        work = raw.git.clone(repo.remote(), tmp_path / f"clone{number}", "--no-checkout", *options)
        assert raw.git.run("rev-parse", "HEAD", cwd=work) == history.main
    work = raw.git.clone(repo.remote(), tmp_path / "work", "--no-checkout")
    raw.git.run("fetch", "--quiet", "origin", "side", cwd=work)
    tip = raw.git.run("commit-tree", "-p", "HEAD", "-p", "FETCH_HEAD", "-m", "m", "HEAD^{tree}", cwd=work)
    raw.git.run("push", "--quiet", "origin", f"{tip}:refs/heads/main", cwd=work)
    assert raw.git.ls_remote(repo.remote())["HEAD"] == tip


@pytest.mark.parametrize("fault", FAULTS)
def test_an_old_history_is_forked_and_snapshots_of_it_are_taken(
    lenient: Org, raw: RawObjects, fault: str
) -> None:
    repo, history = import_history(raw, lenient, fault)
    whole = fork(repo)
    assert list_stored(raw.git, whole.folder()) == raw.closure([history.side, history.tag])
    assert OBJECT_READS["metadata"](whole).status_code == OBJECT_READS["archive"](whole).status_code == 200
    # In a fork of one branch the pack cannot be linked: it is written anew.
    one = fork(repo, ref="side")
    for path in ("/commits", "/commit", "/files", "/files/metadata", "/blame", "/file"):
        reply = one.api("GET", path, params={"ref": "side", "path": "a.txt"})
        assert reply.status_code == 200, (path, reply.text)
    assert list_stored(raw.git, one.folder()) == raw.closure([history.side])
    reply = snapshot(repo)
    assert reply.status_code == 201, reply.text


def test_an_old_history_is_readable_after_its_packs_were_joined(lenient: Org, raw: RawObjects) -> None:
    repo, _ = import_history(raw, lenient, "missingEmail")
    for number in range(45):
        repo.write_commit("main", {f"f{number}": b"%d" % number})

    def are_few_after_one_more() -> bool:
        repo.write_commit("main", {"more": os.urandom(9)})
        return len(list((repo.folder() / "objects/pack").glob("*.pack"))) < 40

    wait_until(are_few_after_one_more, "packs stay many")
    assert failures(repo) == {}


def test_an_upstream_with_old_faults_can_be_followed(
    org: Org, raw: RawObjects, start_server: StartServer
) -> None:
    upstream, history = import_history(raw, org, "missingEmail")
    options = ServerOptions(settings={"trusted_hosts": org.server.url})
    mirror = follow(start_server(options).shared_org(), upstream)
    pull(mirror)
    assert mirror.branches() == {"main": history.main, "side": history.side}
    strict = ServerOptions(settings={"trusted_hosts": org.server.url, "import_allowed_faults": ""})
    refused = follow(start_server(strict).shared_org(), upstream)
    pull(refused)
    assert refused.branches() == {}
