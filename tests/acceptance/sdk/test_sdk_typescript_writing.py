"""Every writing method of the released TypeScript client: its results, and its errors for refused writes."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.builders.sample_history import CART, SampleHistory, push_sample_history
from tests.support.clients.git import Git
from tests.support.clients.repo import Org, Repo
from tests.support.clients.typescript import SdkError, TypeScriptClient

Call = Callable[..., Any]

AUTHOR = {"name": "Grace", "email": "grace@example.test"}
NOBODY = "0123456789" * 4
FROZEN = [{"pattern": "*", "ops": ["no-push"]}]


@pytest.fixture
def history(repo: Repo, git: Git, tmp_path: Path) -> SampleHistory:
    """The sample history in a new repository."""
    return push_sample_history(repo, git, tmp_path / "work")


@pytest.fixture
def client(org: Org) -> Iterator[TypeScriptClient]:
    """A running client."""
    with TypeScriptClient(org) as running:
        yield running


@pytest.fixture
def call(client: TypeScriptClient, history: SampleHistory) -> Call:
    """A function that calls a method of the client's handle for that repository."""
    return lambda method, **args: client.call(method, history.repo.name, **args)


def refused(call: Call, method: str, status: object, **args: Any) -> SdkError:
    """Call a method that must throw with this status (a number, or the word of a refused ref update)."""
    with pytest.raises(SdkError) as caught:
        call(method, **args)
    assert caught.value.status == status, str(caught.value)
    assert caught.value.name == ("ApiError" if isinstance(status, int) else "RefUpdateError")
    return caught.value


def test_a_branch_is_created_and_deleted(call: Call, history: SampleHistory) -> None:
    created = call("createBranch", baseRef="main", targetBranch="release")
    assert (created["targetBranch"], created["commitSha"]) == ("release", history.tip)
    assert call("deleteBranch", name="release") == {
        "name": "release",
        "message": "branch deleted",
        "ephemeral": False,
    }
    refused(call, "createBranch", 409, baseRef="main", targetBranch="docs")
    refused(call, "createBranch", 404, baseRef="nowhere", targetBranch="x")
    refused(call, "deleteBranch", 404, name="nowhere")
    refused(call, "deleteBranch", 409, name="main")
    denied = refused(call, "createBranch", 403, baseRef="main", targetBranch="x", refPolicies=FROZEN)
    assert "denied by policy" in str(denied)
    assert set(history.repo.branches()) == {"main", "feature", "docs"}


def test_an_ephemeral_branch_is_promoted(
    client: TypeScriptClient, call: Call, history: SampleHistory
) -> None:
    made = client.commit(
        history.repo.name, "Try", {"b": b"2"}, targetBranch="try", baseBranch="main", ephemeral=True
    )
    call("createBranch", baseRef="try", baseIsEphemeral=True, targetBranch="kept")
    assert history.repo.branches()["kept"] == made["commitSha"]


def test_branches_are_merged(call: Call, history: SampleHistory) -> None:
    merged = call("merge", sourceBranch="docs", targetBranch="main", strategy="merge", author=AUTHOR)
    assert (merged["result"], merged["promotedCommits"]) == ("merge_commit", 1)
    assert (merged["source"]["sha"], merged["target"]["oldSha"]) == (history.docs, history.tip)
    assert merged["mergeBaseSha"] == history.start
    assert history.repo.branches()["main"] == merged["commitSha"]
    forward = call("merge", sourceBranch="main", targetBranch="docs", strategy="ff_prefer")
    assert forward["result"] == "fast_forward"


def test_a_merge_is_refused_with_the_reason(call: Call, history: SampleHistory) -> None:
    refused(call, "merge", 409, sourceBranch="feature", targetBranch="main", strategy="merge")
    refused(call, "merge", 409, sourceBranch="feature", targetBranch="main", strategy="ff_only")
    refused(call, "merge", 404, sourceBranch="nowhere", targetBranch="main", strategy="merge")
    assert history.repo.branches()["main"] == history.tip


def test_a_tag_is_created_and_deleted(call: Call, history: SampleHistory) -> None:
    assert call("createTag", name="release/v2", target="docs")["sha"] == history.docs
    assert call("deleteTag", name="release/v2")["name"] == "release/v2"
    refused(call, "createTag", 409, name="v1", target="main")
    refused(call, "createTag", 404, name="v3", target="nowhere")
    refused(call, "deleteTag", 404, name="nowhere")


def test_notes_are_written_and_refused(call: Call, history: SampleHistory) -> None:
    made = call("createNote", sha=history.tip, note="Deployed", author=AUTHOR)
    assert made["targetRef"] == "refs/notes/commits"
    added = call("appendNote", sha=history.tip, note="Rolled back", expectedRefSha=made["newRefSha"])
    assert added["baseCommit"] == made["newRefSha"]
    assert call("getNote", sha=history.tip)["note"] == "Deployed\n\nRolled back"
    refused(call, "createNote", "conflict", sha=history.tip, note="two")
    refused(call, "appendNote", "precondition_failed", sha=history.tip, note="x", expectedRefSha=NOBODY)
    refused(call, "deleteNote", "not_found", sha=history.start)
    refused(call, "createNote", 404, sha=NOBODY, note="x")
    assert call("deleteNote", sha=history.tip)["result"]["success"] is True


def test_an_old_state_is_restored_as_a_new_commit(
    client: TypeScriptClient, call: Call, history: SampleHistory
) -> None:
    restored = call("restoreCommit", targetBranch="main", targetCommitSha="HEAD~1", author=AUTHOR)
    assert restored["refUpdate"]["oldSha"] == history.tip
    assert client.read(history.repo.name, "src/cart.py") == (200, CART)
    again = {"targetBranch": "main", "targetCommitSha": history.tip, "author": AUTHOR}
    late = refused(call, "restoreCommit", "precondition_failed", **again, expectedHeadSha=history.tip)
    assert late.ref_update["oldSha"] == restored["commitSha"]
    unknown = {"targetBranch": "main", "targetCommitSha": NOBODY, "author": AUTHOR}
    refused(call, "restoreCommit", "not_found", **unknown)


def test_a_diff_becomes_a_commit(
    client: TypeScriptClient, call: Call, history: SampleHistory, git: Git
) -> None:
    (history.work / "src/cart.py").write_bytes(b"items = [1]\ntotal = 1\n")
    patch = git.run("diff", "--binary", cwd=history.work) + "\n"
    arguments = {"targetBranch": "main", "commitMessage": "Patch", "author": AUTHOR}
    made = call("createCommitFromDiff", diff=patch, **arguments)
    assert made["refUpdate"]["oldSha"] == history.tip
    assert client.read(history.repo.name, "src/cart.py") == (200, b"items = [1]\ntotal = 1\n")
    refused(call, "createCommitFromDiff", "conflict", diff=patch, **arguments)
    hostile = patch.replace("src/cart.py", ".git/config")
    refused(call, "createCommitFromDiff", "invalid", diff=hostile, **arguments)


def test_commits_obey_policies_and_paths(
    client: TypeScriptClient, call: Call, history: SampleHistory
) -> None:
    arguments = {"targetBranch": "main", "commitMessage": "No", "author": AUTHOR}
    file = {"path": "a", "base64": "MQ=="}
    refused(call, "commit", "forbidden", **arguments, files=[file], refPolicies=FROZEN)
    refused(call, "commit", "invalid", **arguments, files=[{**file, "path": ".git/config"}])
    missing = {**arguments, "targetBranch": "new", "baseBranch": "gone"}
    refused(call, "commit", "not_found", **missing, files=[file])
    assert history.repo.branches()["main"] == history.tip
