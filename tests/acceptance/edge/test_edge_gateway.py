"""A gateway that goes by the OpenAPI document lets through what the server accepts, and stops what it refuses."""

import itertools
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import httpx
import pytest

from packhouse.web.routing.dialects import REQUEST_ALIASES
from tests.support.clients.python_client import commit, make_client, run
from tests.support.clients.repo import AUTHOR, Org, Repo, ndjson_line
from tests.support.servers.gateway import read_exchange
from tests.support.servers.server import Server

DIALECTS = ("released", "preferred")
Members = dict[str, Any]
_numbers = itertools.count()


@pytest.fixture
def stocked(repo: Repo) -> Repo:
    """A repository with two branches that can be merged, and a note."""
    repo.write_commit("main", {"a.txt": b"one\n"})
    repo.write_commit("topic", {"b.txt": b"two\n"}, base_branch="main")
    note = {"object_ref": "main", "note": "n", "notes_ref": "reviews"}
    assert repo.api("POST", "/notes", json=note).status_code == 201
    return repo


def send(repo: Repo, dialect: str, method: str, path: str, members: Mapping[str, Any]) -> httpx.Response:
    """Send a query, a JSON body, or with `metadata` and `lines` a stream. The client checks the answer."""
    call, path = (repo.api, path) if dialect == "preferred" else (repo.v1, f"/repos{path}")
    if method == "GET":
        return call(method, path, params=dict(members))
    if "lines" in members:
        content = b"".join(
            ndjson_line(line) for line in ({"metadata": members["metadata"]}, *members["lines"])
        )
        return call(method, path, content=content, headers={"Content-Type": "application/x-ndjson"})
    return call(method, path, json=dict(members))


def calls(repo: Repo) -> dict[str, tuple[str, str, Members]]:
    """Return a call, under new names, for each operation that has old names."""
    number = next(_numbers)
    tip = repo.branches()["main"]
    notes = repo.api("GET", "/notes/refs").json()["refs"][0]
    branch, tag = f"b{number}", f"t{number}"
    for name in (branch, f"c{number}"):
        made = repo.api("POST", "/branches/create", json={"target_branch": name, "base_ref": "main"})
        assert made.status_code == 200, made.text
    commit_members = {
        "target_branch": f"c{number}",
        "commit_message": "m",
        "author": AUTHOR,
        "expected_target_sha": tip,
        "target_is_ephemeral": False,
        "base_is_ephemeral": False,
    }
    patch = "LS0tIGEvYS50eHQKKysrIGIvYS50eHQKQEAgLTEgKzEgQEAKLW9uZQordHdvCg=="
    guarded = {"notes_ref": "reviews", "expected_notes_ref_sha": notes["sha"]}
    return {
        "list_commits": ("GET", "/commits", {"ref": "main"}),
        "get_commit": ("GET", "/commit", {"ref": "main"}),
        "commit_diff": ("GET", "/diff", {"ref": "topic", "base_ref": "main", "git_apply_compatible": "TRUE"}),
        "merge": ("POST", "/merge", {"source_ref": "topic", "target_branch": branch, "strategy": "merge"}),
        "preview_merge": ("GET", "/merge/preview", {"source_ref": "topic", "target_branch": "main"}),
        "create_tag": ("POST", "/tags", {"name": tag, "ref": "main"}),
        "delete_branch": ("DELETE", "/branches", {"target_branch": branch}),
        "create_commit": ("POST", "/commit-pack", {"metadata": commit_members, "lines": []}),
        "diff_commit": (
            "POST",
            "/diff-commit",
            {"metadata": commit_members, "lines": [{"diff_chunk": {"data": patch, "eof": True}}]},
        ),
        "restore_commit": ("POST", "/restore-commit", {"metadata": restore_members(branch, tip)}),
        "reset_commits": ("POST", "/reset-commits", {"metadata": restore_members(branch, tip)}),
        "get_note": ("GET", "/notes", {"object_ref": "main", "notes_ref": "reviews"}),
        "write_note": ("POST", "/notes", {"object_ref": "topic", "action": "append", "note": "n", **guarded}),
        "delete_note": ("DELETE", "/notes", {"object_ref": "main", **guarded}),
        "grep": ("POST", "/grep", {"query": {"pattern": "one"}, "ref": "main"}),
    }


def restore_members(branch: str, tip: str) -> Members:
    """Return the metadata of a restore."""
    return {"target_branch": branch, "base_ref": tip, "author": AUTHOR, "expected_target_sha": tip}


def with_old_names(where: str, members: Members, old: int, *, blank: bool) -> Members:
    """Return the members under their old names. With `blank`, the new names are there too and have no value."""
    renamed: Members = {}
    for name, value in members.items():
        if name == "metadata":
            renamed[name] = with_old_names(where, value, old, blank=blank)
            continue
        old_names = REQUEST_ALIASES[where].get(name)
        renamed[name if old_names is None else str(old_names[old % len(old_names)])] = value
        if blank and old_names is not None and isinstance(value, str):
            renamed[name] = " "
    return renamed


@pytest.mark.parametrize("where", REQUEST_ALIASES)
@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_call_by_new_or_old_names_is_accepted_and_valid(stocked: Repo, dialect: str, where: str) -> None:
    method, path, members = calls(stocked)[where]
    reply = send(stocked, dialect, method, path, members)
    assert reply.status_code < 300, reply.text
    for old in (0, 1):
        for blank in (False, True):
            if where == "delete_note":
                added = {"object_ref": "main", "action": "append", "note": "again", "notes_ref": "reviews"}
                assert stocked.api("POST", "/notes", json=added).status_code == 200
            method, path, members = calls(stocked)[where]
            reply = send(stocked, dialect, method, path, with_old_names(where, members, old, blank=blank))
            assert reply.status_code < 300, reply.text


TAKEN: list[tuple[str, str, Members]] = [
    ("GET", "/branches", {"limit": "0"}),
    ("GET", "/branches", {"limit": "100000", "cursor": "", "ephemeral": "0"}),
    ("GET", "/branches", {"limit": " 7 ", "ephemeral": "False", "unknown": "x"}),
    ("GET", "/files", {"limit": "0", "cursor": "", "recursive": "1", "path": "/"}),
    ("GET", "/files/metadata", {"limit": "100000", "ephemeral": ""}),
    ("GET", "/commits", {"cursor": "0", "ref": " main ", "path": "a.txt"}),
    ("GET", "/diff", {"ref": "HEAD~0", "path": ["a.txt", "folder/"]}),
    ("GET", "/branches/diff", {"branch": "refs/heads/topic", "base": ""}),
    ("GET", "/blame", {"path": "/a.txt", "range": ["1,1", "1,+5"], "detect_moves": "TRUE"}),
    ("GET", "/notes/refs", {"prefix": "refs/notes/", "limit": "100000"}),
    ("POST", "/branches/create", {"target_branch": "n1", "base_branch": "main", "force": None}),
    (
        "POST",
        "/grep",
        {"query": {"pattern": "one"}, "context": {}, "limits": {}, "pagination": {}, "more": 1},
    ),
    (
        "POST",
        "/grep",
        {
            "query": {"pattern": "o", "case_sensitive": None},
            "context": {"before": -4, "after": 1000},
            "limits": {"max_lines": 10**9, "max_matches_per_file": 0},
            "pagination": {"cursor": "", "limit": 10**9},
            "file_filters": {"include_globs": ["*.txt"], "extension_filters": [".txt", "md"]},
            "paths": ["a"],
        },
    ),
    ("POST", "/archive", {"archive": {"prefix": "x/"}, "max_blob_size": 0, "exclude_globs": ["docs/"]}),
    (
        "POST",
        "/merge",
        {"source_ref": "topic", "target_branch": "main", "strategy": " ff_prefer ", "author": None},
    ),
    ("POST", "/notes", {"object_ref": "topic", "action": "", "note": "n"}),
    ("POST", "/tags", {"name": " spaced ", "ref": "refs/heads/main"}),
]


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize(("method", "path", "members"), TAKEN)
def test_requests_that_the_server_accepts_are_valid(
    stocked: Repo, dialect: str, method: str, path: str, members: Members
) -> None:
    reply = send(stocked, dialect, method, path, members)
    assert reply.status_code < 300, reply.text
    if reply.status_code == 200:
        assert not stocked.org.server.gateway().request_faults(read_exchange(reply))


_PERSON = {"name": "A", "email": "a@example.test"}
_COMMIT = {"target_branch": "main", "commit_message": "m", "author": _PERSON}
_FILE = {"path": "a", "content_id": "c"}

REFUSED: list[tuple[str, str, Members]] = [
    *(
        ("GET", path, {"limit": limit})
        for path in ("/branches", "/tags", "/commits", "/notes/refs", "/files", "/files/metadata", "/ref-log")
        for limit in ("-1", "x", "", "1.5")
    ),
    *(("GET", path, {"ephemeral": "yes"}) for path in ("/branches", "/commits", "/files", "/files/metadata")),
    ("GET", "/files", {"recursive": "2"}),
    ("GET", "/branch", {}),
    ("GET", "/branch", {"name": "  "}),
    ("GET", "/branch", {"name": "refs/heads/main"}),
    ("GET", "/branch", {"name": "a..b"}),
    ("GET", "/tag", {"name": "refs/tags/x"}),
    ("GET", "/tag", {"name": "a b"}),
    ("GET", "/branches", {"cursor": "%"}),
    ("GET", "/commits", {"cursor": "x"}),
    ("GET", "/commits", {"ref": "a:b"}),
    ("GET", "/commits", {"ref": "-a"}),
    ("GET", "/commits", {"path": "a/../b"}),
    ("GET", "/diff", {"ref": "main", "git_apply_compatible": "on"}),
    ("GET", "/diff", {"ref": "main", "path": "a//b"}),
    ("GET", "/branches/diff", {"base": "main"}),
    ("GET", "/branches/diff", {"branch": "refs/tags/main"}),
    ("GET", "/merge/preview", {"source_ref": "topic"}),
    ("GET", "/merge/preview", {"source_ref": "topic", "target_branch": "main", "include_content": "x"}),
    ("GET", "/file", {"path": "a/./b"}),
    ("GET", "/file", {"path": "a.txt/"}),
    ("GET", "/file", {"path": ".git/config"}),
    ("GET", "/blame", {"path": "a.txt", "range": ["1,1"] * 17}),
    ("GET", "/notes", {"object_ref": "main", "notes_ref": "refs/heads/x"}),
    ("POST", "/branches/create", {"target_branch": "x"}),
    ("POST", "/branches/create", {"base_ref": "main"}),
    ("POST", "/branches/create", {"target_branch": "x", "base_ref": "main", "force": "true"}),
    ("POST", "/branches/create", {"target_branch": "x.lock", "base_ref": "main"}),
    ("DELETE", "/branches", {}),
    ("DELETE", "/branches", {"name": ""}),
    ("DELETE", "/branches", {"target_branch": "refs/heads/topic"}),
    ("POST", "/tags", {"name": "x"}),
    ("POST", "/tags", {"name": "HEAD", "ref": "main"}),
    ("POST", "/tags", {"name": "-x", "ref": "main"}),
    ("POST", "/tags", {"name": "1" * 40, "ref": "main"}),
    ("POST", "/merge", {"source_ref": "topic", "target_branch": "main", "strategy": "rebase"}),
    ("POST", "/merge", {"source_branch": "refs/tags/x", "target_branch": "main", "strategy": "merge"}),
    (
        "POST",
        "/merge",
        {"source_ref": "topic", "target_branch": "main", "strategy": "ff_only", "squash": True},
    ),
    ("POST", "/merge", {"target_branch": "main", "strategy": "merge"}),
    (
        "POST",
        "/merge",
        {
            "source_ref": "topic",
            "target_branch": "main",
            "strategy": "merge",
            "author": {"name": "A", "email": " "},
        },
    ),
    ("POST", "/notes", {"object_ref": "main"}),
    ("POST", "/notes", {"object_ref": "main", "note": " "}),
    ("POST", "/notes", {"note": "n"}),
    ("POST", "/notes", {"object_ref": "main", "action": "replace", "note": "n"}),
    ("POST", "/notes", {"object_ref": "main", "note": "n", "author": {"name": "<", "email": "e"}}),
    ("POST", "/grep", {}),
    ("POST", "/grep", {"query": {}}),
    ("POST", "/grep", {"query": {"pattern": ""}}),
    ("POST", "/grep", {"query": {"pattern": "a"}, "limits": {"max_lines": -1}}),
    ("POST", "/grep", {"query": {"pattern": "a"}, "limits": {"max_lines": "1"}}),
    ("POST", "/grep", {"query": {"pattern": "a"}, "pagination": {"limit": -1}}),
    ("POST", "/grep", {"query": {"pattern": "a"}, "file_filters": {"include_globs": ["a"] * 101}}),
    ("POST", "/grep", {"query": {"pattern": "a"}, "file_filters": {"include_globs": ["a" * 1026]}}),
    ("POST", "/grep", {"query": {"pattern": "a"}, "file_filters": {"extension_filters": ["."]}}),
    ("POST", "/grep", {"query": {"pattern": "a"}, "paths": ["a/../b"]}),
    ("POST", "/archive", {"max_blob_size": -1}),
    ("POST", "/archive", {"archive": {"prefix": "/x"}}),
    ("POST", "/archive", {"archive": {"prefix": "../x"}}),
    ("POST", "/archive", {"include_globs": ["a"] * 101}),
    ("POST", "/commit-pack", {"metadata": {**_COMMIT, "files": [{**_FILE, "mode": "100600"}]}, "lines": []}),
    (
        "POST",
        "/commit-pack",
        {"metadata": {**_COMMIT, "files": [{**_FILE, "operation": "move"}]}, "lines": []},
    ),
    ("POST", "/commit-pack", {"metadata": {**_COMMIT, "files": [{**_FILE, "path": ""}]}, "lines": []}),
    ("POST", "/commit-pack", {"metadata": {**_COMMIT, "files": [{**_FILE, "content_id": " "}]}, "lines": []}),
    ("POST", "/commit-pack", {"metadata": {**_COMMIT, "commit_message": " "}, "lines": []}),
    ("POST", "/commit-pack", {"metadata": {**_COMMIT, "author": {**_PERSON, "date": "soon"}}, "lines": []}),
    ("POST", "/commit-pack", {"metadata": {**_COMMIT, "base_is_ephemeral": True}, "lines": []}),
    ("POST", "/commit-pack", {"metadata": {**_COMMIT, "ephemeral_base": True}, "lines": []}),
    ("POST", "/commit-pack", {"metadata": _COMMIT, "lines": [{"diff_chunk": {"data": "", "eof": True}}]}),
    (
        "POST",
        "/commit-pack",
        {"metadata": _COMMIT, "lines": [{"blob_chunk": {"content_id": "c", "data": "*"}}]},
    ),
    (
        "POST",
        "/diff-commit",
        {"metadata": _COMMIT, "lines": [{"blob_chunk": {"content_id": "c", "data": ""}}]},
    ),
    ("POST", "/restore-commit", {"metadata": {"target_branch": "main", "author": _PERSON}}),
    ("POST", "/restore-commit", {"metadata": {**restore_members("refs/heads/main", "1" * 40)}}),
    ("POST", "/restore-commit", {}),
]


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize(("method", "path", "members"), REFUSED)
def test_requests_that_the_server_refuses_for_their_form_are_invalid(
    repo: Repo, dialect: str, method: str, path: str, members: Members
) -> None:
    reply = send(repo, dialect, method, path, members)
    assert reply.status_code == 400, reply.text
    assert repo.org.server.gateway().request_faults(read_exchange(reply))


ORGANISATION_REFUSED: list[tuple[str, str, Members]] = [
    ("POST", "/repos", {"default_branch": "a..b"}),
    ("POST", "/repos", {"deployment": {}}),
    ("POST", "/repos", {"base_repo": {}}),
    ("POST", "/repos", {"base_repo": {"operation": "mirror", "name": "x"}}),
    ("POST", "/repos", {"base_repo": {"provider": "github", "name": "x"}}),
    ("POST", "/repos", {"initial_commit": {"message": "m", "author": _PERSON}}),
    ("POST", "/webhooks", {"url": "https://example.test/", "events": []}),
    ("POST", "/webhooks", {"url": "https://example.test/", "events": ["pull"]}),
    ("POST", "/webhooks", {"events": ["push"]}),
]


@pytest.mark.parametrize("prefix", ["/api", "/api/v1"])
@pytest.mark.parametrize(("method", "path", "members"), ORGANISATION_REFUSED)
def test_refused_requests_of_an_organisation_are_invalid(
    org: Org, prefix: str, method: str, path: str, members: Members
) -> None:
    token = org.repo().token() if path == "/repos" else None
    reply = org.request(method, prefix + path, json=members, token=token)
    assert reply.status_code == 400, reply.text
    assert org.server.gateway().request_faults(read_exchange(reply))


def test_the_repository_of_a_credential_is_named_on_the_released_path_only(repo: Repo) -> None:
    gateway = repo.org.server.gateway()
    refused = repo.v1("POST", "/repos/git-credentials", json={"password": "p"})
    assert refused.status_code == 400
    assert gateway.request_faults(read_exchange(refused))
    assert repo.api("POST", "/git-credentials", json={"password": "p"}).status_code == 201


@pytest.mark.parametrize(
    "query", [{"archive_format": "rar"}, {"path": " "}, {"path": "a//b"}, {"sha": "a:b"}, {"path": "a\0"}]
)
def test_refused_codearts_downloads_are_invalid(stocked: Repo, query: dict[str, str]) -> None:
    number = stocked.api("GET").json()["repository_id"]
    server = stocked.org.server
    target = f"{server.url}/v4/repositories/{number}/repository/archive"
    reply = server.http.get(target, params=query, headers={"X-Auth-Token": stocked.token()})
    assert reply.status_code == 400, reply.text
    assert server.gateway().request_faults(read_exchange(reply))


def test_requests_of_the_released_clients_are_checked_too(org: Org, server: Server) -> None:
    client = make_client(org)
    repo = run(client.create_repo())
    commit(repo, "Start", {"a.txt": b"one\n"})
    run(repo.list_branches())
    assert server.check_recorded() == 3


def test_every_get_answers_head_as_described(stocked: Repo) -> None:
    for path, query in (
        ("", {}),
        ("/branches", {}),
        ("/file", {"path": "a.txt"}),
        ("/commit", {"ref": "none"}),
    ):
        reply = stocked.api("HEAD", path, params=query)
        assert reply.status_code in (200, 404)
        assert not stocked.org.server.gateway().answer_faults(read_exchange(reply))


def test_the_check_of_answers_finds_undescribed_members(stocked: Repo) -> None:
    gateway = stocked.org.server.gateway()
    exchange = read_exchange(stocked.api("GET", "/branches"))
    assert exchange.reply_body is not None
    assert not gateway.answer_faults(exchange)
    listed: Members = json.loads(exchange.reply_body)
    altered: tuple[Members, ...] = ({**listed, "more": 1}, {**listed, "has_more": None}, {"branches": []})
    for changed in altered:
        assert gateway.answer_faults(replace(exchange, reply_body=json.dumps(changed).encode()))
    assert gateway.answer_faults(replace(exchange, status=206))
    assert gateway.answer_faults(replace(exchange, reply_headers={"content-type": "application/json"}))
    assert gateway.answer_faults(
        replace(exchange, reply_headers={**exchange.reply_headers, "content-type": "text/html"})
    )
