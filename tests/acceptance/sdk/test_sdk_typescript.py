"""The released TypeScript client, unchanged, does its main work over plain http and over TLS."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.clients.git import Git, GitError
from tests.support.clients.python_client import reachable
from tests.support.clients.repo import Org
from tests.support.clients.typescript import SdkError, TypeScriptClient
from tests.support.servers.server import Server

pytestmark = pytest.mark.parametrize("server", ["sqlite", "tls"], indirect=True)


@pytest.fixture
def client(org: Org) -> Iterator[TypeScriptClient]:
    """The client as an application makes it: organisation, private key and the two addresses."""
    with TypeScriptClient(org) as running:
        yield running


@pytest.fixture
def name(client: TypeScriptClient) -> str:
    """The name of a new repository."""
    created = client.call("createRepo", id=f"ts/{uuid.uuid4().hex[:12]}")
    return str(created["id"])


def test_the_typescript_client_commits_clones_lists_and_reads(
    client: TypeScriptClient, server: Server, name: str, git: Git, tmp_path: Path
) -> None:
    first = client.commit(name, "Start", {"README.md": b"# Shop\n", "src/cart.py": b"items = []\n"})
    assert first["targetBranch"] == "main"
    assert first["blobCount"] == 2
    assert first["refUpdate"]["oldSha"] == "0" * 40

    work = git.clone(reachable(client.call("getRemoteURL", name), server), tmp_path / "work")
    assert (work / "src/cart.py").read_bytes() == b"items = []\n"
    assert git.run("rev-parse", "HEAD", cwd=work) == first["commitSha"]

    pushed = git.commit(work, {"docs/guide.md": b"Read me.\n"})
    git.run("push", "--quiet", "origin", "main", cwd=work)

    listed = client.call("listFiles", name)
    assert listed["paths"] == ["README.md", "docs/guide.md", "src/cart.py"]
    assert listed["ref"] == "main"
    branches = client.call("listBranches", name)["branches"]
    assert [(branch["name"], branch["headSha"]) for branch in branches] == [("main", pushed)]
    assert client.read(name, "docs/guide.md") == (200, b"Read me.\n")


def test_the_files_of_a_large_commit_arrive_whole(client: TypeScriptClient, name: str) -> None:
    large = bytes(range(256)) * 40_000  # 10 MB: three chunks
    client.commit(name, "Large", {"large.bin": large, "empty": b""})
    assert client.read(name, "large.bin") == (200, large)
    assert client.read(name, "empty") == (200, b"")


def test_a_file_can_be_read_in_ranges_and_by_condition(client: TypeScriptClient, name: str) -> None:
    made = client.commit(name, "Start", {"README.md": b"# Shop\n"})
    head = client.call("headFile", name, path="README.md")
    assert head["size"] == 7
    assert head["blobSha"] == "a00621bb3a9b990ee018f8d04c2d3140800d6ca6"
    assert head["lastCommitSha"] == made["commitSha"]
    assert head["acceptRanges"] == "bytes"

    part = client.call("headFile", name, path="README.md", headers={"range": "bytes=0-2"})
    assert (part["status"], part["size"], part["contentRange"]) == (206, 3, "bytes 0-2/7")
    assert client.read(name, "README.md", headers={"range": "bytes=2-5"}) == (206, b"Shop")
    assert client.read(name, "README.md", headers={"range": "bytes=90-"})[0] == 416
    assert client.read(name, "README.md", headers={"ifNoneMatch": head["etag"]}) == (304, b"")
    assert client.read(name, "README.md", headers={"ifMatch": '"other"'})[0] == 412


def test_modes_and_deletions_reach_git(
    client: TypeScriptClient, server: Server, name: str, git: Git, tmp_path: Path
) -> None:
    client.commit(name, "Start", {"old/a": b"a", "old/b": b"b", "keep": b"k"})
    files = {"run.sh": b"#!/bin/sh\n", "link": b"keep"}
    client.commit(name, "Change", files, deletes=["old"], modes={"run.sh": "100755", "link": "120000"})
    work = git.clone(reachable(client.call("getRemoteURL", name), server), tmp_path / "work")
    modes = {line[53:]: line[:6] for line in git.run("ls-tree", "-r", "HEAD", cwd=work).splitlines()}
    assert modes == {"keep": "100644", "link": "120000", "run.sh": "100755"}


def test_a_branch_can_start_from_another(client: TypeScriptClient, name: str) -> None:
    client.commit(name, "Start", {"a": b"1"})
    client.commit(name, "Work", {"b": b"2"}, targetBranch="refs/heads/feature/x", baseBranch="main")
    page = client.call("listBranches", name, limit=1)
    assert page["hasMore"] is True
    rest = client.call("listBranches", name, limit=1, cursor=page["nextCursor"])
    assert rest["hasMore"] is False
    assert {branch["name"] for branch in page["branches"] + rest["branches"]} == {"main", "feature/x"}
    assert client.call("listFiles", name, ref="feature/x")["paths"] == ["a", "b"]


def test_the_typescript_client_reports_an_outdated_guard(client: TypeScriptClient, name: str) -> None:
    first = client.commit(name, "Start", {"a": b"1"})
    second = client.commit(name, "Next", {"a": b"2"}, expectedHeadSha=first["commitSha"])
    with pytest.raises(SdkError) as caught:
        client.commit(name, "Late", {"a": b"3"}, expectedHeadSha=first["commitSha"])
    assert caught.value.name == "RefUpdateError"
    assert caught.value.reason == "precondition_failed"
    assert caught.value.ref_update["oldSha"] == second["commitSha"]


def test_the_typescript_client_cannot_create_a_repository_twice(client: TypeScriptClient, name: str) -> None:
    with pytest.raises(SdkError, match="Repository already exists"):
        client.call("createRepo", id=name)


def test_the_typescript_client_returns_null_for_an_unknown_repository(
    client: TypeScriptClient, name: str
) -> None:
    assert client.call("findOne", id=f"{name}/other") is None
    found = client.call("findOne", id=name)
    assert found["defaultBranch"] == "main"
    assert found["createdAt"]


def test_the_typescript_client_does_not_find_a_deleted_repository(
    client: TypeScriptClient, name: str
) -> None:
    assert name in client.call("deleteRepo", id=name)["message"]
    assert client.call("findOne", id=name) is None
    client.call("createRepo", id=name, defaultBranch="trunk")
    assert client.call("findOne", id=name)["defaultBranch"] == "trunk"


def test_repositories_are_listed_and_searched(client: TypeScriptClient, name: str) -> None:
    page = client.call("listRepos", q=name.upper())
    assert [repo["url"] for repo in page["repos"]] == [name]
    assert page["hasMore"] is False


def test_a_repository_with_an_expiry_is_found_listed_and_deleted_as_any(
    client: TypeScriptClient, org: Org, name: str
) -> None:
    reply = org.repo(name).api("PATCH", json={"expires_at": "2999-01-01T00:00:00Z"})
    assert reply.json()["expires_at"] == "2999-01-01T00:00:00Z"
    assert client.call("findOne", id=name)["defaultBranch"] == "main"
    assert [repo["url"] for repo in client.call("listRepos", q=name)["repos"]] == [name]
    assert name in client.call("deleteRepo", id=name)["message"]
    assert client.call("findOne", id=name) is None


def test_the_ephemeral_remote_keeps_its_branches_apart(
    client: TypeScriptClient, server: Server, name: str, git: Git
) -> None:
    made = client.commit(name, "Start", {"a": b"1"})
    client.commit(name, "Try", {"b": b"2"}, targetBranch="try", baseBranch="main", ephemeral=True)
    ephemeral = reachable(client.call("getEphemeralRemoteURL", name), server)
    assert list(git.ls_remote(ephemeral)) == ["refs/heads/try"]
    plain = reachable(client.call("getRemoteURL", name), server)
    assert git.ls_remote(plain, "refs/*") == {"refs/heads/main": made["commitSha"]}
    assert client.read(name, "b", ref="try", ephemeral=True) == (200, b"2")


@pytest.mark.parametrize("odd", ["100%/é b", "a%20b"])
def test_a_remote_address_leads_to_a_repository_of_any_name(
    client: TypeScriptClient, server: Server, name: str, git: Git, tmp_path: Path, odd: str
) -> None:
    client.call("createRepo", id=f"{name}/{odd}")
    tip = git.commit(git.init(tmp_path / "work"), {"a": b"1"})
    for method, refname in (
        ("getImportRemoteURL", "refs/heads/main"),
        ("getEphemeralRemoteURL", "refs/heads/draft"),
        ("getRemoteURL", "refs/tags/v1"),
    ):
        remote = reachable(client.call(method, f"{name}/{odd}"), server)
        git.run("push", "--quiet", remote, f"main:{refname}", cwd=tmp_path / "work")
    plain = reachable(client.call("getRemoteURL", f"{name}/{odd}"), server)
    assert git.ls_remote(plain, "refs/*") == {"refs/heads/main": tip, "refs/tags/v1": tip}


def test_a_policy_in_the_remote_address_refuses_the_push(
    client: TypeScriptClient, server: Server, name: str, git: Git, tmp_path: Path
) -> None:
    client.commit(name, "Start", {"a": b"1"})
    policies = [{"pattern": "main", "ops": ["no-push"]}]
    remote = reachable(client.call("getRemoteURL", name, refPolicies=policies), server)
    work = git.clone(remote, tmp_path / "work")
    git.commit(work, {"a": b"2"})
    with pytest.raises(GitError, match="denied by policy"):
        git.run("push", "origin", "main", cwd=work)


def test_the_import_remote_takes_pushes_and_refuses_reads(
    client: TypeScriptClient, server: Server, name: str, git: Git, tmp_path: Path
) -> None:
    work = git.init(tmp_path / "work")
    tip = git.commit(work, {"a": b"1"})
    remote = reachable(client.call("getImportRemoteURL", name), server)
    git.run("push", "--quiet", remote, "main", cwd=work)
    assert client.call("listBranches", name)["branches"][0]["headSha"] == tip
    with pytest.raises(GitError, match="reads are disabled on the import remote"):
        git.run("ls-remote", remote)
