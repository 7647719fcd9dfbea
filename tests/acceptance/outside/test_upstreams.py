"""Repositories that follow an upstream. The upstream is a repository of another server of ours."""

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ServerPool, StartServer
from tests.support.builders.rows import add_old_ref
from tests.support.clients.git import Git
from tests.support.clients.repo import Org, Repo
from tests.support.servers.server import Server
from tests.support.servers.server_process import STORED, ServerOptions
from tests.support.servers.upstreams import (
    base_of,
    count_runs,
    follow,
    pull,
    refs_of,
    remote_of,
    sync_events,
)
from tests.support.waiting import wait_until

IN_PROGRESS = "repository sync in progress, please retry shortly"


@pytest.fixture
def upstream(org: Org) -> Repo:
    """A repository on the shared server with two branches."""
    repo = org.create_repo()
    repo.write_commit("main", {"readme": b"one\n"})
    assert repo.api(
        "POST", "/branches/create", json={"target_branch": "topic", "base_branch": "main"}
    ).is_success
    repo.write_commit("topic", {"topic": b"1\n"})
    return repo


@pytest.fixture(scope="module")
def following_server(server_pool: ServerPool, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A second server, which may reach the shared one. For it, the shared one has the place of github."""
    url = server_pool.get("sqlite").url
    settings = {"trusted_hosts": url, "upstream_urls": f"github={url}"}
    running = Server(tmp_path_factory.mktemp("following"), ServerOptions(settings=settings)).start()
    yield running
    running.stop()


@pytest.fixture
def following(following_server: Server) -> Org:
    """An organisation on the second server."""
    return following_server.shared_org()


def test_a_pull_mirrors_branches_and_tags(git: Git, following: Org, upstream: Repo) -> None:
    mirror = follow(following, upstream)
    assert upstream.api("POST", "/tags", json={"name": "v1", "ref": "main"}).is_success
    assert mirror.branches() == {}
    pull(mirror)
    assert refs_of(git, remote_of(mirror)) == refs_of(git, remote_of(upstream))
    assert mirror.read_file("readme") == b"one\n"
    kinds = [kind for kind, _ in sync_events(mirror)]
    assert kinds == ["repo.sync.started", "repo.sync.succeeded"]
    started, ended = (payload for _, payload in sync_events(mirror))
    assert (started["run_count"], started["is_first_sync"]) == (0, True)
    assert (ended["run_count"], ended["is_first_sync"]) == (1, True)

    upstream.write_commit("main", {"readme": b"two\n"})
    assert upstream.api("DELETE", "/branches", json={"target_branch": "topic"}).is_success
    assert upstream.api("DELETE", "/tags/v1").is_success
    pull(mirror)
    assert refs_of(git, remote_of(mirror)) == refs_of(git, remote_of(upstream))
    assert sync_events(mirror)[-1][1]["run_count"] == 2
    assert sync_events(mirror)[-1][1]["is_first_sync"] is False


def test_upstream_refs_that_cannot_be_new_are_left_out_and_the_run_succeeds(
    git: Git, following: Org, upstream: Repo
) -> None:
    head, mirror = upstream.branches()["main"], follow(following, upstream)
    for name in ("refs/heads/HEAD", "refs/heads/-x", f"refs/heads/{'a' * 40}", "refs/tags/HEAD"):
        add_old_ref(upstream, name, head)
    pull(mirror)
    assert sync_events(mirror)[-1][0] == "repo.sync.succeeded"
    assert set(refs_of(git, remote_of(mirror))) == {"refs/heads/main", "refs/heads/topic"}
    add_old_ref(mirror, "refs/heads/HEAD", upstream.branches()["topic"])
    pull(mirror)
    assert mirror.branches()["HEAD"] == head
    assert upstream.api("DELETE", "/branches", json={"name": "HEAD"}).is_success
    moved = upstream.write_commit("main", {"readme": b"two\n"})
    pull(mirror, "HEAD")
    assert mirror.branches()["main"] == moved
    assert mirror.branches()["HEAD"] == head
    pull(mirror)
    assert "HEAD" not in mirror.branches()


def test_a_forced_push_upstream_is_mirrored(git: Git, following: Org, upstream: Repo, tmp_path: Path) -> None:
    mirror = follow(following, upstream)
    pull(mirror)
    work = git.clone(remote_of(upstream), tmp_path / "work")
    git.run("checkout", "--quiet", "--orphan", "fresh", cwd=work)
    git.commit(work, {"other": b"history\n"})
    git.run("push", "--quiet", "--force", "origin", "HEAD:main", cwd=work)
    pull(mirror)
    assert refs_of(git, remote_of(mirror)) == refs_of(git, remote_of(upstream))


def test_a_pull_of_one_ref_leaves_the_others(git: Git, following: Org, upstream: Repo) -> None:
    mirror = follow(following, upstream)
    pull(mirror)
    before = refs_of(git, remote_of(mirror))
    main = upstream.write_commit("main", {"readme": b"two\n"})
    upstream.write_commit("topic", {"topic": b"2\n"})
    pull(mirror, "main")
    assert refs_of(git, remote_of(mirror)) == {**before, "refs/heads/main": main}
    assert upstream.api("DELETE", "/branches", json={"target_branch": "topic"}).is_success
    pull(mirror, "refs/heads/topic")
    assert refs_of(git, remote_of(mirror)) == {"refs/heads/main": main}


def test_answers_name_the_upstream_and_hold_no_secret(following: Org, upstream: Repo) -> None:
    mirror = follow(following, upstream, password="hunter2-hunter2")
    expected = base_of(upstream)
    assert mirror.api("GET").json()["base_repo"] == expected
    token = following.sign(scopes=["org:read"])
    listed = following.request("GET", "/api/repos", token=token).json()["repos"]
    assert [repo["base_repo"] for repo in listed if repo["repo_name"] == mirror.name] == [expected]
    pull(mirror)
    assert [kind for kind, _ in sync_events(mirror)][-1] == "repo.sync.failed"
    assert sync_events(mirror)[-1][1]["error"] == "authentication failed"
    assert "hunter2" not in following.server.stderr()
    assert b"hunter2" not in (following.server.data / "packhouse.db").read_bytes()


def test_a_missing_credential_fails_the_run_not_the_request(following: Org, upstream: Repo) -> None:
    mirror = following.create_repo(base_repo=base_of(upstream))
    pull(mirror)
    assert sync_events(mirror)[-1][1]["error"] == "authentication failed"
    assert mirror.api("GET", "/files").status_code == 404
    assert mirror.post_commit("main", {"a": b"1"}).status_code == 502


def test_an_upstream_that_does_not_exist_fails_the_run(following: Org, upstream: Repo) -> None:
    mirror = follow(following, upstream, name="missing")
    pull(mirror)
    assert sync_events(mirror)[-1][0] == "repo.sync.failed"


# Writes


def test_writes_are_on_the_upstream_before_they_are_acknowledged(
    git: Git, following: Org, upstream: Repo, tmp_path: Path
) -> None:
    mirror = follow(following, upstream)
    pull(mirror)
    commit = mirror.write_commit("main", {"readme": b"from the mirror\n"})
    assert upstream.branches()["main"] == commit
    created = mirror.api("POST", "/branches/create", json={"target_branch": "new", "base_branch": "main"})
    assert created.is_success, created.text
    assert upstream.branches()["new"] == commit
    assert mirror.api("POST", "/tags", json={"name": "v2", "ref": "main"}).is_success
    assert refs_of(git, remote_of(upstream))["refs/tags/v2"] == commit
    assert mirror.api("DELETE", "/tags/v2").is_success
    assert "refs/tags/v2" not in refs_of(git, remote_of(upstream))
    assert mirror.api("DELETE", "/branches", json={"target_branch": "new"}).is_success
    assert "new" not in upstream.branches()

    work = git.clone(remote_of(mirror), tmp_path / "work")
    pushed = git.commit(work, {"pushed": b"1\n"})
    git.run("tag", "-m", "annotated", "v3", cwd=work)
    git.run("push", "--quiet", "--atomic", "origin", "main", "v3", "main:side", cwd=work)
    assert upstream.branches()["main"] == pushed
    assert upstream.branches()["side"] == pushed
    git.run("push", "--quiet", "--force", "origin", "main~1:main", cwd=work)
    assert upstream.branches()["main"] == commit
    git.run("push", "--quiet", "origin", ":side", cwd=work)
    assert "side" not in upstream.branches()
    wait_until(
        lambda: refs_of(git, remote_of(mirror)) == refs_of(git, remote_of(upstream)),
        "the pull after the writes",
    )


def test_notes_and_ephemeral_branches_are_never_pushed_to_the_upstream(
    git: Git, following: Org, upstream: Repo, tmp_path: Path
) -> None:
    mirror = follow(following, upstream)
    pull(mirror)
    work = git.clone(remote_of(mirror), tmp_path / "work")
    git.run("notes", "add", "-m", "a note", "main", cwd=work)
    git.run("push", "--quiet", "origin", "refs/notes/*:refs/notes/*", cwd=work)
    mirror.write_commit("scratch", {"a": b"1"}, ephemeral=True, base_branch="main")
    pull(mirror)
    assert set(refs_of(git, remote_of(upstream))) == {"refs/heads/main", "refs/heads/topic"}
    assert "refs/notes/commits" in refs_of(git, remote_of(mirror))
    assert "scratch" in mirror.branches(ephemeral="true")


def test_a_write_to_a_branch_that_the_upstream_has_moved_is_refused(
    git: Git, following: Org, upstream: Repo, tmp_path: Path
) -> None:
    mirror = follow(following, upstream)
    pull(mirror)
    before = mirror.branches()
    work = git.clone(remote_of(mirror), tmp_path / "work")
    ahead = upstream.write_commit("main", {"readme": b"ahead\n"})
    reply = mirror.post_commit("main", {"readme": b"behind\n"})
    assert reply.status_code == 409, reply.text
    assert reply.json()["result"]["status"] == "conflict"
    wait_until(lambda: mirror.branches()["main"] == ahead, "the pull after the refusal")
    further = upstream.write_commit("main", {"readme": b"further ahead\n"})
    git.run("reset", "--quiet", "--hard", before["main"], cwd=work)
    git.commit(work, {"pushed": b"1\n"})
    done = git.try_run("push", "--force", "origin", "main", cwd=work)
    assert b"main (upstream rejected)" in done.stderr, done.stderr
    wait_until(lambda: mirror.branches()["main"] == further, "the pull after the refusal")
    upstream.write_commit("main", {"readme": b"and again\n"})
    done = git.try_run("push", "--force", "origin", "main", "main:unmoved", cwd=work)
    assert b"main (upstream rejected)" in done.stderr, done.stderr
    assert "unmoved" in upstream.branches()


def test_an_upstream_that_is_down_refuses_writes_and_serves_reads(
    start_server: StartServer, following: Org, git: Git, tmp_path: Path
) -> None:
    first = start_server(name="upstream")
    settings = {"trusted_hosts": first.url, **STORED}
    mirroring = start_server(ServerOptions(settings=settings), name="mirroring").new_org()
    source = first.new_org().create_repo()
    tip = source.write_commit("main", {"readme": b"one\n"})
    mirror = follow(mirroring, source)
    pull(mirror)
    first.terminate()
    packs = set(mirroring.server.data.glob("repos/*/*/*/objects/pack/*"))
    assert packs
    reply = mirror.post_commit("main", {"readme": b"two\n"})
    assert reply.status_code == 502, reply.text
    assert reply.json()["result"]["status"] == "unavailable"
    work = git.clone(remote_of(mirror), tmp_path / "work")
    git.commit(work, {"pushed": b"1\n"})
    done = git.try_run("push", "origin", "main", cwd=work)
    assert done.returncode != 0
    assert b"upstream not available" in done.stderr, done.stderr
    assert mirror.branches() == {"main": tip}
    assert set(mirroring.server.data.glob("repos/*/*/*/objects/pack/*")) == packs, "a refused write stays out"


# States


def test_a_github_upstream_is_pulled_at_once_and_data_calls_wait_for_it(
    git: Git, following: Org, upstream: Repo
) -> None:
    owner, _, name = upstream.name.rpartition("/")
    base = {"owner": owner, "name": name, "auth": {"auth_type": "public"}}
    mirror = following.create_repo(base_repo=base)
    assert mirror.api("GET").json()["base_repo"] == {"provider": "github", "owner": owner, "name": name}
    wait_until(lambda: count_runs(mirror) == 1, "the first sync does not end")
    # The upstream wants a token, so the run fails. Reads show the repository as it is: empty.
    assert sync_events(mirror)[-1][1]["error"] == "authentication failed"
    assert mirror.api("GET", "/branches").json()["branches"] == []
    # In public mode writes stay here, and a pull prunes nothing.
    mirror.write_commit("main", {"local": b"1\n"})
    assert "local" not in upstream.list_paths()


def test_while_the_first_sync_runs_data_calls_are_refused(
    git: Git, start_server: StartServer, tmp_path: Path
) -> None:

    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        server = start_server(ServerOptions(settings={"trusted_hosts": f"http://127.0.0.1:{port}"}))
        base = {"owner": "o", "name": "n", "upstream_host": f"127.0.0.1:{port}"}
        mirror = server.new_org().create_repo(base_repo=base)
        for path in ("/branches", "/files", "/commits", "/tags"):
            reply = mirror.api("GET", path)
            assert (reply.status_code, reply.json()["error"]) == (409, IN_PROGRESS)
        assert mirror.post_commit("main", {"a": b"1"}).status_code == 409
        done = git.try_run("ls-remote", remote_of(mirror))
        assert b"409" in done.stderr, done.stderr
        answer = server.http.get(
            f"{server.url}/{mirror.name}.git/info/refs?service=git-upload-pack",
            headers={"Authorization": f"Bearer {mirror.token()}"},
        )
        assert (answer.status_code, answer.text.strip()) == (409, IN_PROGRESS)
        assert mirror.api("GET").status_code == 200
        events = f"{server.url}/api/v1/repos/events"
        with server.http.stream(
            "GET", events, headers={"Authorization": f"Bearer {mirror.token()}"}
        ) as stream:
            assert stream.status_code == 200, "its end can be waited for"
        assert mirror.api("DELETE", "/base").json() == {"message": "repository detached"}
        assert mirror.api("GET", "/branches").status_code == 200


def test_detaching_keeps_everything_and_later_writes_are_local(
    git: Git, following: Org, upstream: Repo
) -> None:
    mirror = follow(following, upstream)
    pull(mirror)
    before = refs_of(git, remote_of(mirror))
    for _ in range(2):
        reply = mirror.v1("DELETE", "/repos/base")
        assert (reply.status_code, reply.json()) == (200, {"message": "repository detached"})
    assert "base_repo" not in mirror.api("GET").json()
    assert refs_of(git, remote_of(mirror)) == before
    commit = mirror.write_commit("main", {"mine": b"1\n"})
    assert upstream.branches()["main"] != commit
    reply = mirror.api("POST", "/pull-upstream")
    assert reply.status_code == 400, reply.text


def test_a_token_that_may_push_nothing_may_not_pull(following: Org, upstream: Repo) -> None:
    mirror = following.create_repo(base_repo=base_of(upstream))
    token = mirror.token(refs=[["refs/heads/main", []], ["*", ["no-push"]]])
    assert mirror.api("POST", "/pull-upstream", token=token).status_code == 403
    reader = mirror.token(scopes=["git:read"])
    assert mirror.v1("POST", "/repos/pull-upstream", token=reader).status_code == 403
    assert following.repo().api("POST", "/pull-upstream").status_code == 404
    assert mirror.api("POST", "/pull-upstream", json={"ref": "a..b"}).status_code == 400


# Bad input


@pytest.mark.parametrize(
    "base",
    [
        {},
        {"owner": "o"},
        {"name": "n"},
        {"owner": "o", "name": "n", "provider": "svn"},
        {"owner": "o", "name": "n", "provider": "code", "operation": "sync"},
        {"owner": "o", "name": "n", "provider": "gitea"},
        {"owner": "o", "name": "n", "provider": "forgejo", "upstream_host": ""},
        {"owner": "o", "name": "n", "provider": "gitlab", "auth": {"auth_type": "public"}},
        {"owner": "o", "name": "n", "auth": {"auth_type": "private"}},
        {"owner": "o", "name": "n", "auth": {"token": "x"}},
        {"owner": "o", "name": "a/b"},
        {"owner": "../o", "name": "n"},
        {"owner": "o//p", "name": "n"},
        {"owner": "o?x", "name": "n"},
        {"owner": "o", "name": "n", "ref": "main"},
        *(
            {"owner": "o", "name": "n", "provider": "gitea", "upstream_host": host}
            for host in (
                "https://forge.example",
                "forge.example/path",
                "user@forge.example",
                "forge example",
                "forge.example:0",
                "forge.example:99999",
                "forge.example:",
                "127.0.0.1",
                "127.1",
                "2130706433",
                "0x7f000001",
                "0177.0.0.1",
                "[::1]",
                "[::ffff:127.0.0.1]",
                "[64:ff9b::7f00:1]",
                "169.254.169.254",
                "10.0.0.1:8443",
                "localhost",
                "localhost.",
            )
        ),
    ],
)
def test_a_malformed_upstream_base_creates_nothing(org: Org, base: dict[str, Any]) -> None:
    repo = org.repo()
    reply = repo.create(base_repo=base)
    assert reply.status_code == 400, reply.text
    assert repo.api("GET").status_code == 404


@pytest.mark.parametrize(
    ("provider", "fields"),
    [
        ("gitlab", {"owner": "group/sub"}),
        ("bitbucket", {}),
        ("codeberg", {}),
        ("sr.ht", {"owner": "~user"}),
        ("sourcehut", {}),
        ("gitea", {"upstream_host": "forge.invalid"}),
        ("forgejo", {"upstream_host": "forge.invalid:8443"}),
    ],
)
def test_every_provider_is_accepted_without_a_request_to_it(
    org: Org, provider: str, fields: dict[str, str]
) -> None:
    base = {"provider": provider, "owner": "o", "name": "n", **fields}
    repo = org.create_repo(base_repo=base, default_branch="trunk")
    shown = repo.api("GET").json()
    assert shown["base_repo"] == base
    assert shown["default_branch"] == "trunk"
    assert repo.api("GET", "/branches").status_code == 200
    assert repo.create(base_repo=base).status_code == 409
