"""Writes to branches over the whole pipeline: commits, merges and notes, with the exact bytes of each reply."""

import json

import pytest

from tests.unit.web.api.conftest import Client, commit

pytestmark = pytest.mark.quick

ZERO = "0" * 40
ADA = {"author": {"name": "Ada", "email": "ada@example.test", "date": "2020-01-01T00:00:00Z"}}


def test_a_commit_is_shown_with_the_old_and_new_tip_of_its_branch(repo: Client) -> None:
    sent = commit(repo, "main", "a.txt", b"1\n", key="k")
    told = json.loads(sent.body)["commit"]
    assert (sent.status, sent.body.decode()) == (
        201,
        f'{{"commit":{{"commit_sha":"{told["commit_sha"]}","tree_sha":"{told["tree_sha"]}","target_branch":"main",'
        f'"pack_bytes":{told["pack_bytes"]},"blob_count":1}},"result":{{"target_branch":"main","old_sha":"{ZERO}",'
        f'"new_sha":"{told["commit_sha"]}","success":true,"status":"ok","branch":"main"}}}}',
    )
    again = commit(repo, "main", "a.txt", b"1\n", key="k")
    assert (again.body, again.headers["idempotency-replayed"]) == (sent.body, "true")


def test_a_refused_commit_names_its_branch(stocked: Client) -> None:
    metadata = {"target_branch": "main", "commit_message": "m", **ADA, "expected_target_sha": ZERO}
    sent = stocked.call("POST", "/commit-pack", json.dumps({"metadata": metadata}).encode())
    result = json.loads(sent.body)["result"]
    assert (sent.status, result["status"], result["branch"]) == (409, "precondition_failed", "main")


def test_a_restored_tree_is_shown_like_a_commit(stocked: Client) -> None:
    assert commit(stocked, "main", "b.txt", b"2\n").status == 201
    body = {"metadata": {"target_branch": "main", "base_ref": "main~1", **ADA}}
    sent = stocked.call("POST", "/restore-commit", body)
    told = json.loads(sent.body)
    assert sent.status == 201
    assert list(told["commit"]) == ["commit_sha", "tree_sha", "target_branch", "pack_bytes", "blob_count"]
    assert list(told["result"]) == ["target_branch", "old_sha", "new_sha", "success", "status", "branch"]


def test_a_merge_is_shown_with_both_sides(stocked: Client) -> None:
    assert (
        stocked.call("POST", "/branches/create", {"target_branch": "dev", "base_ref": "main"}).status == 200
    )
    assert commit(stocked, "dev", "b.txt", b"2\n").status == 201
    body = {"source_ref": "dev", "target_branch": "main", "strategy": "merge", **ADA}
    sent = stocked.call("POST", "/merge", body, key="k")
    told = json.loads(sent.body)
    source, target = told["source"], told["target"]
    assert (sent.status, sent.body.decode()) == (
        200,
        f'{{"result":"{told["result"]}","commit_sha":"{told["commit_sha"]}","tree_sha":"{told["tree_sha"]}",'
        f'"source":{{"ref":"dev","ephemeral":false,"sha":"{source["sha"]}","branch":"dev"}},'
        f'"target":{{"branch":"main","ephemeral":false,"old_sha":"{target["old_sha"]}","new_sha":"{told["commit_sha"]}"}},'
        f'"merge_base_sha":"{target["old_sha"]}","promoted_commits":{told["promoted_commits"]}}}',
    )
    assert stocked.call("POST", "/merge", body, key="k").body == sent.body


def test_the_answer_of_a_merge_without_changes_is_kept_for_its_key(stocked: Client) -> None:
    body = {"source_ref": "main", "target_branch": "main", "strategy": "merge"}
    first = stocked.call("POST", "/merge", body, key="k")
    assert json.loads(first.body)["result"] == "no_op"
    assert "idempotency-replayed" in stocked.call("POST", "/merge", body, key="k").headers


def test_only_adding_a_note_answers_created(stocked: Client) -> None:
    added = stocked.call("POST", "/notes", {"object_ref": "main", "note": "a", **ADA})
    told = json.loads(added.body)
    assert (added.status, added.body.decode()) == (
        201,
        f'{{"sha":"{told["sha"]}","notes_ref":"refs/notes/commits","new_ref_sha":"{told["new_ref_sha"]}",'
        '"result":{"success":true,"status":"ok"},"target_ref":"refs/notes/commits"}',
    )
    appended = stocked.call(
        "POST", "/notes", {"object_ref": "main", "note": "b", "action": "append", **ADA}, key="k"
    )
    assert (appended.status, json.loads(appended.body)["base_commit"]) == (200, told["new_ref_sha"])
    again = stocked.call(
        "POST", "/notes", {"object_ref": "main", "note": "b", "action": "append", **ADA}, key="k"
    )
    assert (again.status, again.body) == (200, appended.body)
    assert list(json.loads(appended.body))[2] == "base_commit"


def test_a_note_and_the_notes_refs_are_shown_with_their_names(stocked: Client) -> None:
    told = json.loads(stocked.call("POST", "/notes", {"object_ref": "main", "note": "a\n", **ADA}).body)
    sent = stocked.call("GET", "/notes?object_ref=main")
    assert sent.body.decode() == f'{{"sha":"{told["sha"]}","note":"a","ref_sha":"{told["new_ref_sha"]}"}}'
    name = "refs/notes/commits"
    assert stocked.call("GET", "/notes/refs").body.decode() == (
        f'{{"refs":[{{"cursor":"{name}","ref":"{name}","sha":"{told["new_ref_sha"]}"}}],"has_more":false,'
        '"prefix":"refs/notes/"}'
    )
