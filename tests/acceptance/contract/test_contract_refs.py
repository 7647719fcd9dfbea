"""Fields that name a branch take a plain name or `refs/heads/…`. Fields that take any ref take more."""

from typing import Any

import httpx
import pytest

from tests.support.clients.repo import AUTHOR, Repo

TAG = "refs/tags/v1"


@pytest.fixture
def tagged(repo: Repo) -> Repo:
    """A repository with the branches main and topic and a tag."""
    repo.write_commit("main", {"a": b"1"})
    repo.write_commit("topic", {"b": b"2"}, base_branch="main")
    assert repo.api("POST", "/tags", json={"name": "v1", "ref": "topic"}).status_code == 200
    return repo


def ask(repo: Repo, method: str, path: str, field: str, name: str) -> httpx.Response:
    """Send a request that is valid except for the branch in `field`, which is `name`."""
    merge = {"source_branch": "topic", "target_branch": "main", "strategy": "merge"}
    base = {"target_branch": "made", "base_branch": "topic"}
    usual: dict[str, Any] = {"/merge": merge, "/merge/preview": merge, "/branches/create": base}.get(path, {})
    fields = {"branch": "topic", **usual, field: name}
    if method == "GET":
        return repo.api(method, path, params=fields)
    return repo.api(method, path, json=fields)


@pytest.mark.parametrize(
    ("method", "path", "field"),
    [
        ("GET", "/commits", "branch"),
        ("GET", "/branches/diff", "branch"),
        ("GET", "/branches/diff", "base"),
        ("GET", "/merge/preview", "source_branch"),
        ("GET", "/merge/preview", "target_branch"),
        ("POST", "/merge", "source_branch"),
        ("POST", "/merge", "target_branch"),
        ("POST", "/branches/create", "base_branch"),
        ("POST", "/branches/create", "target_branch"),
    ],
)
def test_a_branch_is_named_plainly_or_in_full_and_other_refs_are_refused(
    tagged: Repo, method: str, path: str, field: str
) -> None:
    for name in (TAG, "refs/notes/x", "refs/namespaces/ephemeral/refs/heads/topic", "refs/"):
        reply = ask(tagged, method, path, field, name)
        assert (reply.status_code, reply.json()["error"]) == (400, f"invalid branch name {name}")
    full = "refs/heads/main" if field in ("base", "base_branch") else "refs/heads/topic"
    assert ask(tagged, method, path, field, full).status_code == 200


def test_a_commit_names_its_branches_plainly_or_in_full(tagged: Repo) -> None:
    for fields in ({"branch": TAG}, {"branch": "next", "base_branch": TAG}):
        branch = fields.pop("branch")
        reply = tagged.post_commit(branch, {"c": b"3"}, **fields)
        assert (reply.status_code, reply.json()["result"]["status"]) == (400, "invalid")
    assert tagged.post_commit("refs/heads/next", {"c": b"3"}, base_branch="refs/heads/main").is_success


def test_delete_and_restore_take_plain_names_only(tagged: Repo) -> None:
    gone = tagged.org.request(
        "DELETE", "/api/v1/repos/branches", token=tagged.token(), json={"name": "refs/heads/topic"}
    )
    metadata = {"target_branch": "refs/heads/topic", "base_ref": "main", "author": AUTHOR}
    restored = tagged.api("POST", "/restore-commit", json={"metadata": metadata})
    assert (gone.status_code, restored.status_code) == (400, 400)
    assert set(tagged.branches()) == {"main", "topic"}


def test_the_standard_names_take_any_ref(tagged: Repo) -> None:
    for ref in (TAG, "v1", "HEAD", "main~0"):
        assert tagged.api("GET", "/commits", params={"ref": ref, "branch": TAG}).status_code == 200
        query = {"source_ref": ref, "target_branch": "main"}
        assert tagged.api("GET", "/merge/preview", params=query).status_code == 200
