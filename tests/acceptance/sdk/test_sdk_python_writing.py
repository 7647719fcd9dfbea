"""Every writing method of the released Python client: its results, and its errors for refused writes."""

from pathlib import Path
from typing import Any

import pytest
from pierre_storage import ApiError, RefUpdateError

from tests.support.builders.sample_history import CART, SampleHistory, push_sample_history
from tests.support.clients.git import Git
from tests.support.clients.python_client import AUTHOR, commit, make_client, read, run
from tests.support.clients.repo import Org, Repo

NOBODY = "0123456789" * 4
FROZEN = [{"pattern": "*", "ops": ["no-push"]}]


@pytest.fixture
def history(repo: Repo, git: Git, tmp_path: Path) -> SampleHistory:
    """The sample history in a new repository."""
    return push_sample_history(repo, git, tmp_path / "work")


@pytest.fixture
def handle(org: Org, history: SampleHistory) -> Any:
    """The client's handle for that repository."""
    return make_client(org).repo(id=history.repo.name)


def refused(call: Any, status: int) -> str:
    """Run a call that must raise ApiError with this status; return its message."""
    with pytest.raises(ApiError) as caught:
        run(call)
    assert caught.value.status_code == status, caught.value.message
    return caught.value.message


def ref_refused(call: Any, status: str) -> RefUpdateError:
    """Run a call that must raise RefUpdateError with this status; return the error."""
    with pytest.raises(RefUpdateError) as caught:
        run(call)
    assert caught.value.status == status, caught.value.message
    return caught.value


def test_a_branch_is_created_and_deleted(handle: Any, history: SampleHistory) -> None:
    created = run(handle.create_branch(base_ref="main", target_branch="release"))
    assert (created["target_branch"], created["commit_sha"]) == ("release", history.tip)
    assert created["target_is_ephemeral"] is False
    from_id = run(handle.create_branch(base_ref=history.start, target_branch="old"))
    assert from_id["commit_sha"] == history.start
    assert run(handle.delete_branch(name="release"))["name"] == "release"
    assert set(history.repo.branches()) == {"main", "feature", "docs", "old"}


def test_a_branch_is_refused_with_the_reason(handle: Any, history: SampleHistory) -> None:
    refused(handle.create_branch(base_ref="main", target_branch="docs"), 409)
    assert "nowhere" in refused(handle.create_branch(base_ref="nowhere", target_branch="x"), 404)
    refused(handle.create_branch(base_ref="main", target_branch="bad..name"), 400)
    refused(handle.delete_branch(name="nowhere"), 404)
    refused(handle.delete_branch(name="main"), 409)
    frozen = handle.create_branch(base_ref="main", target_branch="x", ref_policies=FROZEN)
    assert "denied by policy" in refused(frozen, 403)
    assert set(history.repo.branches()) == {"main", "feature", "docs"}


def test_an_ephemeral_branch_is_promoted(handle: Any, history: SampleHistory) -> None:
    made = commit(handle, "Try", {"b": b"2"}, target_branch="try", base_branch="main", ephemeral=True)
    promoted = run(handle.promote_ephemeral_branch(base_branch="try", target_branch="kept"))
    assert promoted["target_branch"] == "kept"
    assert history.repo.branches()["kept"] == made["commit_sha"]


def test_branches_are_merged(handle: Any, history: SampleHistory) -> None:
    merged = run(handle.merge(source_branch="docs", target_branch="main", strategy="merge", author=AUTHOR))
    assert (merged["result"], merged["promoted_commits"]) == ("merge_commit", 1)
    assert merged["source"]["sha"] == history.docs
    assert (merged["target"]["old_sha"], merged["target"]["new_sha"]) == (history.tip, merged["commit_sha"])
    assert history.repo.branches()["main"] == merged["commit_sha"]
    assert run(handle.list_files())["paths"] == ["README.md", "docs/guide.md", "logo.bin", "src/cart.py"]
    parents = run(handle.get_commit(sha=merged["commit_sha"]))["commit"]["parent_shas"]
    assert parents == [history.tip, history.docs]
    forward = run(handle.merge(source_branch="main", target_branch="docs", strategy="ff_only"))
    assert forward["result"] == "fast_forward"
    nothing = run(handle.merge(source_branch="docs", target_branch="main", strategy="merge"))
    assert nothing["result"] == "no_op"


def test_a_merge_is_squashed(handle: Any, history: SampleHistory) -> None:
    merge = handle.merge(
        source_branch="docs", target_branch="main", strategy="merge", squash=True, commit_message="All of it"
    )
    squashed = run(merge)
    assert squashed["result"] == "squash"
    made = run(handle.get_commit(sha=squashed["commit_sha"]))["commit"]
    assert (made["parent_shas"], made["message"]) == ([history.tip], "All of it")


def test_a_merge_is_refused_with_the_reason(handle: Any, history: SampleHistory) -> None:
    conflict = handle.merge(source_branch="feature", target_branch="main", strategy="merge")
    assert "conflict" in refused(conflict, 409)
    refused(handle.merge(source_branch="feature", target_branch="main", strategy="ff_only"), 409)
    stale = handle.merge(
        source_branch="docs", target_branch="main", strategy="merge", expected_target_sha=history.start
    )
    refused(stale, 409)
    refused(handle.merge(source_branch="nowhere", target_branch="main", strategy="merge"), 404)
    frozen = handle.merge(source_branch="docs", target_branch="main", strategy="merge", ref_policies=FROZEN)
    refused(frozen, 403)
    assert history.repo.branches()["main"] == history.tip


def test_a_tag_is_created_and_deleted(handle: Any, history: SampleHistory) -> None:
    assert run(handle.create_tag(name="release/v2", target="docs"))["sha"] == history.docs
    names = [tag["name"] for tag in run(handle.list_tags())["tags"]]
    assert names == ["release/v2", "v1"]
    assert run(handle.delete_tag(name="release/v2"))["name"] == "release/v2"
    refused(handle.create_tag(name="v1", target="main"), 409)
    refused(handle.create_tag(name="v3", target="nowhere"), 404)
    refused(handle.create_tag(name="a b", target="main"), 400)
    refused(handle.delete_tag(name="nowhere"), 404)


def test_notes_are_written_and_git_shows_them(handle: Any, history: SampleHistory, git: Git) -> None:
    made = run(handle.create_note(sha=history.tip, note="Deployed", author=AUTHOR))
    assert made["target_ref"] == "refs/notes/commits"
    added = run(handle.append_note(sha=history.tip, note="Rolled back", expected_ref_sha=made["new_ref_sha"]))
    assert added["base_commit"] == made["new_ref_sha"]
    git.run(
        "fetch", "--quiet", history.repo.remote(), "refs/notes/commits:refs/notes/commits", cwd=history.work
    )
    assert git.run("notes", "show", history.tip, cwd=history.work) == "Deployed\n\nRolled back"
    removed = run(handle.delete_note(sha=history.tip))
    assert removed["result"]["success"] is True
    other = run(handle.append_note(sha=history.start, note="Shipped", ref="reviews"))
    assert other["target_ref"] == "refs/notes/reviews"
    assert run(handle.get_note(sha=history.start, ref="reviews"))["note"] == "QA passed\n\nShipped"


def test_a_note_is_refused_with_the_reason(handle: Any, history: SampleHistory) -> None:
    made = run(handle.create_note(sha=history.tip, note="one"))
    ref_refused(handle.create_note(sha=history.tip, note="two"), "conflict")
    stale = handle.append_note(sha=history.tip, note="three", expected_ref_sha=NOBODY)
    ref_refused(stale, "precondition_failed")
    ref_refused(handle.delete_note(sha=history.start), "not_found")
    refused(handle.create_note(sha=NOBODY, note="x"), 404)
    refused(handle.delete_note(sha=history.tip, ref_policies=FROZEN), 403)
    assert run(handle.get_note(sha=history.tip)) == {
        "sha": history.tip,
        "note": "one",
        "ref_sha": made["new_ref_sha"],
    }


def test_an_old_state_is_restored_as_a_new_commit(handle: Any, history: SampleHistory) -> None:
    restored = run(
        handle.restore_commit(target_branch="main", target_commit_sha=history.start, author=AUTHOR)
    )
    assert restored["ref_update"]["old_sha"] == history.tip
    assert read(handle, path="src/cart.py") == (200, CART)
    made = run(handle.get_commit(sha=restored["commit_sha"]))["commit"]
    assert made["parent_shas"] == [history.tip]
    stale = handle.restore_commit(
        target_branch="main", target_commit_sha="docs", author=AUTHOR, expected_head_sha=history.tip
    )
    error = ref_refused(stale, "precondition_failed")
    assert error.ref_update["old_sha"] == restored["commit_sha"]
    unknown = handle.restore_commit(target_branch="main", target_commit_sha=NOBODY, author=AUTHOR)
    ref_refused(unknown, "not_found")


def test_a_diff_becomes_a_commit(handle: Any, history: SampleHistory, git: Git) -> None:
    (history.work / "src/cart.py").write_bytes(b"items = [1]\ntotal = 1\n")
    patch = git.run("diff", "--binary", cwd=history.work) + "\n"
    arguments = {"target_branch": "main", "commit_message": "Patch", "author": AUTHOR}
    made = run(handle.create_commit_from_diff(diff=patch, **arguments))
    assert made["ref_update"]["old_sha"] == history.tip
    assert read(handle, path="src/cart.py") == (200, b"items = [1]\ntotal = 1\n")
    ref_refused(handle.create_commit_from_diff(diff=patch, **arguments), "conflict")
    hostile = patch.replace("src/cart.py", ".git/config")
    ref_refused(handle.create_commit_from_diff(diff=hostile, **arguments), "invalid")
    assert history.repo.branches()["main"] == made["commit_sha"]


def test_commits_obey_policies_and_names(handle: Any, history: SampleHistory) -> None:
    builder = handle.create_commit(
        target_branch="main", commit_message="No", author=AUTHOR, ref_policies=FROZEN
    )
    error = ref_refused(builder.add_file("a", b"1").send(), "forbidden")
    assert error.message.startswith("denied by policy")
    for path in ("../escape", ".git/config", "a//b"):
        builder = handle.create_commit(target_branch="main", commit_message="No", author=AUTHOR)
        ref_refused(builder.add_file(path, b"1").send(), "invalid")
    missing = handle.create_commit(
        target_branch="new", commit_message="No", author=AUTHOR, base_branch="gone"
    )
    ref_refused(missing.send(), "not_found")
    assert history.repo.branches()["main"] == history.tip
