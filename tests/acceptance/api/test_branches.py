"""Branches over the API: create, promote, move by force, delete, list."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from tests.support.clients.repo import Repo


def create(repo: Repo, target: str, *, token: str | None = None, **body: Any) -> httpx.Response:
    return repo.api("POST", "/branches/create", json={"target_branch": target, **body}, token=token)


def delete(repo: Repo, name: str, *, token: str | None = None, **body: Any) -> httpx.Response:
    return repo.api("DELETE", "/branches", json={"name": name, **body}, token=token)


def refused(reply: httpx.Response, status: int) -> str:
    assert reply.status_code == status, reply.text
    error: str = reply.json()["error"]
    return error


def test_a_branch_starts_from_a_branch_tag_id_or_expression(repo: Repo) -> None:
    first = repo.write_commit("main", {"a": b"1"})
    head = repo.write_commit("main", {"a": b"2"})
    for number, base in enumerate(("main", "refs/heads/main", head, head[:10], "HEAD", "main~0")):
        reply = create(repo, f"copy/{number}", base_ref=base)
        assert reply.status_code == 200, reply.text
        assert reply.json() == {
            "message": "branch created",
            "target_branch": f"copy/{number}",
            "target_is_ephemeral": False,
            "commit_sha": head,
        }
    assert create(repo, "old", base_branch="main").json()["commit_sha"] == head
    assert create(repo, "older", base_ref="main~1").json()["commit_sha"] == first
    assert create(repo, "wins", base_ref=first, base_branch="main").json()["commit_sha"] == first


def test_creating_a_branch_again_at_its_commit_succeeds(repo: Repo) -> None:
    repo.write_commit("main", {"a": b"1"})
    assert create(repo, "b", base_ref="main").status_code == 200
    assert create(repo, "b", base_ref="main").status_code == 200
    repo.write_commit("main", {"a": b"2"})
    assert "already exists" in refused(create(repo, "b", base_ref="main"), 409)
    assert create(repo, "b", base_ref="main", force=True).status_code == 200
    assert create(repo, "b", base_ref="main~1", force=True).status_code == 200


def test_promotion_moves_an_existing_branch_forward_only(repo: Repo) -> None:
    head = repo.write_commit("main", {"a": b"1"})
    draft = repo.write_commit("draft", {"b": b"2"}, base_branch="main", ephemeral=True)
    reply = create(repo, "main", base_ref="draft", base_is_ephemeral=True)
    assert (reply.status_code, reply.json()["commit_sha"]) == (200, draft)
    repo.write_commit("main", {"c": b"3"})
    behind = refused(create(repo, "main", base_ref="draft", base_is_ephemeral=True), 409)
    assert behind.startswith("branch already exists and would not move forward")
    assert create(repo, "fresh", base_branch="draft", base_is_ephemeral=True).status_code == 200
    assert create(repo, "e", base_ref="main", target_is_ephemeral=True).json()["target_is_ephemeral"] is True
    assert set(repo.branches(ephemeral="true")) == {"draft", "e"}
    assert head != draft


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"base_ref": "main", "target_branch": ""}, 400),
        ({"base_ref": "main", "target_branch": "refs/tags/x"}, 400),
        ({"base_ref": "main", "target_branch": "a b"}, 400),
        ({"base_ref": "main", "target_branch": "main/below"}, 409),
        ({"target_branch": "x"}, 400),
        ({"target_branch": "x", "base_ref": "--output=x"}, 400),
        ({"target_branch": "x", "base_ref": "a..b"}, 400),
        ({"target_branch": "x", "base_ref": "gone"}, 404),
        ({"target_branch": "x", "base_ref": "0" * 40}, 404),
        ({"target_branch": "x", "base_ref": "main", "base_is_ephemeral": True}, 404),
        ({"target_branch": "x", "base_branch": "refs/tags/x"}, 400),
        ({"target_branch": "x", "base_ref": "main", "force": "yes"}, 400),
        ({"target_branch": ["x"], "base_ref": "main"}, 400),
    ],
)
def test_a_bad_branch_request_is_refused(repo: Repo, body: dict[str, Any], status: int) -> None:
    head = repo.write_commit("main", {"a": b"1"})
    refused(repo.api("POST", "/branches/create", json=body), status)
    assert repo.branches() == {"main": head}


def test_the_answer_to_a_deletion_has_the_branch_under_both_names(repo: Repo) -> None:
    repo.write_commit("main", {"a": b"1"})
    create(repo, "b", base_ref="main")
    reply = delete(repo, "b")
    assert reply.status_code == 200
    assert reply.json() == {
        "target_branch": "b",
        "name": "b",
        "message": "branch deleted",
        "ephemeral": False,
    }
    assert "b" in refused(delete(repo, "b"), 404)
    create(repo, "b", base_ref="main")
    both = {"target_branch": "b", "name": "main"}
    assert repo.v1("DELETE", "/repos/branches", json=both).json()["target_branch"] == "b"


def test_deleting_the_default_branch_is_refused_and_its_ephemeral_namesake_is_deleted(repo: Repo) -> None:
    repo.write_commit("main", {"a": b"1"})
    create(repo, "main", base_ref="main", target_is_ephemeral=True)
    assert "default branch" in refused(delete(repo, "main"), 409)
    refused(delete(repo, "refs/heads/main"), 400)
    assert delete(repo, "main", ephemeral=True).json()["ephemeral"] is True


def test_policies_apply_to_creating_moving_and_deleting_a_branch(repo: Repo) -> None:
    repo.write_commit("main", {"a": b"1"})
    repo.write_commit("main", {"a": b"2"})
    create(repo, "b", base_ref="main")
    closed = repo.token(refs=[["b", ["no-push"]], ["c", ["no-force-push"]]])
    assert refused(create(repo, "b", base_ref="main", token=closed), 403).startswith("denied by policy")
    assert refused(delete(repo, "b", token=closed), 403).startswith("denied by policy")
    assert create(repo, "c", base_ref="main", token=closed).status_code == 200
    refused(create(repo, "c", base_ref="main~1", force=True, token=closed), 403)
    refused(delete(repo, "c", token=closed), 403)
    repo.write_commit("main", {"a": b"3"})
    assert create(repo, "c", base_ref="main", force=True, token=closed).status_code == 200


def test_of_many_creations_of_a_branch_at_different_commits_one_succeeds(repo: Repo) -> None:
    commits = [repo.write_commit("main", {"a": b"%d" % number}) for number in range(6)]
    with ThreadPoolExecutor(6) as pool:
        replies = list(pool.map(lambda base: create(repo, "race", base_ref=base).status_code, commits))
    assert sorted(replies) == [200] + [409] * 5


def test_an_earlier_tree_is_restored_as_a_new_commit(repo: Repo) -> None:
    first = repo.write_commit("main", {"a": b"1", "b": b"1"}, message="First\n\nbody")
    head = repo.write_commit("main", {"a": b"2", "b": None})
    author = {"name": "Ada", "email": "ada@northwind.example"}
    fields = {
        "target_branch": "main",
        "target_commit_sha": first,
        "author": author,
        "expected_head_sha": head,
    }
    reply = repo.v1("POST", "/repos/restore-commit", json={"metadata": fields})
    assert reply.status_code == 201, reply.text
    answer = reply.json()
    assert answer["result"]["old_sha"] == head
    assert answer["commit"]["blob_count"] == 0
    assert (repo.read_file("a"), repo.read_file("b")) == (b"1", b"1")
    stale = repo.v1("POST", "/repos/restore-commit", json={"metadata": fields})
    assert stale.status_code == 409
    assert stale.json()["result"]["status"] == "precondition_failed"
    again = {"target_branch": "main", "base_ref": "HEAD~1", "author": author}
    line = httpx.Request("POST", "http://x", json={"metadata": again}).content + b"\n"
    assert repo.api("POST", "/reset-commits", content=line).status_code == 201
    assert repo.read_file("a") == b"2"


@pytest.mark.parametrize(
    ("fields", "status", "result_status"),
    [
        ({"target_branch": "gone"}, 404, "not_found"),
        ({"target_branch": "refs/heads/main"}, 400, "invalid"),
        ({"base_ref": "nothing"}, 404, "not_found"),
        ({"base_ref": None}, 400, "invalid"),
        ({"author": None}, 400, "invalid"),
    ],
)
def test_a_bad_restore_is_refused(
    repo: Repo, fields: dict[str, Any], status: int, result_status: str
) -> None:
    repo.write_commit("main", {"a": b"1"})
    author = {"name": "Ada", "email": "ada@northwind.example"}
    metadata = {"target_branch": "main", "base_ref": "main", "author": author, **fields}
    reply = repo.api("POST", "/restore-commit", json={"metadata": metadata})
    assert (reply.status_code, reply.json()["result"]["status"]) == (status, result_status), reply.text
