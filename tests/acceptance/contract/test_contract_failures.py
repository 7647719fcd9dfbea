"""Every operation fails in the form that its clients read, and with the status that they expect."""

import base64
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.support.builders.shapes import FAILURES, judge
from tests.support.clients.repo import AUTHOR, Org, Repo, ndjson_line
from tests.support.clients.wire import CALLS, Wire

PATCH = base64.b64encode(b"--- a/a\n+++ b/a\n@@ -1 +1 @@\n-a\n+b\n").decode()
FROZEN = [["*", ["no-push"]]]
NOBODY = "0123456789" * 4
COMMITS = ("create_commit", "diff_commit", "restore_commit", "reset_commits")
NOTES = ("add_note", "append_note", "delete_note")

FIELDS: dict[str, dict[str, Any]] = {
    # operation: a request that is valid in itself
    "update_repo": {"default_branch": "main"},
    "get_branch": {"name": "topic"},
    "create_branch": {"target_branch": "new", "base_ref": "main"},
    "delete_branch": {"target_branch": "topic"},
    "branch_diff": {"branch": "topic"},
    "merge": {"source_ref": "topic", "target_branch": "main", "strategy": "merge"},
    "preview_merge": {"source_ref": "topic", "target_branch": "main"},
    "get_tag": {"name": "v1"},
    "create_tag": {"name": "v2", "ref": "main"},
    "delete_tag": {"name": "v1"},
    "get_commit": {"ref": "main"},
    "commit_diff": {"ref": "main"},
    "create_commit": {"target_branch": "main", "commit_message": "m", "author": AUTHOR, "files": []},
    "diff_commit": {
        "target_branch": "main",
        "commit_message": "m",
        "author": AUTHOR,
        "lines": (ndjson_line({"diff_chunk": {"data": PATCH, "eof": True}}),),
    },
    "restore_commit": {"target_branch": "main", "base_ref": "main", "author": AUTHOR},
    "reset_commits": {"target_branch": "main", "base_ref": "main", "author": AUTHOR},
    "blame": {"path": "a"},
    "grep": {"query": {"pattern": "a"}},
    "get_note": {"object_ref": "main"},
    "add_note": {"object_ref": "topic", "note": "n"},
    "append_note": {"object_ref": "main", "note": "n", "action": "append"},
    "delete_note": {"object_ref": "main"},
}


def fail(name: str, reply: httpx.Response, status: int, word: str) -> None:
    """Check a failure of an operation. `word` is the `result.status` of endpoints that commit."""
    body = judge(reply, FAILURES["commit" if name in COMMITS else "plain"], status=status)
    if name in COMMITS:
        assert (body["result"]["status"], body["result"]["message"]) == (word, body["error"])


@pytest.fixture(params=["released", "preferred"])
def wire(repo: Repo, request: pytest.FixtureRequest) -> Wire:
    """A client of a repository with the branches main and topic, the tag v1 and a note on main."""
    repo.write_commit("main", {"a": b"a\n"})
    repo.write_commit("topic", {"b": b"b\n"}, base_branch="main")
    released = request.param == "released"
    wire = Wire(repo, released, old=released)
    wire.ask("create_tag", name="v1", ref="main")
    wire.ask("add_note", object_ref="main", note="n")
    return wire


def send_all(wire: Wire, repo: Repo, token: str | None) -> Iterator[tuple[str, httpx.Response]]:
    """Yield the name of each operation and the answer of `repo` to it."""
    other = Wire(repo, wire.released, wire.old, token)
    for name in CALLS:
        yield name, other.send(name, **FIELDS.get(name, {}))


def test_every_operation_refuses_an_invalid_token(wire: Wire) -> None:
    for name, reply in send_all(wire, wire.repo, "a.b.c"):
        fail(name, reply, 401, "unauthorized")
        assert reply.headers["www-authenticate"] == "Bearer"


def test_every_operation_refuses_a_token_without_its_scope(wire: Wire) -> None:
    for name, reply in send_all(wire, wire.repo, wire.repo.token(scopes=["org:read"])):
        status = 401 if wire.released and name != "pull_upstream" else 403
        fail(name, reply, status, "unauthorized" if status == 401 else "forbidden")


def test_every_operation_refuses_a_token_for_the_organisation(wire: Wire, org: Org) -> None:
    for name, reply in send_all(wire, wire.repo, org.sign(repo="org")):
        fail(name, reply, 403, "forbidden")


def test_every_operation_answers_404_for_a_missing_repository(wire: Wire, org: Org) -> None:
    for name, reply in send_all(wire, org.repo(), None):
        fail(name, reply, 404, "not_found")


def test_writing_operations_obey_the_policy_and_reading_ones_ignore_it(wire: Wire) -> None:
    refused = set()
    for name, reply in send_all(wire, wire.repo, wire.repo.token(refs=FROZEN, scopes=["git:write"])):
        if reply.status_code == 403 and "policy" in reply.text:
            fail(name, reply, 403, "forbidden")
            assert reply.json()["error"].startswith("denied by policy")
            refused.add(name)
    branches = {"create_branch", "delete_branch", "merge", "create_tag", "delete_tag"}
    assert refused == {*branches, *COMMITS, *NOTES, "pull_upstream"}


def test_a_missing_required_field_is_named(wire: Wire) -> None:
    for name in FIELDS:
        if name == "delete_tag" and not wire.released:
            continue  # its only field is in the path
        reply = wire.send(name)
        fail(name, reply, 400, "invalid")
        assert "required" in reply.json()["error"] or name == "update_repo"


MISSING: list[tuple[str, dict[str, Any]]] = [
    ("get_branch", {"name": "nowhere"}),
    ("create_branch", {"target_branch": "new", "base_ref": "nowhere"}),
    ("delete_branch", {"target_branch": "nowhere"}),
    ("branch_diff", {"branch": "nowhere"}),
    ("branch_diff", {"branch": "main", "base": "nowhere"}),
    ("merge", {"source_ref": "nowhere", "target_branch": "main", "strategy": "merge"}),
    ("merge", {"source_ref": "main", "target_branch": "nowhere", "strategy": "merge"}),
    ("preview_merge", {"source_ref": "nowhere", "target_branch": "main"}),
    ("get_tag", {"name": "nowhere"}),
    ("create_tag", {"name": "v2", "ref": "nowhere"}),
    ("delete_tag", {"name": "nowhere"}),
    ("list_commits", {"ref": "nowhere"}),
    ("get_commit", {"ref": "nowhere"}),
    ("commit_diff", {"ref": "nowhere"}),
    ("commit_diff", {"ref": "main", "base_ref": "nowhere"}),
    ("restore_commit", {"target_branch": "nowhere", "base_ref": "main", "author": AUTHOR}),
    ("restore_commit", {"target_branch": "main", "base_ref": "nowhere", "author": AUTHOR}),
    ("list_files", {"ref": "nowhere"}),
    ("files_metadata", {"ref": "nowhere"}),
    ("blame", {"path": "a", "ref": "nowhere"}),
    ("grep", {"query": {"pattern": "a"}, "ref": "nowhere"}),
    ("get_note", {"object_ref": "nowhere"}),
    ("add_note", {"object_ref": "nowhere", "note": "n"}),
    ("update_repo", {"default_branch": "nowhere"}),
]


def test_a_missing_ref_is_named(wire: Wire) -> None:
    for name, fields in MISSING:
        reply = wire.send(name, **fields)
        fail(name, reply, 404, "not_found")
        assert "nowhere" in reply.json()["error"], name


def test_creating_an_existing_thing_is_a_conflict(wire: Wire) -> None:
    tip = wire.repo.branches()["main"]
    taken: list[tuple[str, dict[str, Any]]] = [
        ("create_branch", {"target_branch": "topic", "base_ref": "main"}),
        ("delete_branch", {"target_branch": "main"}),
        ("create_tag", {"name": "v1", "ref": "main"}),
    ]
    for name, fields in taken:
        fail(name, wire.send(name, **fields), 409, "conflict")
    merge: dict[str, Any] = {"source_ref": "topic", "target_branch": "main", "strategy": "ff_prefer"}
    moved = judge(wire.send("merge", **merge, expected_target_sha=NOBODY), FAILURES["merge"], status=409)
    assert moved["conflict_type"] == "target_moved"
    for name in ("create_commit", "restore_commit", "reset_commits"):
        reply = wire.send(name, **FIELDS[name], expected_target_sha=NOBODY)
        result = judge(reply, FAILURES["commit"], status=409)["result"]
        assert (result["status"], result["old_sha"], result["branch"]) == ("precondition_failed", tip, "main")


def test_a_failure_of_the_notes_ref_is_answered_with_a_result(wire: Wire) -> None:
    tip, topic = wire.repo.branches()["main"], wire.repo.branches()["topic"]
    add = {"object_ref": tip, "note": "n"}
    guard = {"expected_notes_ref_sha": NOBODY}
    refusals: list[tuple[str, dict[str, Any], int, str]] = [
        ("add_note", add, 409, "conflict"),
        ("add_note", {**add, **guard, "notes_ref": "never"}, 409, "precondition_failed"),
        ("add_note", {**add, "notes_ref": "commits/below"}, 409, "conflict"),
        ("append_note", {**add, **guard, "action": "append"}, 409, "precondition_failed"),
        ("delete_note", {"object_ref": tip, **guard}, 409, "precondition_failed"),
        ("delete_note", {"object_ref": topic}, 404, "not_found"),
        ("delete_note", {"object_ref": tip, "notes_ref": "never"}, 404, "not_found"),
    ]
    for name, fields, status, word in refusals:
        body = judge(wire.send(name, **fields), FAILURES["note"], status=status)
        assert (body["result"]["status"], body["notes_ref"]) == (word, body["target_ref"])
