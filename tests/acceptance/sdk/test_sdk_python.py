"""The released Python client, unchanged, does its main work over plain http and over TLS."""

import uuid
from pathlib import Path

import pytest
from pierre_storage import ApiError, GitStorage, RefUpdateError
from pierre_storage.types import GitFileMode, RefPolicy

from tests.support.clients.git import Git, GitError
from tests.support.clients.python_client import AUTHOR, commit, make_client, reachable, read, run
from tests.support.clients.repo import Org
from tests.support.servers.server import Server

pytestmark = pytest.mark.parametrize("server", ["sqlite", "tls"], indirect=True)


@pytest.fixture
def client(org: Org, server: Server, monkeypatch: pytest.MonkeyPatch) -> GitStorage:
    """The client as an application makes it: organisation, private key and the two addresses."""
    if server.ca:
        monkeypatch.setenv("SSL_CERT_FILE", str(server.ca))
    return make_client(org)


@pytest.fixture
def name() -> str:
    """A repository name that nobody else uses."""
    return f"py/{uuid.uuid4().hex[:12]}"


def test_the_python_client_commits_clones_lists_and_reads(
    client: GitStorage, server: Server, name: str, git: Git, tmp_path: Path
) -> None:
    repo = run(client.create_repo(id=name))
    first = commit(repo, "Start", {"README.md": b"# Shop\n", "src/cart.py": b"items = []\n"})
    assert first["target_branch"] == "main"
    assert first["blob_count"] == 2
    assert first["ref_update"]["old_sha"] == "0" * 40

    remote = reachable(run(repo.get_remote_url()), server)
    work = git.clone(remote, tmp_path / "work")
    assert (work / "src/cart.py").read_bytes() == b"items = []\n"
    assert git.run("log", "-1", "--format=%H %an <%ae> %s", cwd=work) == (
        f"{first['commit_sha']} Grace <grace@example.test> Start"
    )

    pushed = git.commit(work, {"docs/guide.md": b"Read me.\n"})
    git.run("push", "--quiet", "origin", "main", cwd=work)

    assert run(repo.list_files())["paths"] == ["README.md", "docs/guide.md", "src/cart.py"]
    branches = run(repo.list_branches())["branches"]
    assert [(branch["name"], branch["head_sha"]) for branch in branches] == [("main", pushed)]
    assert read(repo, path="docs/guide.md") == (200, b"Read me.\n")


def test_the_files_of_a_large_commit_arrive_whole(client: GitStorage, name: str) -> None:
    repo = run(client.create_repo(id=name))
    large = bytes(range(256)) * 40_000  # 10 MB: three chunks
    commit(repo, "Large", {"large.bin": large, "empty": b""})
    assert read(repo, path="large.bin") == (200, large)
    assert read(repo, path="empty") == (200, b"")


def test_a_file_can_be_read_in_ranges_and_by_condition(client: GitStorage, name: str) -> None:
    repo = run(client.create_repo(id=name))
    made = commit(repo, "Start", {"README.md": b"# Shop\n"})
    head = run(repo.head_file(path="README.md"))
    assert head["status_code"] == 200
    assert head["size"] == 7
    assert head["blob_sha"] == "a00621bb3a9b990ee018f8d04c2d3140800d6ca6"
    assert head["last_commit_sha"] == made["commit_sha"]
    assert head["accept_ranges"] == "bytes"
    assert head["last_modified"].tzinfo is not None

    part = run(repo.head_file(path="README.md", headers={"range": "bytes=0-2"}))
    assert (part["status_code"], part["size"], part["content_range"]) == (206, 3, "bytes 0-2/7")
    assert read(repo, path="README.md", headers={"range": "bytes=2-5"}) == (206, b"Shop")
    assert read(repo, path="README.md", headers={"range": "bytes=90-"})[0] == 416
    assert read(repo, path="README.md", headers={"if_none_match": head["etag"]}) == (304, b"")
    assert read(repo, path="README.md", headers={"if_match": '"other"'})[0] == 412


def test_modes_and_deletions_reach_git(
    client: GitStorage, server: Server, name: str, git: Git, tmp_path: Path
) -> None:
    repo = run(client.create_repo(id=name))
    commit(repo, "Start", {"old/a": b"a", "old/b": b"b", "keep": b"k"})
    builder = repo.create_commit(target_branch="main", commit_message="Change", author=AUTHOR)
    builder.delete_path("old")
    builder.add_file("run.sh", b"#!/bin/sh\n", mode=GitFileMode.EXECUTABLE)
    builder.add_file("link", b"keep", mode=GitFileMode.SYMLINK)
    run(builder.send())
    work = git.clone(reachable(run(repo.get_remote_url()), server), tmp_path / "work")
    modes = {line[53:]: line[:6] for line in git.run("ls-tree", "-r", "HEAD", cwd=work).splitlines()}
    assert modes == {"keep": "100644", "link": "120000", "run.sh": "100755"}
    git.run("fsck", "--strict", cwd=work)


def test_a_branch_can_start_from_another(client: GitStorage, name: str) -> None:
    repo = run(client.create_repo(id=name, default_branch="trunk"))
    base = commit(repo, "Start", {"a": b"1"}, target_branch="trunk")
    commit(repo, "Work", {"b": b"2"}, target_branch="feature/x", base_branch="trunk")
    found = {branch["name"] for branch in run(repo.list_branches())["branches"]}
    assert found == {"trunk", "feature/x"}
    assert run(repo.list_files(ref="feature/x"))["paths"] == ["a", "b"]
    assert run(repo.list_files(ref=base["commit_sha"]))["paths"] == ["a"]
    assert run(repo.list_files())["ref"] == "trunk"


def test_branches_come_in_pages(client: GitStorage, name: str) -> None:
    repo = run(client.create_repo(id=name))
    commit(repo, "Start", {"a": b"1"})
    for number in range(4):
        commit(repo, "More", {"b": b"2"}, target_branch=f"b{number}", base_branch="main")
    seen: list[str] = []
    cursor = None
    while True:
        page = run(repo.list_branches(limit=2, cursor=cursor))
        seen += [branch["name"] for branch in page["branches"]]
        cursor = page["next_cursor"]
        if not page["has_more"]:
            break
    assert sorted(seen) == ["b0", "b1", "b2", "b3", "main"]


def test_the_python_client_reports_an_outdated_guard(client: GitStorage, name: str) -> None:
    repo = run(client.create_repo(id=name))
    first = commit(repo, "Start", {"a": b"1"})
    second = commit(repo, "Next", {"a": b"2"}, expected_head_sha=first["commit_sha"])
    with pytest.raises(RefUpdateError) as caught:
        commit(repo, "Late", {"a": b"3"}, expected_head_sha=first["commit_sha"])
    assert caught.value.status == "precondition_failed"
    assert caught.value.ref_update["old_sha"] == second["commit_sha"]
    assert read(repo, path="a") == (200, b"2")


def test_the_python_client_cannot_create_a_repository_twice(client: GitStorage, name: str) -> None:
    run(client.create_repo(id=name))
    with pytest.raises(ApiError, match="already exists") as caught:
        run(client.create_repo(id=name))
    assert caught.value.status_code == 409


def test_the_python_client_returns_none_for_an_unknown_repository(client: GitStorage, name: str) -> None:
    assert run(client.find_one(id=name)) is None
    run(client.create_repo(id=name, default_branch="trunk"))
    found = run(client.find_one(id=name))
    assert found is not None
    assert found.default_branch == "trunk"


def test_the_python_client_does_not_find_a_deleted_repository(client: GitStorage, name: str) -> None:
    repo = run(client.create_repo(id=name))
    commit(repo, "Start", {"a": b"1"})
    assert name in run(client.delete_repo(id=name))["message"]
    assert run(client.find_one(id=name)) is None
    again = run(client.create_repo(id=name))
    assert run(again.list_branches())["branches"] == []


def test_repositories_are_listed_and_searched(client: GitStorage, name: str) -> None:
    run(client.create_repo(id=name))
    page = run(client.list_repos(q=name.upper()))
    assert [repo["url"] for repo in page["repos"]] == [name]
    assert page["repos"][0]["repo_id"].startswith("repo_")
    assert page["has_more"] is False


def test_a_repository_with_an_expiry_is_found_listed_and_deleted_as_any(
    client: GitStorage, org: Org, name: str
) -> None:
    run(client.create_repo(id=name))
    reply = org.repo(name).api("PATCH", json={"expires_at": "2999-01-01T00:00:00Z"})
    assert reply.json()["expires_at"] == "2999-01-01T00:00:00Z"
    found = run(client.find_one(id=name))
    assert found is not None
    assert (found.id, found.default_branch) == (name, "main")
    assert [repo["url"] for repo in run(client.list_repos(q=name))["repos"]] == [name]
    assert name in run(client.delete_repo(id=name))["message"]
    assert run(client.find_one(id=name)) is None


def test_the_ephemeral_remote_keeps_its_branches_apart(
    client: GitStorage, server: Server, name: str, git: Git, tmp_path: Path
) -> None:
    repo = run(client.create_repo(id=name))
    made = commit(repo, "Start", {"a": b"1"})
    commit(repo, "Try", {"b": b"2"}, target_branch="try", base_branch="main", ephemeral=True)
    remote = reachable(run(repo.get_ephemeral_remote_url()), server)
    assert list(git.ls_remote(remote)) == ["refs/heads/try"]
    plain = reachable(run(repo.get_remote_url()), server)
    assert git.ls_remote(plain, "refs/*") == {"refs/heads/main": made["commit_sha"]}
    assert read(repo, path="b", ref="try", ephemeral=True) == (200, b"2")
    work = git.clone(remote, tmp_path / "work", "--branch", "try")
    assert (work / "b").read_bytes() == b"2"


@pytest.mark.parametrize("odd", ["50%off", "a%20b", "é-日本/🎉+a..b~^:*["])
def test_a_remote_address_leads_to_a_repository_of_any_name(
    client: GitStorage, server: Server, name: str, git: Git, tmp_path: Path, odd: str
) -> None:
    repo = run(client.create_repo(id=f"{name}/{odd}"))
    tip = git.commit(git.init(tmp_path / "work"), {"a": b"1"})
    for ask, refname in (
        (repo.get_import_remote_url, "refs/heads/main"),
        (repo.get_ephemeral_remote_url, "refs/heads/draft"),
        (repo.get_remote_url, "refs/tags/v1"),
    ):
        git.run("push", "--quiet", reachable(run(ask()), server), f"main:{refname}", cwd=tmp_path / "work")
    assert git.ls_remote(reachable(run(repo.get_remote_url()), server), "refs/*") == {
        "refs/heads/main": tip,
        "refs/tags/v1": tip,
    }
    assert git.ls_remote(reachable(run(repo.get_ephemeral_remote_url()), server)) == {"refs/heads/draft": tip}


def test_a_policy_in_the_remote_address_refuses_the_push(
    client: GitStorage, server: Server, name: str, git: Git, tmp_path: Path
) -> None:
    repo = run(client.create_repo(id=name))
    commit(repo, "Start", {"a": b"1"})
    policies: list[RefPolicy] = [{"pattern": "main", "ops": ["no-push"]}]
    remote = reachable(run(repo.get_remote_url(ref_policies=policies)), server)
    work = git.clone(remote, tmp_path / "work")
    git.commit(work, {"a": b"2"})
    with pytest.raises(GitError, match="denied by policy"):
        git.run("push", "origin", "main", cwd=work)
    git.run("push", "--quiet", "origin", "main:other", cwd=work)


def test_a_read_only_remote_address_cannot_push(
    client: GitStorage, server: Server, name: str, git: Git, tmp_path: Path
) -> None:
    repo = run(client.create_repo(id=name))
    commit(repo, "Start", {"a": b"1"})
    remote = reachable(run(repo.get_remote_url(permissions=["git:read"], ttl=600)), server)
    work = git.clone(remote, tmp_path / "work")
    git.commit(work, {"a": b"2"})
    with pytest.raises(GitError, match="403"):
        git.run("push", "origin", "main", cwd=work)


def test_the_import_remote_takes_a_whole_history(
    client: GitStorage, server: Server, name: str, git: Git, tmp_path: Path
) -> None:
    repo = run(client.create_repo(id=name))
    work = git.init(tmp_path / "work")
    for number in range(5):
        tip = git.commit(work, {f"f{number}": b"x"})
    remote = reachable(run(repo.get_import_remote_url()), server)
    git.run("push", "--quiet", remote, "main", cwd=work)
    assert run(repo.list_branches())["branches"][0]["head_sha"] == tip
