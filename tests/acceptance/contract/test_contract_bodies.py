"""Wrong bodies: a value of the wrong kind, too many lines, unknown paths."""

from typing import Any

import pytest

from tests.support.clients.repo import AUTHOR, Repo, ndjson_line

BLANK_WHERE_NO_TEXT_BELONGS: list[tuple[str, str, dict[str, Any], str]] = [
    ("POST", "/branches/create", {"target_branch": "b", "base_ref": "main", "force": ""}, "force"),
    ("DELETE", "/branches", {"target_branch": "b", "ephemeral": " "}, "ephemeral"),
    ("POST", "/grep", {"query": {"pattern": "a", "case_sensitive": ""}}, "query.case_sensitive"),
    ("POST", "/grep", {"query": {"pattern": "a"}, "context": ""}, "context"),
    ("POST", "/grep", {"query": {"pattern": "a"}, "context": {"before": ""}}, "context.before"),
    ("POST", "/grep", {"query": {"pattern": "a"}, "paths": ""}, "paths"),
    ("POST", "/archive", {"max_blob_size": ""}, "max_blob_size"),
    ("POST", "/archive", {"include_globs": " "}, "include_globs"),
    ("POST", "/notes", {"object_ref": "main", "note": "n", "author": ""}, "author"),
]


@pytest.mark.parametrize(("method", "path", "body", "field"), BLANK_WHERE_NO_TEXT_BELONGS)
def test_blank_text_is_refused_for_a_boolean_number_list_or_object(
    repo: Repo, method: str, path: str, body: dict[str, Any], field: str
) -> None:
    repo.write_commit("main", {"a": b"a\n"})
    reply = repo.api(method, path, json=body)
    assert reply.status_code == 400, reply.text
    assert field in reply.json()["error"]


def test_blank_text_is_refused_for_a_flag_of_a_commit(repo: Repo) -> None:
    reply = repo.post_commit("main", {"a": b"1"}, target_is_ephemeral="")
    assert reply.status_code == 400
    assert reply.json()["result"]["status"] == "invalid"
    assert repo.branches() == {}


def test_a_body_that_is_not_an_object_is_refused_as_such(repo: Repo) -> None:
    for content in (b"[]", b"null", b"1", b'"text"'):
        reply = repo.api("POST", "/tags", content=content)
        assert reply.status_code == 400
        assert reply.json()["error"] == "expected a JSON object in the body"


def test_a_blank_mode_or_operation_counts_as_absent(repo: Repo) -> None:
    entry = {"path": "a", "content_id": "c", "mode": " ", "operation": " "}
    metadata = {"target_branch": "main", "commit_message": "m", "author": AUTHOR, "files": [entry]}
    chunk = {"blob_chunk": {"content_id": "c", "data": "eA==", "eof": True}}
    reply = repo.api("POST", "/commit-pack", content=ndjson_line({"metadata": metadata}) + ndjson_line(chunk))
    assert reply.status_code == 201, reply.text
    entries = repo.api("GET", "/files").json()["entries"]
    assert entries == [{"path": "a", "type": "blob", "mode": "100644"}]


@pytest.mark.parametrize("path", ["/restore-commit", "/reset-commits"])
def test_a_restore_reads_the_first_line_that_is_not_blank(repo: Repo, path: str) -> None:
    first = repo.write_commit("main", {"a": b"1"})
    repo.write_commit("main", {"a": b"2"})
    metadata = {"target_branch": "main", "target_commit_sha": first, "author": AUTHOR}
    line = ndjson_line({"metadata": metadata})
    for content in (b"\n \r\n" + line + b"\n", line + ndjson_line({"more": True})):
        reply = repo.v1("POST", "/repos" + path, content=content)
        assert reply.status_code == 201, reply.text
    assert repo.read_file("a") == b"1"


@pytest.mark.parametrize(
    "target",
    [
        "/api/repos/apps/shop/commit-pack",
        "/api/v1/repos/diff-commit/",
        "/api/v3/repos/restore-commit",
        "/api/repos//reset-commits",
        "/api/repos/%zz/commit-pack",
    ],
)
def test_a_commit_sent_to_an_unknown_path_is_answered_with_a_result(repo: Repo, target: str) -> None:
    reply = repo.org.request("POST", target, content=b"{}")
    body = reply.json()
    assert reply.status_code in (400, 404)
    assert body["status"] == reply.status_code
    assert body["result"] == {
        "success": False,
        "status": "not_found" if reply.status_code == 404 else "invalid",
        "message": body["error"],
    }
