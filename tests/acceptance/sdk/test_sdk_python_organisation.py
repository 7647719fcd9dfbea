"""The released Python client as an organisation uses it:

keys, tokens, forks, upstreams, credentials, and its errors.
"""

import time
from typing import Any

import httpx
import pytest
from pierre_storage import ApiError, GitStorage, RefUpdateError

from tests.support.builders.keys import make_key_pair
from tests.support.clients.git import Git
from tests.support.clients.python_client import AUTHOR, commit, make_client, reachable, run
from tests.support.clients.repo import Org, Repo
from tests.support.servers.server import Server
from tests.support.servers.tls import TlsFiles


@pytest.fixture
def client(org: Org, tls_files: TlsFiles, monkeypatch: pytest.MonkeyPatch) -> GitStorage:
    """A client that loads one certificate authority for each call, where the default loads a hundred."""
    monkeypatch.setenv("SSL_CERT_FILE", str(tls_files.ca))
    return make_client(org)


def with_token(org: Org, token: str) -> GitStorage:
    """Return a client that has one token in place of a key."""
    server = org.server
    return GitStorage(
        {
            "name": org.name,
            "token": token,
            "api_base_url": server.url + "/",
            "storage_base_url": server.host_port,
        }
    )


def refused(call: Any, status: int) -> str:
    """Run a call that must raise ApiError with this status; return its message."""
    with pytest.raises(ApiError) as caught:
        run(call)
    assert caught.value.status_code == status, caught.value.message
    return caught.value.message


@pytest.mark.parametrize("kind", ["rsa", "ed25519"])
def test_keys_of_other_types_sign_tokens_too(server: Server, git: Git, kind: str) -> None:
    org = server.new_org(make_key_pair(kind))  # a key added to a known one would take seconds to be noticed
    repo = org.create_repo()
    handle = make_client(org).repo(id=repo.name)
    made = commit(handle, "Start", {"a": b"1"})
    remote = reachable(run(handle.get_remote_url(permissions=["git:read"], ttl=60)), server)
    assert git.ls_remote(remote)["refs/heads/main"] == made["commit_sha"]


def test_a_python_client_with_a_token_opens_only_the_repository_of_the_token(
    org: Org, server: Server, git: Git, repo: Repo
) -> None:
    client = with_token(org, repo.token(scopes=["git:write"]))
    handle = client.repo(id=repo.name)
    made = commit(handle, "Start", {"a": b"1"})
    remote = reachable(run(handle.get_remote_url()), server)
    assert git.ls_remote(remote)["refs/heads/main"] == made["commit_sha"]
    refused(client.list_repos(), 401)
    refused(client.delete_repo(id=repo.name), 401)
    assert run(client.find_one(id=repo.name)) is not None


def test_each_method_raises_its_class_of_error_for_a_bad_token(org: Org, repo: Repo) -> None:
    now = int(time.time())
    client = with_token(org, repo.token(exp=now - 3600))
    handle = client.repo(id=repo.name)
    reads: list[Any] = [handle.list_branches(), handle.list_files(), handle.head_file(path="a")]
    for call in reads:
        with pytest.raises(httpx.HTTPStatusError, match="401"):
            run(call)
    others: list[Any] = [
        client.find_one(id=repo.name),
        client.create_repo(),
        handle.create_note(sha="main", note="n"),
    ]
    for call in others:
        refused(call, 401)
    writes: list[Any] = [
        handle.create_commit(target_branch="main", commit_message="m", author=AUTHOR).send(),
        handle.restore_commit(target_branch="main", target_commit_sha="main", author=AUTHOR),
    ]
    for call in writes:
        with pytest.raises(RefUpdateError, match="expired") as caught:
            run(call)
        assert (caught.value.status, caught.value.reason) == ("unauthorized", "unauthorized")
    with pytest.raises(Exception, match="Pull Upstream failed: 401"):
        run(handle.pull_upstream())


def test_forks_have_the_branches_that_were_asked_for(client: GitStorage, repo: Repo) -> None:
    source = client.repo(id=repo.name)
    first = commit(source, "Start", {"a": b"1"})["commit_sha"]
    second = commit(source, "Next", {"a": b"2"})["commit_sha"]
    commit(source, "Work", {"b": b"3"}, target_branch="work", base_branch="main")
    forks: list[tuple[dict[str, Any], dict[str, Any], str, set[str]]] = [
        ({}, {}, "main", {"main", "work"}),
        ({"ref": "work"}, {}, "work", {"work"}),
        ({"ref": "main"}, {"default_branch": "trunk"}, "trunk", {"trunk"}),
        ({"ref": "work", "sha": first}, {"default_branch": "old"}, "old", {"old"}),
    ]
    for fields, options, default, branches in forks:
        base: Any = {"id": repo.name, **fields}
        fork = run(client.create_repo(base_repo=base, **options))
        found = run(client.find_one(id=fork.id))
        assert found is not None
        assert found.default_branch == default
        listed = {branch["name"]: branch["head_sha"] for branch in run(found.list_branches())["branches"]}
        assert set(listed) == branches
        assert listed.get("main", second) == second
        assert listed.get("old", first) == first
    refused(client.create_repo(base_repo={"id": repo.name, "ref": "nowhere"}), 404)
    refused(client.create_repo(base_repo={"id": f"{repo.name}/none"}), 404)


def test_upstreams_are_created_in_the_forms_that_the_client_sends(client: GitStorage) -> None:
    forms: list[tuple[Any, str]] = [
        ({"provider": "gitlab", "owner": "group/sub", "name": "shop", "default_branch": "dev"}, "dev"),
        ({"provider": "gitea", "owner": "o", "name": "n", "upstream_host": "git.example"}, "main"),
        ({"provider": "bitbucket", "owner": "o", "name": "n"}, "main"),
    ]
    for form, default in forms:
        made = run(client.create_repo(base_repo=form))
        [listed] = run(client.list_repos(q=made.id))["repos"]
        assert listed["default_branch"] == default
        told = {name: value for name, value in form.items() if name != "default_branch"}
        assert listed["base_repo"] == told
        assert run(made.list_branches())["branches"] == []
        if "upstream_host" in form:  # a name that leads nowhere: the others are real
            run(made.pull_upstream())
            run(made.pull_upstream(ref="main"))
    odd: list[Any] = [
        {"provider": "gitea", "owner": "o", "name": "n"},
        {"provider": "none", "owner": "o", "name": "n"},
    ]
    for form in odd:
        refused(client.create_repo(base_repo=form), 400)


def test_credentials_are_stored_changed_and_removed(client: GitStorage, repo: Repo) -> None:
    made = run(client.create_git_credential(repo_id=repo.name, username="bot", password="one"))
    refused(client.create_git_credential(repo_id=repo.name, password="two"), 409)
    changed = run(client.update_git_credential(id=made["id"], username="", password="two"))
    assert changed["id"] == made["id"]
    assert (changed["created_at"] or "").endswith("Z")
    run(client.delete_git_credential(id=made["id"]))
    refused(client.delete_git_credential(id=made["id"]), 404)
    refused(client.update_git_credential(id=made["id"], password="three"), 404)
    refused(client.create_git_credential(repo_id=f"{repo.name}/none", password="x"), 404)


def test_an_empty_repository_has_lists_and_nothing_to_read(client: GitStorage, repo: Repo) -> None:
    handle = client.repo(id=repo.name)
    nothing = {"next_cursor": None, "has_more": False}
    assert run(handle.list_branches()) == {"branches": [], **nothing}
    assert run(handle.list_tags()) == {"tags": [], **nothing}
    assert run(handle.list_notes_refs()) == {"refs": [], **nothing, "prefix": "refs/notes/"}
    for call in (
        handle.list_files(),
        handle.list_files_with_metadata(),
        handle.list_commits(),
        handle.get_commit(sha="HEAD"),
        handle.get_branch_diff(branch="main"),
        handle.grep(pattern="x"),
        handle.get_archive_stream(),
        handle.get_blame(path="a"),
    ):
        with pytest.raises(httpx.HTTPStatusError, match="404"):
            run(call)
    with pytest.raises(Exception, match="Pull Upstream failed: 400"):
        run(handle.pull_upstream())
