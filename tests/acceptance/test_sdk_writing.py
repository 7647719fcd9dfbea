"""The released clients merge, tag, branch and write notes; failures are of the classes that they promise."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, TypeVar

import pytest
from pierre_storage import ApiError, GitStorage, RefUpdateError
from pierre_storage.types import GitStorageOptions

from tests.support.org import Org
from tests.support.repo import Repo
from tests.support.typescript import SdkError, TypeScriptClient

T = TypeVar("T")
Call = Callable[..., Any]

PERSON = {"name": "Grace", "email": "grace@example.test"}


@pytest.fixture
def handle(org: Org, repo: Repo) -> Any:
    """The Python client's handle on the repository."""
    options: GitStorageOptions = {
        "name": org.name,
        "key": org.pair.private_pem,
        "api_base_url": org.server.url,
        "storage_base_url": org.server.host_port,
    }
    return run(GitStorage(options).find_one(id=repo.name))


@pytest.fixture
def call(org: Org, repo: Repo) -> Iterator[Call]:
    """Calls a method of the TypeScript client's handle on the repository."""
    with TypeScriptClient(org) as client:
        yield lambda method, **args: client.call(method, repo.name, **args)


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(coroutine)


def diverge(repo: Repo) -> tuple[str, str]:
    """Make main and feature differ in separate files, and conflict differ from main; return both tips."""
    repo.write_commit("main", {"a": b"1"})
    feature = repo.write_commit("feature", {"feature": b"f"}, base_branch="main")
    repo.write_commit("conflict", {"main": b"other"}, base_branch="main")
    return repo.write_commit("main", {"main": b"m"}), feature


def test_python_merges(repo: Repo, handle: Any) -> None:
    main, feature = diverge(repo)
    options = {"source_branch": "feature", "target_branch": "main"}
    result = run(
        handle.merge(**options, strategy="merge", author=PERSON, committer=PERSON, expected_target_sha=main)
    )
    assert (result["result"], result["promoted_commits"]) == ("merge_commit", 1)
    assert result["source"]["sha"] == feature
    assert result["target"] == {
        "branch": "main",
        "ephemeral": False,
        "old_sha": main,
        "new_sha": result["commit_sha"],
    }
    assert run(handle.merge(**options, strategy="ff_only"))["result"] == "no_op"
    back = {"source_branch": "main", "target_branch": "feature"}
    assert run(handle.merge(**back, strategy="ff_prefer"))["result"] == "fast_forward"
    for failing, status in (
        ({"source_branch": "conflict", "strategy": "merge"}, 409),
        ({"source_branch": "conflict", "strategy": "ff_only"}, 409),
        ({"source_branch": "gone", "strategy": "merge"}, 404),
        ({"source_branch": "conflict", "strategy": "merge", "expected_target_sha": main}, 409),
        (
            {
                "source_branch": "conflict",
                "strategy": "merge",
                "ref_policies": [{"pattern": "main", "ops": ["no-push"]}],
            },
            403,
        ),
    ):
        with pytest.raises(ApiError) as raised:
            run(handle.merge(**{**options, **failing}))
        assert raised.value.status_code == status
    made = repo.api("POST", "/branches/create", json={"target_branch": "other", "base_ref": "feature"})
    assert made.status_code == 200
    repo.write_commit("fresh", {"fresh": b"1"}, base_branch="other")
    squash = {"source_branch": "fresh", "target_branch": "other", "strategy": "merge", "squash": True}
    squashed = run(handle.merge(**squash))
    assert squashed["result"] == "squash"


def test_python_makes_and_deletes_tags_and_branches(repo: Repo, handle: Any) -> None:
    main, _feature = diverge(repo)
    assert run(handle.create_tag(name="release/v1", target="main"))["sha"] == main
    for name, target, status in (("release/v1", "main", 409), ("x", "gone", 404), ("a b", "main", 400)):
        with pytest.raises(ApiError) as raised:
            run(handle.create_tag(name=name, target=target))
        assert raised.value.status_code == status
    assert run(handle.delete_tag(name="release/v1"))["name"] == "release/v1"
    with pytest.raises(ApiError) as raised:
        run(handle.delete_tag(name="release/v1"))
    assert raised.value.status_code == 404
    repo.write_commit("draft", {"d": b"1"}, base_branch="main", ephemeral=True)
    promoted = run(handle.promote_ephemeral_branch(base_branch="draft"))
    assert promoted["target_branch"] == "draft"


def test_python_writes_notes(repo: Repo, handle: Any) -> None:
    main, feature = diverge(repo)
    added = run(handle.create_note(sha=main, note="QA passed", author=PERSON, ref="reviews"))
    assert added["result"]["success"] and added["target_ref"] == "refs/notes/reviews"
    appended = run(
        handle.append_note(sha=main, note="Shipped", ref="reviews", expected_ref_sha=added["new_ref_sha"])
    )
    assert appended["base_commit"] == added["new_ref_sha"]
    assert run(handle.get_note(sha=main, ref="reviews"))["note"] == "QA passed\n\nShipped"
    for method, options, status in (
        ("create_note", {"sha": main, "note": "again"}, "conflict"),
        ("append_note", {"sha": main, "note": "x", "expected_ref_sha": main}, "precondition_failed"),
        ("delete_note", {"sha": feature}, "not_found"),
    ):
        with pytest.raises(RefUpdateError) as refused:
            run(getattr(handle, method)(ref="reviews", **options))
        assert refused.value.status == status
    with pytest.raises(ApiError) as raised:
        run(handle.create_note(sha="1" * 40, note="n"))
    assert raised.value.status_code == 404
    with pytest.raises(ApiError) as raised:
        run(
            handle.delete_note(
                sha=main, ref="reviews", ref_policies=[{"pattern": "refs/notes/*", "ops": ["no-push"]}]
            )
        )
    assert raised.value.status_code == 403
    gone = run(handle.delete_note(sha=main, ref="reviews", expected_ref_sha=appended["new_ref_sha"]))
    assert gone["result"]["status"] == "ok"


def test_typescript_merges(repo: Repo, call: Call) -> None:
    main, feature = diverge(repo)
    options = {"sourceBranch": "feature", "targetBranch": "main"}
    result = call("merge", **options, strategy="merge", author=PERSON, expectedTargetSha=main)
    assert (result["result"], result["promotedCommits"]) == ("merge_commit", 1)
    assert (result["source"]["sha"], result["target"]["oldSha"]) == (feature, main)
    assert call("merge", **options, strategy="ff_prefer")["result"] == "no_op"
    back = {"sourceBranch": "main", "targetBranch": "feature"}
    assert call("merge", **back, strategy="ff_only")["result"] == "fast_forward"
    for failing, status in (
        ({"sourceBranch": "conflict"}, 409),
        ({"targetBranch": "gone"}, 404),
        ({"sourceBranch": "conflict", "expectedTargetSha": main}, 409),
    ):
        with pytest.raises(SdkError) as raised:
            call("merge", **{**options, "strategy": "merge", **failing})
        assert (raised.value.name, raised.value.status) == ("ApiError", status)


def test_typescript_makes_and_deletes_tags(repo: Repo, call: Call) -> None:
    main, _feature = diverge(repo)
    assert call("createTag", name="release/v1", target="main")["sha"] == main
    for name, target, status in (("release/v1", "main", 409), ("x", "gone", 404)):
        with pytest.raises(SdkError) as raised:
            call("createTag", name=name, target=target)
        assert (raised.value.name, raised.value.status) == ("ApiError", status)
    assert call("deleteTag", name="release/v1")["name"] == "release/v1"
    with pytest.raises(SdkError) as raised:
        call("deleteTag", name="release/v1")
    assert raised.value.status == 404
    created = call("createBranch", baseRef="main~1", targetBranch="old")
    assert created["targetBranch"] == "old"


def test_typescript_writes_notes(repo: Repo, call: Call) -> None:
    main, feature = diverge(repo)
    added = call("createNote", sha=main, note="QA passed", author=PERSON, ref="reviews")
    assert added["result"]["success"] and added["targetRef"] == "refs/notes/reviews"
    appended = call("appendNote", sha=main, note="Shipped", ref="reviews", expectedRefSha=added["newRefSha"])
    assert appended["baseCommit"] == added["newRefSha"]
    for method, options, status in (
        ("createNote", {"sha": main, "note": "again"}, "conflict"),
        ("appendNote", {"sha": main, "note": "x", "expectedRefSha": main}, "precondition_failed"),
        ("deleteNote", {"sha": feature}, "not_found"),
    ):
        with pytest.raises(SdkError) as raised:
            call(method, ref="reviews", **options)
        assert (raised.value.name, raised.value.status) == ("RefUpdateError", status)
    with pytest.raises(SdkError) as raised:
        call("createNote", sha="1" * 40, note="n")
    assert (raised.value.name, raised.value.status) == ("ApiError", 404)
    assert call("deleteNote", sha=main, ref="reviews")["result"]["status"] == "ok"
