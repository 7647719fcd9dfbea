"""Inputs of applications to the released TypeScript client: every kind of source, many calls at once, aborted calls."""

import base64
import os
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.clients.repo import Org, Repo
from tests.support.clients.typescript import SdkError, TypeScriptClient

MIB = 1024 * 1024
COMMIT: dict[str, Any] = {
    "targetBranch": "main",
    "commitMessage": "Write",
    "author": {"name": "Grace", "email": "grace@example.test"},
}


@pytest.fixture
def client(org: Org) -> Iterator[TypeScriptClient]:
    """A running client."""
    with TypeScriptClient(org) as running:
        yield running


def refused(client: TypeScriptClient, operation: str, repo: str | None = None, **args: Any) -> SdkError:
    """Call a method that must throw; return its error."""
    with pytest.raises(SdkError) as caught:
        client.call(operation, repo, **args)
    return caught.value


def test_files_come_from_every_source(client: TypeScriptClient, repo: Repo) -> None:
    content = os.urandom(4 * MIB + 3)
    made = client.call("commitSources", repo.name, base64=base64.b64encode(content).decode(), **COMMIT)
    assert made["blobCount"] == len(made["names"]) + 4
    for name in made["names"]:
        assert client.read(repo.name, name) == (200, content), name
    assert client.read(repo.name, "text") == (200, "Größe".encode())
    assert client.read(repo.name, "latin") == (200, b"\xe9")
    assert client.read(repo.name, "hex") == (200, b"\0\xff")
    assert client.read(repo.name, "empty") == (200, b"")
    client.call("closeHalfRead", repo.name, path="blob")


def test_an_aborted_commit_does_not_move_the_branch(client: TypeScriptClient, repo: Repo) -> None:
    first = client.commit(repo.name, "Start", {"a": b"1"})["commitSha"]
    assert refused(client, "commitAborted", repo.name, **COMMIT).name == "AbortError"
    assert repo.branches() == {"main": first}


def test_of_fifty_commits_at_once_all_succeed_and_of_ten_guarded_ones_one(
    client: TypeScriptClient, repo: Repo
) -> None:
    first = client.commit(repo.name, "Start", {"a": b"1"})["commitSha"]
    made = client.call("commitMany", repo.name, count=50, **COMMIT)
    assert len({each["refUpdate"]["oldSha"] for each in made}) == 50
    assert first in {each["refUpdate"]["oldSha"] for each in made}
    assert len(repo.list_paths(path="files")) == 50
    guarded = client.call(
        "commitMany", repo.name, count=10, **COMMIT, expectedHeadSha=repo.branches()["main"]
    )
    assert sorted(each.get("reason", "") for each in guarded) == [""] + ["precondition_failed"] * 9


def test_a_typescript_client_with_a_token_opens_only_the_repository_of_the_token(
    org: Org, repo: Repo
) -> None:
    repo.write_commit("main", {"a": b"1"})
    with TypeScriptClient(org, token=repo.token(scopes=["git:read"])) as client:
        assert client.read(repo.name, "a") == (200, b"1")
        assert refused(client, "listRepos").status == 401
        assert refused(client, "createNote", repo.name, sha="main", note="n").status == 401
        assert refused(client, "pullUpstream", repo.name).status == 403
        restore = {"targetBranch": "main", "targetCommitSha": "main", "author": COMMIT["author"]}
        for error in (
            refused(client, "commit", repo.name, **COMMIT),
            refused(client, "restoreCommit", repo.name, **restore),
        ):
            assert (error.name, error.reason) == ("RefUpdateError", "unauthorized")


def test_forks_and_upstreams_are_created_in_the_forms_that_the_client_sends(
    client: TypeScriptClient, repo: Repo
) -> None:
    first = repo.write_commit("main", {"a": b"1"})
    repo.write_commit("work", {"b": b"1"}, base_branch="main")
    host = "git.example"
    forms: list[tuple[dict[str, Any], dict[str, Any], str]] = [
        ({"id": repo.name}, {}, "main"),
        ({"id": repo.name, "ref": "work"}, {}, "work"),
        ({"id": repo.name, "sha": first}, {"defaultBranch": "trunk"}, "trunk"),
        ({"provider": "gitea", "owner": "o/p", "name": "n", "upstreamHost": host}, {}, "main"),
        ({"provider": "gitlab", "owner": "o", "name": "n", "defaultBranch": "dev"}, {}, "dev"),
    ]
    for base, options, default in forms:
        made = client.call("createRepo", baseRepo=base, **options)
        assert client.call("findOne", id=made["id"])["defaultBranch"] == default
        [listed] = client.call("listRepos", q=made["id"])["repos"]
        told = {name: base[name] for name in ("provider", "owner", "name") if name in base}
        assert listed.get("baseRepo", {}) == ({} if "id" in base else told)
        if "upstreamHost" in base:  # a name that leads nowhere: the others are real
            assert client.call("pullUpstream", made["id"], ref="main") is None
    incomplete = {"provider": "gitea", "owner": "o", "name": "n"}
    assert refused(client, "createRepo", baseRepo=incomplete).status == 400
    assert refused(client, "createRepo", baseRepo={"id": repo.name, "ref": "nowhere"}).status == 404


def test_credentials_are_stored_changed_and_removed(client: TypeScriptClient, repo: Repo) -> None:
    made = client.call("createGitCredential", repoId=repo.name, username="bot", password="one")
    again = refused(client, "createGitCredential", repoId=repo.name, password="two")
    assert str(again) == "A credential already exists for this repository"
    changed = client.call("updateGitCredential", id=made["id"], password="two")
    assert changed["createdAt"].endswith("Z")
    client.call("deleteGitCredential", id=made["id"])
    assert str(refused(client, "deleteGitCredential", id=made["id"])) == "Credential not found"
    assert str(refused(client, "updateGitCredential", id=made["id"], password="x")) == "Credential not found"


def test_an_empty_repository_has_lists_and_nothing_to_read(client: TypeScriptClient, repo: Repo) -> None:
    page = {"limit": 0, "cursor": ""}
    assert client.call("listBranches", repo.name, **page) == {"branches": [], "hasMore": False}
    assert client.call("listTags", repo.name, **page) == {"tags": [], "hasMore": False}
    notes = client.call("listNotesRefs", repo.name, **page)
    assert notes == {"refs": [], "hasMore": False, "prefix": "refs/notes/"}
    for method, args in (
        ("listFiles", {}),
        ("listFilesWithMetadata", {}),
        ("listCommits", {}),
        ("getCommit", {"sha": "HEAD"}),
        ("getBranchDiff", {"branch": "main"}),
        ("grep", {"query": {"pattern": "x"}}),
        ("readArchive", {}),
        ("headFile", {"path": "a"}),
    ):
        error = refused(client, method, repo.name, **args)
        assert (error.name, error.status) == ("ApiError", 404)
    assert refused(client, "pullUpstream", repo.name).status == 400
