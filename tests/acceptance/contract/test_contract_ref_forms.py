"""Every call refuses text that no ref can have. A well-formed ref that is unknown is not found."""

from typing import Any

import httpx
import pytest

from tests.support.clients.repo import AUTHOR, Repo

MALFORMED = [
    "a b",
    "main..topic",
    "main:a",
    "~",
    "^",
    "a\x01b",
    "refs/x/../y",
    "main^^^q",
    "a*",
    "x.lock",
    "a//b",
]
UNKNOWN = [
    "absent",
    "refs/heads/absent",
    "refs/stash",
    "main~99",
    "main^5",
    "f" * 40,
    "abcdef0",
    "main^{commit}",
]


@pytest.fixture
def branched(repo: Repo) -> Repo:
    """A repository with the branches main and topic."""
    repo.write_commit("main", {"a": b"1"})
    repo.write_commit("topic", {"b": b"2"}, base_branch="main")
    return repo


# Path, and the field that takes a ref: those of a query, then those of a body.
QUERIES = [
    ("/commits", "ref"),
    ("/commit", "ref"),
    ("/commit", "sha"),
    ("/diff", "ref"),
    ("/diff", "sha"),
    ("/diff", "base_ref"),
    ("/diff", "baseSha"),
    ("/files", "ref"),
    ("/files/metadata", "ref"),
    ("/file", "ref"),
    ("/blame", "ref"),
    ("/notes", "object_ref"),
    ("/notes", "sha"),
    ("/merge/preview", "source_ref"),
]
BODIES = [
    ("/grep", "ref"),
    ("/grep", "rev"),
    ("/archive", "ref"),
    ("/tags", "ref"),
    ("/tags", "target"),
    ("/merge", "source_ref"),
    ("/branches/create", "base_ref"),
    ("/notes", "object_ref"),
    ("/restore-commit", "base_ref"),
    ("/reset-commits", "base_ref"),
]
REST: dict[str, Any] = {
    "/file": {"path": "a"},
    "/blame": {"path": "a"},
    "/diff": {"ref": "main"},
    "/merge": {"target_branch": "main", "strategy": "merge"},
    "/merge/preview": {"target_branch": "main"},
    "/grep": {"query": {"pattern": "x"}},
    "/tags": {"name": "new"},
    "/branches/create": {"target_branch": "new"},
    "/notes": {"note": "n"},
    "/restore-commit": {"target_branch": "main", "author": AUTHOR},
    "/reset-commits": {"target_branch": "main", "author": AUTHOR},
}


def ask(repo: Repo, method: str, path: str, field: str, ref: str) -> httpx.Response:
    """Send a request that is valid except for the ref in `field`."""
    fields = {**REST.get(path, {}), field: ref}
    if field == "sha":
        fields.pop("ref", None)
    if method == "GET":
        return repo.api(method, path, params=fields)
    is_stream = path in ("/restore-commit", "/reset-commits")
    return repo.api(method, path, json={"metadata": fields} if is_stream else fields)


@pytest.mark.parametrize(
    ("method", "path", "field"),
    [*(("GET", path, field) for path, field in QUERIES), *(("POST", path, field) for path, field in BODIES)],
)
def test_a_malformed_ref_is_refused_and_an_unknown_one_not_found(
    branched: Repo, method: str, path: str, field: str
) -> None:
    for ref in MALFORMED:
        reply = ask(branched, method, path, field, ref)
        assert reply.status_code == 400, (ref, reply.text)
        assert "invalid ref" in reply.json()["error"], (ref, reply.text)
    for ref in UNKNOWN:
        reply = ask(branched, method, path, field, ref)
        assert reply.status_code == 404, (ref, reply.text)
    assert set(branched.branches()) == {"main", "topic"}
