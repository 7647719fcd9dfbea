"""Upstreams that are not servers of ours: nginx with git-http-backend, TLS, and servers that misbehave."""

import dataclasses
import json
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from bench.nginx import PROGRAMS, NginxGit
from packhouse.auth.principal import operator_principal
from packhouse.config import Config
from packhouse.git.commands.environment import GitPlace
from packhouse.git.commands.run import AtPlace, run_git
from packhouse.git.commands.transport.ls_remote import list_remote_refs
from packhouse.git.commands.transport.remote import Remote, RemoteLogin, RemoteServer
from packhouse.limits import Limits
from packhouse.node.node import open_node
from packhouse.operations.events.open_events import EventReader
from packhouse.operations.repos.bases import UpstreamBase
from packhouse.operations.repos.create_repo import CreateRepo, create_repo
from packhouse.operations.sync.create_credential import CreateCredential, create_credential
from packhouse.operations.sync.sync_upstream import SyncUpstream, sync_upstream
from packhouse.operations.tenants.create_org import CreateOrg, create_org
from packhouse.secret import Secret
from tests.conftest import ServerPool, StartServer
from tests.support.clients.git import Git
from tests.support.clients.repo import Org, Repo
from tests.support.servers.programs import need_programs
from tests.support.servers.server import Server
from tests.support.servers.server_process import ServerOptions
from tests.support.servers.tls import TlsFiles
from tests.support.servers.upstreams import (
    Gateway,
    HostileUpstream,
    ask_for_pull,
    count_runs,
    follow,
    follow_base,
    last_error,
    pull,
    refs_of,
    remote_of,
    sync_events,
)
from tests.support.waiting import wait_until

PASSWORD = "hunter2-hunter2"  # no account has this password
HANDLER = BaseHTTPRequestHandler


def start_following(start_server: StartServer, *trusted: str, **settings: str) -> Org:
    """Start a server that may reach `trusted`, and return an organisation on it."""
    given = {"trusted_hosts": ",".join(trusted), **settings}
    return start_server(ServerOptions(settings=given), name="following").new_org()


@pytest.fixture
def source(org: Org) -> Repo:
    """A repository on the shared server."""
    repo = org.create_repo()
    repo.write_commit("main", {"readme": b"one\n"})
    return repo


# nginx with git-http-backend


@pytest.fixture
def nginx(tmp_path: Path, git: Git) -> Iterator[NginxGit]:
    """nginx, fcgiwrap and git-http-backend with one repository, `team/shop.git`."""
    need_programs(*PROGRAMS)
    work = git.init(tmp_path / "upstream-work")
    git.commit(work, {"readme": b"one\n"})
    git.run("tag", "-m", "first", "v1", cwd=work)
    with NginxGit(tmp_path / "nginx", git) as server:
        (tmp_path / "nginx" / "repos" / "team").mkdir()
        server.add_repo("team/shop.git", work)
        yield server


def test_a_repository_behind_nginx_is_followed_in_both_directions(
    git: Git, nginx: NginxGit, start_server: StartServer, tmp_path: Path
) -> None:
    url = nginx.remote("team/shop.git", buffering="off")
    host = url.partition("@")[2].partition("/")[0]
    base = {"provider": "forgejo", "owner": "team", "name": "shop", "upstream_host": host}
    org = start_following(start_server, f"http://{host}")
    mirror = follow_base(org, base, username="t", password="secret")  # nginx's, above
    pull(mirror)
    assert refs_of(git, remote_of(mirror)) == refs_of(git, url)

    commit = mirror.write_commit("main", {"readme": b"two\n"})
    assert refs_of(git, url)["refs/heads/main"] == commit
    work = git.clone(url, tmp_path / "work")
    git.run("checkout", "--quiet", "-b", "side", cwd=work)
    side = git.commit(work, {"side": b"1\n"})
    git.run("push", "--quiet", "origin", "side", ":v1", cwd=work)
    wait_until(lambda: count_runs(mirror) == 2, "the pull after the write")
    pull(mirror)
    assert refs_of(git, remote_of(mirror)) == {"refs/heads/main": commit, "refs/heads/side": side}

    hook = tmp_path / "nginx/repos/team/shop.git/hooks/update"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text('#!/bin/sh\ntest "$1" != refs/heads/side\n')
    hook.chmod(0o755)
    clone = git.clone(remote_of(mirror), tmp_path / "clone")
    git.commit(clone, {"readme": b"three\n"})
    done = git.try_run("push", "origin", "main", "+main:side", cwd=clone)
    assert b"side (upstream rejected)" in done.stderr, done.stderr
    assert refs_of(git, url)["refs/heads/main"] == refs_of(git, remote_of(mirror))["refs/heads/main"]
    assert mirror.post_commit("side", {"more": b"1\n"}).status_code == 409
    assert mirror.branches()["side"] == side


def test_a_write_whose_answer_is_lost_is_pulled(
    git: Git, nginx: NginxGit, start_server: StartServer, tmp_path: Path
) -> None:
    url = nginx.remote("team/shop.git", buffering="off")
    host = url.partition("@")[2].partition("/")[0]
    base = {"provider": "forgejo", "owner": "team", "name": "shop", "upstream_host": host}
    mirror = follow_base(
        start_following(start_server, f"http://{host}"), base, username="t", password="secret"
    )
    pull(mirror)
    before = mirror.branches()["main"]
    hook = tmp_path / "nginx/repos/team/shop.git/hooks/reference-transaction"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text('#!/bin/sh\ntest "$1" != committed || kill -KILL "$PPID"\n')
    hook.chmod(0o755)
    assert mirror.post_commit("main", {"readme": b"two\n"}).status_code == 502
    assert mirror.branches()["main"] == before
    wanted = refs_of(git, url)["refs/heads/main"]
    assert wanted != before, "the upstream has taken it"
    wait_until(lambda: mirror.branches()["main"] == wanted, "nobody looks what became of the write")


# TLS


def test_a_certificate_is_trusted_only_with_its_authority(
    git: Git, start_server: StartServer, server_pool: ServerPool, tls_files: TlsFiles
) -> None:
    source = server_pool.get("tls").shared_org().create_repo()
    source.write_commit("main", {"readme": b"one\n"})
    doubting = start_server(
        ServerOptions(settings={"trusted_hosts": source.org.server.url}), name="a"
    ).new_org()
    mirror = follow(doubting, source)
    pull(mirror)
    assert last_error(mirror) == "certificate is not valid"
    settings = {"trusted_hosts": source.org.server.url, "outbound_ca": str(tls_files.ca)}
    mirror = follow(start_server(ServerOptions(settings=settings), name="b").new_org(), source)
    pull(mirror)
    assert mirror.branches() == source.branches()


# Servers that misbehave


def reset(handler: HANDLER) -> None:
    handler.connection.close()


def redirect_inside(handler: HANDLER) -> None:
    handler.send_response(302)
    handler.send_header("Location", f"http://{handler.headers['Host']}/elsewhere.git/info/refs")
    handler.end_headers()


def refuse(handler: HANDLER) -> None:
    handler.send_response(401)
    handler.send_header("WWW-Authenticate", 'Basic realm="x"')
    handler.send_header("Content-Length", "0")
    handler.end_headers()


def talk_nonsense(handler: HANDLER) -> None:
    handler.send_response(200)
    handler.send_header("Content-Type", "application/x-git-upload-pack-advertisement")
    handler.end_headers()
    handler.wfile.write(b"zzzz this is no packet\n")


def advertise_missing(handler: HANDLER) -> None:
    handler.send_response(200)
    handler.send_header("Content-Type", "application/x-git-upload-pack-advertisement")
    handler.end_headers()
    line = b"1" * 40 + b" refs/heads/main\0ofs-delta\n"
    if handler.command == "GET":
        handler.wfile.write(b"001e# service=git-upload-pack\n0000%04x" % (len(line) + 4) + line + b"0000")


def break_off(handler: HANDLER) -> None:
    handler.send_response(200)
    handler.send_header("Content-Type", "application/x-git-upload-pack-advertisement")
    handler.send_header("Content-Length", "100000")
    handler.end_headers()
    handler.wfile.write(b"001e# service=git-upload-pack\n0000")


@pytest.fixture(scope="module")
def hostile() -> Iterator[HostileUpstream]:
    """A server whose `answer` each test sets."""
    with HostileUpstream(reset) as upstream:
        yield upstream


@pytest.fixture(scope="module")
def victim(hostile: HostileUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Org]:
    """An organisation on a server that may reach the hostile one."""
    options = ServerOptions(settings={"trusted_hosts": f"http://{hostile.host_port}"})
    server = Server(tmp_path_factory.mktemp("victim"), options).start()
    yield server.shared_org()
    server.stop()


@pytest.mark.parametrize(
    ("answer", "errors"),
    [
        (reset, {"connection broke off"}),
        (redirect_inside, {"upstream answers with a redirect"}),
        (refuse, {"authentication failed"}),
        (talk_nonsense, {"upstream sent objects that are not accepted", "upstream failed"}),
        (advertise_missing, {"connection broke off", "upstream failed"}),
        (break_off, {"connection broke off"}),
    ],
)
def test_an_upstream_that_misbehaves_ends_the_run_with_a_short_error(
    hostile: HostileUpstream, victim: Org, answer: Callable[[HANDLER], None], errors: set[str]
) -> None:
    hostile.answer, hostile.requests = answer, 0
    base = {"provider": "gitea", "owner": "o", "name": "n", "upstream_host": hostile.host_port}
    mirror = follow_base(victim, base, password=PASSWORD)
    pull(mirror)
    assert last_error(mirror) in errors
    assert hostile.requests <= 12
    assert mirror.branches() == {}
    assert PASSWORD not in victim.server.stderr()
    assert not any((victim.server.data / "repos").glob("*/*/*/objects/pack/*"))


def test_an_upstream_that_sends_too_much_is_cut_off(
    git: Git, start_server: StartServer, source: Repo
) -> None:
    source.write_commit("main", {"large": os.urandom(8 * 1024 * 1024)})
    org = start_following(start_server, source.org.server.url, push_max_bytes="1000000")
    mirror = follow(org, source)
    pull(mirror)
    assert last_error(mirror) == "upstream sent too much"
    assert mirror.branches() == {}


def test_hostile_objects_of_an_upstream_are_not_accepted(
    git: Git, nginx: NginxGit, start_server: StartServer, tmp_path: Path
) -> None:
    bare = tmp_path / "nginx/repos/team/shop.git"
    blob = git.run("hash-object", "-w", "--stdin", cwd=bare, stdin=b"evil\n")
    tree = git.run("mktree", cwd=bare, stdin=f"100644 blob {blob}\t.git\n".encode())
    commit = git.run("commit-tree", "-m", "hostile", tree, cwd=bare)
    url = nginx.remote("team/shop.git", buffering="off")
    host = url.partition("@")[2].partition("/")[0]
    base = {"provider": "forgejo", "owner": "team", "name": "shop", "upstream_host": host}
    org = start_following(start_server, f"http://{host}")
    mirror = follow_base(org, base, username="t", password="secret")  # nginx's, above
    pull(mirror)
    before = mirror.branches()
    git.run("update-ref", "refs/heads/main", commit, cwd=bare)
    pull(mirror)
    assert last_error(mirror) == "upstream sent objects that are not accepted"
    assert mirror.branches() == before


def test_an_upstream_with_too_many_refs_is_not_mirrored(git: Git, nginx: NginxGit, tmp_path: Path) -> None:
    bare = tmp_path / "nginx/repos/team/shop.git"
    for number in range(3):
        git.run("branch", f"more{number}", "main", cwd=bare)
    host = nginx.remote("", buffering="off").partition("@")[2].rstrip("/")
    config = Config(data=tmp_path / "data", trusted_hosts=f"http://{host}")
    node = open_node(config, limits=Limits(upstream_refs_max=3))
    org = create_org(node, CreateOrg("acme"))
    caller = dataclasses.replace(operator_principal(org.id, org.name), repo_claim="shop")
    base = UpstreamBase("forgejo", "team", "shop", host)
    mirror = create_repo(node, caller, CreateRepo("shop", base=base))
    create_credential(node, caller, CreateCredential("shop", Secret("secret"), "t"))
    assert sync_upstream(node, SyncUpstream(mirror.public_id))
    *_, ended = EventReader(node, mirror.id).read()
    assert json.loads(ended.payload)["error"] == "upstream has too many refs"
    node.close()


def test_a_host_that_is_not_trusted_is_not_connected_to(start_server: StartServer, source: Repo) -> None:
    """A name of a private address is refused once it is resolved, at creation or later."""
    with Gateway(("127.0.0.1", 1)) as gateway:
        port = gateway.host_port.partition(":")[2]
        org = start_following(start_server, "http://127.0.0.1:1")
        base = {"provider": "gitea", "owner": "o", "name": "n", "upstream_host": f"localhost:{port}"}
        assert org.repo().create(base_repo=base).status_code == 400
        assert gateway.accepted == 0


# Arguments and environment of git


def test_git_connects_to_the_checked_address_though_the_name_has_another_now(
    git: Git, source: Repo, tmp_path: Path
) -> None:
    port = source.org.server.port
    bare = tmp_path / "scratch.git"
    git.run("init", "--quiet", "--bare", bare)
    server = RemoteServer(
        url=f"http://upstream.invalid:{port}/{source.name}.git",
        scheme="http",
        host="upstream.invalid",
        port=port,
        addresses=["127.0.0.1"],
    )
    login = RemoteLogin("bot", Secret(source.token()))
    found = list_remote_refs(
        AtPlace(GitPlace(bare)), Remote(server, login), [b"main"], timeout_s=30, watch=lambda: None
    )
    assert found == {b"refs/heads/main"}
    other = run_git(GitPlace(bare), "ls-remote", server.url, ok_codes=frozenset({128}))
    assert b"not allowed" in other.stderr


def test_a_credential_is_in_no_argument_and_no_variable(start_server: StartServer, source: Repo) -> None:
    with Gateway(("127.0.0.1", source.org.server.port)) as gateway:
        org = start_following(start_server, f"http://{gateway.host_port}")
        mirror = follow(org, source, upstream_host=gateway.host_port, password=PASSWORD)
        ask_for_pull(mirror)
        wait_until(lambda: gateway.accepted > 0, "git does not connect")
        seen = b""
        for pid in org.server.git_processes():
            for name in ("cmdline", "environ"):
                with suppress(FileNotFoundError, ProcessLookupError):  # one that has done its part
                    seen += Path(f"/proc/{pid}/{name}").read_bytes()
        assert b"credential.helper" in seen
        assert PASSWORD.encode() not in seen
        assert mirror.api("DELETE", "/base").status_code == 200
        wait_until(lambda: not org.server.git_processes(), "git goes on after the detaching")
    wait_until(lambda: count_runs(mirror) == 1, "nobody hears of the end")
    assert last_error(mirror) == "repository was detached"
    assert mirror.api("GET", "/branches").json()["branches"] == []


def test_a_first_sync_ends_when_its_repository_is_deleted_and_runs_after_undelete(
    start_server: StartServer, source: Repo
) -> None:
    with Gateway(("127.0.0.1", source.org.server.port)) as gateway:
        org = start_following(start_server, f"http://{gateway.host_port}")
        mirror = follow(org, source, upstream_host=gateway.host_port)
        ask_for_pull(mirror)
        wait_until(lambda: gateway.accepted > 0, "git does not connect")
        assert mirror.api("DELETE").status_code == 200
        wait_until(lambda: not org.server.git_processes(), "git goes on after the deletion")
        gateway.is_open = True
        org.server.cli("repo", "undelete", org.name, mirror.name)
        wait_until(lambda: mirror.api("GET", "/branches").status_code == 200, "the sync does not go on")
        assert mirror.branches() == source.branches()


def test_a_sync_goes_on_after_a_kill_in_the_middle(git: Git, start_server: StartServer, source: Repo) -> None:
    with Gateway(("127.0.0.1", source.org.server.port)) as gateway:
        org = start_following(start_server, f"http://{gateway.host_port}", job_lease_s="2")
        mirror = follow(org, source, upstream_host=gateway.host_port)
        ask_for_pull(mirror)
        wait_until(lambda: gateway.accepted > 0, "git does not connect")
        org.server.kill()
        gateway.is_open = True
        org.server.start()
        wait_until(lambda: count_runs(mirror) == 1, "nobody takes the sync over")
        assert sync_events(mirror)[-1][0] == "repo.sync.succeeded"
    assert mirror.branches() == source.branches()
    assert git.run("fsck", "--strict", "--no-dangling", cwd=mirror.folder()) == ""


def test_a_pull_joins_the_one_that_runs(start_server: StartServer, source: Repo) -> None:
    with Gateway(("127.0.0.1", source.org.server.port)) as gateway:
        org = start_following(start_server, f"http://{gateway.host_port}")
        mirror = follow(org, source, upstream_host=gateway.host_port)
        ask_for_pull(mirror)
        wait_until(lambda: gateway.accepted > 0, "git does not connect")
        for _ in range(20):
            ask_for_pull(mirror)
        assert mirror.api("DELETE", "/base").status_code == 200
        wait_until(lambda: "sync_upstream" not in org.server.cli("jobs", "list"), "a job waits for ever")
        assert gateway.accepted <= 2
