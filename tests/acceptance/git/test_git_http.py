"""Git over HTTP below the level of an ordinary git: challenges, status codes, hostile bytes, lost clients."""

import base64
import gzip
import hashlib
import itertools
import struct
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.conftest import StartServer
from tests.support.clients.git import Git
from tests.support.clients.git_wire import RECEIVE, UPLOAD, ZERO, command, pack, pkt
from tests.support.clients.repo import Org, Repo
from tests.support.servers.server_process import ServerOptions, ServerProcess


def wire(repo: Repo, method: str, path: str, *, token: str | None = None, **options: Any) -> httpx.Response:
    """Send a request below the repository's remote address. An empty `token` sends none."""
    token = repo.token() if token is None else token
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    headers |= options.pop("headers", {})
    server = repo.org.server
    return server.http.request(method, f"{server.url}/{repo.name}{path}", headers=headers, **options)


def post(repo: Repo, service: str, body: bytes | Iterator[bytes], **headers: str) -> httpx.Response:
    content_type = {"Content-Type": f"application/x-{service}-request"}
    return wire(repo, "POST", f".git/{service}", content=body, headers=content_type | headers)


def advertise(repo: Repo, service: str, **options: Any) -> httpx.Response:
    return wire(repo, "GET", f"{options.pop('suffix', '')}.git/info/refs?service={service}", **options)


@pytest.fixture
def absent(org: Org) -> Repo:
    """A repository that does not exist."""
    return org.repo()


def quarantines(server: ServerProcess) -> list[Path]:
    """Return the quarantine folders of pushes. Commits over HTTP have a folder of their own there."""
    return list((server.data / "quarantine").glob("*/HEAD"))


@pytest.mark.parametrize("service", [UPLOAD, RECEIVE])
@pytest.mark.parametrize("token", ["", "not-a-token"])
def test_without_a_good_token_there_is_a_basic_challenge(absent: Repo, service: str, token: str) -> None:
    for reply in (
        advertise(absent, service, token=token),
        wire(absent, "POST", f".git/{service}", token=token, content=b"0000"),
    ):
        assert reply.status_code == 401
        assert reply.headers["WWW-Authenticate"] == 'Basic realm="code storage", charset="UTF-8"'
        assert reply.headers["Content-Type"].startswith("text/plain")


def test_an_expired_token_is_named_as_the_reason(repo: Repo) -> None:
    reply = advertise(repo, UPLOAD, token=repo.token(exp=int(time.time()) - 3600))
    assert (reply.status_code, "expired" in reply.text) == (401, True)


def test_the_password_is_the_token_whatever_the_user_is_called(repo: Repo) -> None:
    for user in ("t", "x-token", ""):
        credentials = base64.b64encode(f"{user}:{repo.token()}".encode()).decode()
        for scheme in ("Basic", "basic"):
            headers = {"Authorization": f"{scheme} {credentials}"}
            assert advertise(repo, UPLOAD, token="", headers=headers).status_code == 200


@pytest.mark.parametrize(
    ("credentials", "status"),
    [
        ("t:{token}\n", 200),
        ("{token}:", 200),
        ("{token}:x-oauth-basic", 200),
        ("{token}:\n", 200),
        ("{token}:x-oauth-basic\n", 200),
        ("{token}", 401),
        ("t:{token}\n\n", 401),
        ("t:{token}\r\n", 401),
        ("t:{token} ", 401),
        ("t: {token}", 401),
        ("{token}\n:", 401),
        ("{token}:x", 401),
        ("{token}:X-OAuth-Basic", 401),
        ("t:", 401),
        ("t:x-oauth-basic", 401),
        (":", 401),
        (":\n", 401),
        (":x-oauth-basic", 401),
    ],
)
def test_a_token_may_be_the_user_and_end_in_one_line_feed(
    repo: Repo, absent: Repo, credentials: str, status: int
) -> None:
    for token, expected in ((repo.token(), status), (absent.token(), 403 if status == 200 else 401)):
        encoded = base64.b64encode(credentials.format(token=token).encode()).decode()
        headers = {"Authorization": f"Basic {encoded}"}
        reply = advertise(repo, UPLOAD, token="", headers=headers)
        assert reply.status_code == expected
        assert ("WWW-Authenticate" in reply.headers) == (expected == 401)


@pytest.mark.parametrize("path", ["/api/v1/repo", "/api/repos"])
def test_the_api_takes_no_basic_credentials(repo: Repo, path: str) -> None:
    for credentials in (f"t:{repo.token()}", f"{repo.token()}:"):
        encoded = base64.b64encode(credentials.encode()).decode()
        reply = repo.org.server.http.get(
            repo.org.server.url + path, headers={"Authorization": f"Basic {encoded}"}
        )
        assert reply.status_code == 401


def test_scope_and_repository_are_checked_before_existence(absent: Repo, repo: Repo) -> None:
    read_only = absent.token(scopes=["git:read"])
    assert advertise(absent, RECEIVE, token=read_only).status_code == 403
    assert advertise(absent, UPLOAD, token=absent.token(scopes=["repo:write"])).status_code == 403
    assert advertise(absent, UPLOAD, token=repo.token()).status_code == 403
    assert advertise(absent, UPLOAD, token=absent.org.sign()).status_code == 403
    for service in (UPLOAD, RECEIVE):
        assert advertise(absent, service).status_code == 404
        assert advertise(absent, service).text.strip() == "repository not found"
    assert post(absent, UPLOAD, b"0000", **{"Git-Protocol": "version=2"}).status_code == 404


def test_the_read_scope_allows_a_fetch_and_no_push(repo: Repo) -> None:
    token = repo.token(scopes=["git:read"])
    assert advertise(repo, UPLOAD, token=token).status_code == 200
    assert advertise(repo, RECEIVE, token=token).status_code == 403
    assert advertise(repo, UPLOAD, token=repo.token(scopes=["git:write"])).status_code == 200


def test_advertisements_have_their_media_type_and_are_never_cached(repo: Repo) -> None:
    for service in (UPLOAD, RECEIVE):
        reply = advertise(repo, service)
        assert reply.headers["Content-Type"] == f"application/x-{service}-advertisement"
        assert reply.headers["Cache-Control"] == "no-cache"
        assert reply.content.startswith(pkt(f"# service={service}\n") + b"0000")
    v2 = advertise(repo, UPLOAD, headers={"Git-Protocol": "version=2"})
    assert v2.content.startswith(pkt("version 2\n"))


def test_a_deleted_repository_is_not_found_by_git(org: Org) -> None:
    repo = org.create_repo()
    assert repo.api("DELETE").status_code in (200, 204)
    assert advertise(repo, UPLOAD).status_code == 404


@pytest.mark.parametrize(
    "path",
    [
        "/info/refs",
        "/info/refs?service=git-upload-archive",
        "/HEAD",
        "/objects/info/packs",
        "/objects/info/alternates",
        "/objects/ab/" + "c" * 38,
        f"/objects/pack/pack-{ZERO}.pack",
    ],
)
def test_the_dumb_protocol_is_refused(repo: Repo, path: str) -> None:
    reply = wire(repo, "GET", f".git{path}")
    assert reply.status_code == 403
    assert reply.text.strip() == "only git's smart protocol is served"


LFS_CALLS = [
    ("POST", "/objects/batch"),
    ("POST", "/verify"),
    ("POST", "/objects/verify"),
    ("GET", "/locks"),
    ("POST", "/locks"),
    ("POST", "/locks/verify"),
    ("POST", "/locks/5/unlock"),
    ("GET", "/objects/" + "a" * 64),
    ("PUT", "/objects/" + "a" * 64),
    ("POST", "/objects/" + "a" * 64 + "/verify"),
    ("DELETE", "/locks/5"),
    ("PATCH", "/locks/5"),
    ("GET", ""),
    ("POST", "/a/b/c/d/e"),
]


@pytest.mark.parametrize(("method", "path"), LFS_CALLS)
@pytest.mark.parametrize("suffix", ["", ".git", "+ephemeral.git"])
def test_every_lfs_call_is_answered_with_a_message_and_without_an_address(
    repo: Repo, method: str, path: str, suffix: str
) -> None:
    accept = {"Accept": "application/vnd.git-lfs+json", "Content-Type": "application/vnd.git-lfs+json"}
    reply = wire(repo, method, f"{suffix}/info/lfs{path}", content=b"{}", headers=accept)
    assert reply.status_code == 404
    assert reply.headers["Content-Type"] == "application/vnd.git-lfs+json"
    assert reply.json()["message"] == "git LFS is not served"
    assert repo.token() not in reply.text
    assert "://" not in reply.text
    plain = wire(repo, method, f"{suffix}/info/lfs{path}", content=b"{}")
    assert plain.headers["Content-Type"] == "application/json"
    assert plain.json()["message"] == plain.json()["error"] == "git LFS is not served"


@pytest.mark.parametrize("service", [UPLOAD, RECEIVE])
def test_a_body_of_another_type_is_refused(repo: Repo, service: str) -> None:
    reply = wire(repo, "POST", f".git/{service}", content=b"0000", headers={"Content-Type": "text/plain"})
    assert reply.status_code == 415


def test_addresses_with_and_without_git_and_with_escapes_are_the_same(org: Org) -> None:
    repo = org.create_repo(f"deep/er+plus {time.time_ns()}")
    server = org.server
    escaped = repo.name.replace(" ", "%20")
    for name in (escaped, escaped.replace("/", "%2F"), "/" + escaped):
        for tail in (".git", ""):
            reply = server.http.get(
                f"{server.url}/{name}{tail}/info/refs?service={UPLOAD}",
                headers={"Authorization": f"Bearer {repo.token()}"},
            )
            assert reply.status_code == 200, name


def test_reads_of_the_import_remote_are_disabled(repo: Repo) -> None:
    reply = advertise(repo, UPLOAD, suffix="+import")
    assert (reply.status_code, reply.text.strip()) == (403, "reads are disabled on the import remote")
    headers = {"Content-Type": f"application/x-{UPLOAD}-request"}
    assert wire(repo, "POST", f"+import.git/{UPLOAD}", content=b"0000", headers=headers).status_code == 403
    assert advertise(repo, RECEIVE, suffix="+import").status_code == 200
    assert advertise(repo, UPLOAD, suffix="+import", token="").status_code == 401


def test_the_probe_before_a_large_push_is_answered_normally(repo: Repo) -> None:
    reply = post(repo, RECEIVE, b"0000")
    assert (reply.status_code, reply.content) == (200, b"")
    assert reply.headers["Content-Type"] == f"application/x-{RECEIVE}-result"


def test_gzip_and_chunks_are_understood(repo: Repo) -> None:
    tip = repo.write_commit("main", {"a": b"1"})
    body = pkt("command=ls-refs") + b"0001" + pkt("symrefs") + b"0000"
    for content in (gzip.compress(body), iter([gzip.compress(body)[:9], gzip.compress(body)[9:]])):
        reply = post(repo, UPLOAD, content, **{"Content-Encoding": "gzip", "Git-Protocol": "version=2"})
        assert reply.content.startswith(pkt(f"{tip} HEAD symref-target:refs/heads/main\n"))


@pytest.mark.parametrize("version", ["version=0", "version=1", "version=2"])
def test_malformed_fetch_requests_are_refused(repo: Repo, version: str) -> None:
    repo.write_commit("main", {"a": b"1"})
    for body in (
        b"",
        b"PACK",
        b"0003",
        b"zzzz",
        b"0009want",
        pkt("have x") + b"0000",
        b"0001",
        b"\xff" * 5000,
    ):
        reply = post(repo, UPLOAD, body, **{"Git-Protocol": version})
        assert (body, reply.status_code) == (body, 400)
        assert reply.headers["Content-Type"].startswith("text/plain")


def test_a_want_that_is_not_an_id_is_refused_in_v2(repo: Repo) -> None:
    repo.write_commit("main", {"a": b"1"})
    for arguments in (pkt("want-ref refs/heads/main"), pkt("want refs/heads/main"), pkt("want abc")):
        body = pkt("command=fetch") + b"0001" + arguments + pkt("done") + b"0000"
        assert post(repo, UPLOAD, body, **{"Git-Protocol": "version=2"}).status_code == 400
    unknown = pkt("command=object-info") + b"0001" + b"0000"
    reply = post(repo, UPLOAD, unknown, **{"Git-Protocol": "version=2"})
    assert reply.content == pkt("ERR unknown command 'object-info'")


@pytest.mark.parametrize("version", ["version=0", "version=2"])
def test_wants_of_an_empty_repository_are_refused(repo: Repo, version: str) -> None:
    want = pkt(f"want {'1' * 40}\n")
    body = pkt("command=fetch") + b"0001" + want + pkt("done") + b"0000"
    reply = post(
        repo,
        UPLOAD,
        body if version == "version=2" else want + b"0000" + pkt("done"),
        **{"Git-Protocol": version},
    )
    assert reply.content == pkt(f"ERR upload-pack: not our ref {'1' * 40}")


def test_a_fetch_request_that_inflates_a_thousandfold_is_cut_off(repo: Repo) -> None:
    bomb = gzip.compress(b"0000" * 16 * 1024 * 1024)
    reply = post(repo, UPLOAD, bomb, **{"Content-Encoding": "gzip"})
    assert reply.status_code == 413


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"junk",
        b"0001",
        pkt("hello") + b"0000",
        command(b"refs/heads/x", "1" * 40),
        command(b"refs/heads/x", "1" * 40) + b"0000",
        command(b"refs/heads/x", "1" * 40) + b"0000" + b"no pack at all, but text",
        command(b"refs/heads/x", "1" * 40, capabilities=b"object-format=sha256") + b"0000",
    ],
)
def test_malformed_pushes_are_refused(repo: Repo, body: bytes) -> None:
    reply = post(repo, RECEIVE, body)
    assert reply.status_code == 400
    assert reply.text.strip()


def test_more_ref_updates_than_allowed_are_refused(repo: Repo) -> None:
    line = command(b"refs/heads/x", "1" * 40)
    assert post(repo, RECEIVE, line * 100_000 + b"0000").status_code == 413


def test_names_that_git_does_not_allow_are_refused_one_by_one(repo: Repo) -> None:
    good, tree = commit_of_nothing()
    names = [
        b"refs/heads/\xff\xfe",
        b"refs/heads/../x",
        b"refs/heads/a..b",
        b"refs/heads/x.lock",
        b"HEAD",
        b"x",
    ]
    names += [b"refs/heads/" + b"n" * 2000, b"refs/heads/a b", b"refs/heads/@{1}"]
    oid = hashlib.sha1(b"commit %d\0" % len(good) + good).hexdigest()
    lines = b"".join(command(name, oid) for name in [*names, b"refs/heads/good"])
    reply = post(repo, RECEIVE, lines + b"0000" + pack((1, good), (2, tree)))
    assert reply.status_code == 200
    assert reply.content.startswith(pkt("unpack ok\n"))
    assert b"ng refs/heads/\xff\xfe invalid name\n" in reply.content
    assert reply.content.count(b" invalid name\n") == len(names)
    assert pkt("ok refs/heads/good\n") in reply.content


def commit_of_nothing() -> tuple[bytes, bytes]:
    """Return a commit and its empty tree."""
    tree_oid = hashlib.sha1(b"tree 0\0").hexdigest()
    return f"tree {tree_oid}\nauthor A <a@b> 1 +0000\ncommitter A <a@b> 1 +0000\n\nx\n".encode(), b""


def assert_push_leaves_nothing(repo: Repo, body: bytes, *words: bytes) -> None:
    server = repo.org.server
    folders = set((server.data / "repos").glob("*/*/*"))
    reply = post(repo, RECEIVE, body)
    assert reply.status_code == 200
    for word in words:
        assert word in reply.content
    assert b"ok refs/" not in reply.content.replace(b"unpack ok", b"")
    assert set((server.data / "repos").glob("*/*/*")) == folders
    assert not quarantines(server)
    assert advertise(repo, RECEIVE).content.count(b"refs/heads/") == 0


def test_packs_that_are_damaged_or_incomplete_leave_nothing(org: Org) -> None:
    repo = org.create_repo()
    commit, tree = commit_of_nothing()
    oid = hashlib.sha1(b"commit %d\0" % len(commit) + commit).hexdigest()
    bands = b"report-status side-band-64k"
    head = command(b"refs/heads/main", oid, capabilities=bands) + b"0000"
    whole = pack((1, commit), (2, tree))
    failed = b"unpack index-pack failed"
    assert_push_leaves_nothing(repo, head + whole[:-30], failed)
    assert_push_leaves_nothing(repo, head + whole[:-1] + b"\0", failed)
    assert_push_leaves_nothing(repo, head + whole[:12] + b"\x9f" * 100_000, failed)
    headless = commit.replace(hashlib.sha1(b"tree 0\0").hexdigest().encode(), b"2" * 40)
    missing_tree = hashlib.sha1(b"commit %d\0" % len(headless) + headless).hexdigest().encode()
    assert_push_leaves_nothing(repo, head.replace(oid.encode(), missing_tree) + pack((1, headless)), failed)
    assert_push_leaves_nothing(repo, head + pack((2, tree)), b"ng refs/heads/main missing necessary objects")
    assert_push_leaves_nothing(repo, head + pack(), b"ng refs/heads/main missing necessary objects")
    assert_push_leaves_nothing(
        repo, head.replace(oid.encode(), b"1" * 40) + whole, b"missing necessary objects"
    )
    claims_many = struct.pack(">4sII", b"PACK", 2, 2**31)
    assert_push_leaves_nothing(repo, head + claims_many, failed)


def test_a_delta_bomb_costs_no_memory_and_leaves_nothing(org: Org) -> None:
    # A tree of a gigabyte of zeros takes a megabyte on the wire; git must not be allowed to hold it.
    repo = org.create_repo()
    size = 6 * 1024 * 1024 * 1024
    head, byte, rest = [], 2 << 4 | size & 15, size >> 4
    while rest:
        head.append(byte | 0x80)
        byte, rest = rest & 0x7F, rest >> 7
    body = struct.pack(">4sII", b"PACK", 2, 1) + bytes([*head, byte]) + zlib.compress(b"\0" * 100_000_000, 9)
    body += hashlib.sha1(body).digest()
    line = command(b"refs/heads/main", "1" * 40) + b"0000"
    assert_push_leaves_nothing(repo, line + body, b"unpack index-pack failed")


def test_a_branch_cannot_point_to_a_tree(repo: Repo) -> None:
    line = command(b"refs/heads/main", hashlib.sha1(b"tree 0\0").hexdigest()) + b"0000"
    assert (
        b"ng refs/heads/main a branch must point to a commit"
        in post(repo, RECEIVE, line + pack((2, b""))).content
    )


def test_one_good_ref_of_a_push_with_a_bad_one_moves(repo: Repo) -> None:
    commit, tree = commit_of_nothing()
    oid = hashlib.sha1(b"commit %d\0" % len(commit) + commit).hexdigest()
    lines = command(b"refs/heads/bad", "1" * 40) + command(b"refs/heads/good", oid)
    reply = post(repo, RECEIVE, lines + b"0000" + pack((1, commit), (2, tree)))
    assert b"ng refs/heads/bad missing necessary objects" in reply.content
    assert pkt("ok refs/heads/good\n") in reply.content
    same = command(b"refs/heads/one", oid) * 2
    reply = post(repo, RECEIVE, same + b"0000" + pack())
    assert b"ng refs/heads/one more than one update of the same ref" in reply.content


def test_deleting_a_missing_ref_changes_nothing(repo: Repo) -> None:
    reply = post(repo, RECEIVE, command(b"refs/heads/none", ZERO) + b"0000")
    assert pkt("ok refs/heads/none\n") in reply.content
    reply = post(repo, RECEIVE, command(b"refs/heads/none", ZERO, "1" * 40) + b"0000")
    assert b"ng refs/heads/none the ref does not exist" in reply.content


def test_of_many_pushes_to_one_ref_exactly_one_succeeds(repo: Repo, git: Git, tmp_path: Path) -> None:
    base = repo.write_commit("main", {"a": b"1"})
    line = command(b"refs/heads/main", ZERO, base)
    tips = []
    for number in range(6):
        commit, _ = commit_of_nothing()
        commit = commit.replace(b"\n\nx", b"\n\n%d" % number)
        oid = hashlib.sha1(b"commit %d\0" % len(commit) + commit).hexdigest()
        line = command(b"refs/heads/main", oid, base)
        tips.append(line + b"0000" + pack((1, commit), (2, b"")))
    replies = [post(repo, RECEIVE, body).content for body in tips]
    assert sum(b"ok refs/heads/main" in reply for reply in replies) == 1
    assert sum(b"the ref has moved, fetch first" in reply for reply in replies) == 5


def test_a_pack_over_the_limit_is_refused_with_a_sentence(
    start_server: StartServer, git: Git, tmp_path: Path
) -> None:
    server = start_server(ServerOptions(settings={"push_max_bytes": "100000"}))
    repo = server.new_org().create_repo()
    work = git.init(tmp_path / "work")
    with Path("/dev/urandom").open("rb") as random:
        git.commit(work, {"large": random.read(3 * 1024 * 1024)})
    done = git.try_run("push", repo.remote(), "main", cwd=work)
    assert done.returncode != 0
    assert b"pack exceeds maximum allowed size" in done.stderr
    assert not list((server.data / "repos").glob("*/*/*"))
    endless = (b"\0" * 65536 for _ in range(2000))
    head = command(b"refs/heads/main", "1" * 40) + b"0000" + pack()[:4]
    assert post(repo, RECEIVE, itertools.chain([head], endless)).status_code == 413
