"""The `result` of a failed commit is always about the target branch."""

import pytest

from tests.support.clients.repo import AUTHOR, Repo, ndjson_line


def test_a_missing_base_is_answered_with_a_result_about_the_target(repo: Repo) -> None:
    repo.write_commit("main", {"a": b"1"})
    reply = repo.post_commit("topic", {"a": b"2"}, base_branch="nowhere")
    assert reply.status_code == 404
    assert reply.json()["result"] == {
        "success": False,
        "status": "not_found",
        "message": "branch nowhere does not exist",
        "target_branch": "topic",
        "branch": "topic",
    }


def test_a_guard_that_fails_at_the_base_gives_no_tip_of_the_target(repo: Repo) -> None:
    first = repo.write_commit("main", {"a": b"1"})
    tip = repo.write_commit("main", {"a": b"2"})
    reply = repo.post_commit("topic", {"a": b"3"}, base_branch="main", expected_target_sha=first)
    assert reply.status_code == 409
    result = reply.json()["result"]
    assert result.pop("message") == f"branch main is at {tip}, expected {first}"
    assert result == {
        "success": False,
        "status": "precondition_failed",
        "target_branch": "topic",
        "branch": "topic",
    }


def test_a_guard_by_name_is_looked_up_in_the_namespace_of_the_base(repo: Repo) -> None:
    repo.write_commit("main", {"a": b"1"})
    draft = repo.post_commit(
        "draft", {"b": b"2"}, base_branch="main", expected_target_sha="main", target_is_ephemeral=True
    )
    assert draft.status_code == 201, draft.text
    kept = repo.post_commit(
        "kept", {"c": b"3"}, base_branch="draft", expected_target_sha="draft", base_is_ephemeral=True
    )
    assert kept.status_code == 201, kept.text


def test_a_guard_that_fails_at_the_target_gives_its_tip(repo: Repo) -> None:
    first = repo.write_commit("main", {"a": b"1"})
    tip = repo.write_commit("main", {"a": b"2"})
    result = repo.post_commit("main", {"a": b"3"}, expected_head_sha=first).json()["result"]
    assert (result["target_branch"], result["old_sha"], result["new_sha"]) == ("main", tip, tip)


@pytest.mark.parametrize("extra", ["metadata", "diff_chunk", "other"])
def test_a_null_beside_a_chunk_is_absent(repo: Repo, extra: str) -> None:
    files = [{"path": "a", "content_id": "c"}]
    metadata = {"target_branch": "main", "commit_message": "m", "author": AUTHOR, "files": files}
    chunk = {"blob_chunk": {"content_id": "c", "data": "eA==", "eof": True}, extra: None}
    reply = repo.api("POST", "/commit-pack", content=ndjson_line({"metadata": metadata}) + ndjson_line(chunk))
    assert reply.status_code == 201, reply.text


@pytest.mark.parametrize(
    ("accept", "media"),
    [
        ("application/problem+json", "application/problem+json"),
        ("text/html, Application/Problem+JSON; q=0.5", "application/problem+json"),
        ("application/json, application/problem+json;q=0", "application/json"),
        ("application/problem+jsonx", "application/json"),
        ("application/*, */*", "application/json"),
    ],
)
def test_an_error_has_the_problem_type_only_for_clients_that_name_it(
    repo: Repo, accept: str, media: str
) -> None:
    reply = repo.api("GET", "/branch", params={"name": "nowhere"}, headers={"Accept": accept})
    assert (reply.status_code, reply.headers["content-type"]) == (404, media)
