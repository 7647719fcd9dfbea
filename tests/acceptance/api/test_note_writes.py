"""Writing notes over the API, compared with `git notes` in a clone, in both directions."""

import hashlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.clients.git import Git
from tests.support.clients.repo import Repo

EMPTY_TREE = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"


def write(repo: Repo, target: str, *, token: str | None = None, **body: Any) -> httpx.Response:
    return repo.api("POST", "/notes", json={"object_ref": target, **body}, token=token)


def delete(repo: Repo, target: str, *, token: str | None = None, **body: Any) -> httpx.Response:
    return repo.api("DELETE", "/notes", json={"object_ref": target, **body}, token=token)


def read(repo: Repo, target: str, **query: str) -> str:
    reply = repo.api("GET", "/notes", params={"object_ref": target, **query})
    assert reply.status_code == 200, reply.text
    note: str = reply.json()["note"]
    return note


def ref_failure(reply: httpx.Response, status: int, word: str) -> dict[str, Any]:
    """Return the body of a failure that the notes ref caused, which has no `error` member."""
    assert reply.status_code == status, reply.text
    assert reply.headers["content-type"].startswith("application/json")
    answer: dict[str, Any] = reply.json()
    assert set(answer) == {"sha", "notes_ref", "target_ref", "new_ref_sha", "result"}
    assert answer["result"].pop("message")
    assert answer["result"] == {"success": False, "status": word}
    assert len(answer["sha"]) == 40 and answer["notes_ref"] == answer["target_ref"]
    return answer


def fetch_notes(repo: Repo, git: Git, folder: Path) -> Path:
    work = git.clone(repo.remote(), folder)
    git.run("fetch", "--quiet", "origin", "+refs/notes/*:refs/notes/*", cwd=work)
    return work


def test_a_note_is_added_extended_and_removed(repo: Repo, git: Git, tmp_path: Path) -> None:
    head = repo.write_commit("main", {"a": b"1"})
    added = write(repo, "main", note="  QA passed \n")
    assert added.status_code == 201, added.text
    first = added.json()["new_ref_sha"]
    assert added.json() == {
        "sha": head,
        "notes_ref": "refs/notes/commits",
        "target_ref": "refs/notes/commits",
        "new_ref_sha": first,
        "result": {"success": True, "status": "ok"},
    }
    old = {"sha": head, "action": "append", "note": "Shipped", "expected_ref_sha": first.upper()}
    appended = repo.v1("POST", "/repos/notes", json=old)
    assert (appended.status_code, appended.json()["base_commit"]) == (200, first)
    assert read(repo, head) == "QA passed\n\nShipped"
    work = fetch_notes(repo, git, tmp_path / "clone")
    assert git.run("notes", "show", head, cwd=work) == "QA passed\n\nShipped"
    assert git.run("log", "-1", "--format=%an|%s", "refs/notes/commits", cwd=work) == (
        "Packhouse|Notes added by 'git notes append'"
    )
    git.run("fsck", "--strict", cwd=work)
    author = {"name": "Ada", "email": "ada@northwind.example"}
    gone = delete(repo, head, author=author, note="ignored", action="add")
    assert (gone.status_code, gone.json()["base_commit"]) == (200, appended.json()["new_ref_sha"])
    git.run("fetch", "--quiet", "origin", "+refs/notes/*:refs/notes/*", cwd=work)
    assert git.run("rev-parse", "refs/notes/commits^{tree}", cwd=work) == EMPTY_TREE
    assert git.run("log", "-1", "--format=%an", "refs/notes/commits", cwd=work) == "Ada"
    assert repo.api("GET", "/notes", params={"object_ref": head}).status_code == 404
    assert write(repo, head, note="again").status_code == 201


def test_append_makes_a_missing_note_and_remove_is_an_action_too(repo: Repo) -> None:
    head = repo.write_commit("main", {"a": b"1"})
    assert write(repo, head, action="append", note="x").status_code == 200
    removed = write(repo, head, action="remove")
    assert (removed.status_code, removed.json()["result"]["status"]) == (200, "ok")
    ref_failure(write(repo, head, action="remove"), 404, "not_found")


def test_failures_caused_by_the_notes_ref_give_its_tip(repo: Repo) -> None:
    head = repo.write_commit("main", {"a": b"1"})
    assert ref_failure(delete(repo, head), 404, "not_found")["new_ref_sha"] == ""
    assert ref_failure(write(repo, head, note="n", expected_notes_ref_sha=head), 409, "precondition_failed")
    tip = write(repo, head, note="n", expected_notes_ref_sha="0" * 40).json()["new_ref_sha"]
    answer = ref_failure(write(repo, head, note="other"), 409, "conflict")
    assert (answer["sha"], answer["new_ref_sha"]) == (head, tip)
    for guard in ("0" * 40, head, "main", "nonsense"):
        call = delete(repo, head, expected_notes_ref_sha=guard)
        assert ref_failure(call, 409, "precondition_failed")["new_ref_sha"] == tip
    below = ref_failure(write(repo, head, note="n", notes_ref="commits/below"), 409, "conflict")
    assert below["notes_ref"] == "refs/notes/commits/below"
    assert read(repo, head) == "n"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"note": "  "}, 400),
        ({}, 400),
        ({"note": "n", "object_ref": ""}, 400),
        ({"note": "n", "action": "replace"}, 400),
        ({"note": "n", "notes_ref": "refs/heads/main"}, 400),
        ({"note": "n", "notes_ref": "a b"}, 400),
        ({"note": "n", "author": {"name": "Ada"}}, 400),
        ({"note": "n", "object_ref": "a..b"}, 400),
        ({"note": "n", "object_ref": "gone"}, 404),
        ({"note": "n", "object_ref": "1" * 40}, 404),
        ({"note": 7}, 400),
    ],
)
def test_a_bad_note_request_is_answered_with_a_problem(repo: Repo, body: dict[str, Any], status: int) -> None:
    repo.write_commit("main", {"a": b"1"})
    reply = write(repo, "main", **body)
    assert reply.status_code == status, reply.text
    assert reply.json()["error"] and "result" not in reply.json()


def test_every_kind_of_object_can_have_a_note(repo: Repo, git: Git, tmp_path: Path) -> None:
    head = repo.write_commit("main", {"a": b"1", "dir/b": b"2"})
    work = git.clone(repo.remote(), tmp_path / "clone")
    git.run("tag", "-a", "-m", "annotated", "v1", cwd=work)
    git.run("push", "--quiet", "origin", "v1", cwd=work)
    blob, tree = git.run("rev-parse", "HEAD:a", "HEAD:dir", cwd=work).split()
    for target in (blob, tree):
        assert write(repo, target, note="n").json()["sha"] == target
    assert write(repo, "v1", note="tagged", notes_ref="notes/tags").json()["sha"] == head
    fetched = fetch_notes(repo, git, tmp_path / "fetched")
    assert set(git.run("notes", "list", cwd=fetched).split()[1::2]) == {blob, tree}
    assert git.run("notes", "--ref", "tags", "show", "v1^{commit}", cwd=fetched) == "tagged"


@pytest.mark.parametrize("count", [40, 300])
def test_notes_pushed_by_git_are_edited_in_gits_layout(
    count: int, repo: Repo, git: Git, tmp_path: Path
) -> None:
    repo.write_commit("main", {"a": b"1"})
    work = git.clone(repo.remote(), tmp_path / "work")
    git.run("notes", "add", "-m", "start", cwd=work)
    ids = [hashlib.sha1(b"%d" % number).hexdigest() for number in range(count)]
    pairs = "".join(f"HEAD {oid}\n" for oid in ids).encode()
    git.run("notes", "copy", "--stdin", cwd=work, stdin=pairs)
    git.run("push", "--quiet", "origin", "refs/notes/commits", cwd=work)
    head = repo.write_commit("main", {"a": b"2"})
    tip = write(repo, head, note="n").json()["new_ref_sha"]
    git.run("pull", "--quiet", cwd=work)
    git.run("notes", "add", "-m", "n", cwd=work)
    git.run("fetch", "--quiet", "origin", "+refs/notes/*:refs/fetched/*", cwd=work)
    trees = git.run("rev-parse", "refs/fetched/commits^{tree}", "refs/notes/commits^{tree}", cwd=work).split()
    assert git.run("rev-parse", "refs/fetched/commits", cwd=work) == tip
    assert trees[0] == trees[1]


def test_two_notes_of_one_object_are_joined_as_git_joins_them(repo: Repo, git: Git, tmp_path: Path) -> None:
    """Merged notes may have two notes of an object, in two layouts."""
    head = repo.write_commit("main", {"a": b"1"})
    work = git.clone(repo.remote(), tmp_path / "work")
    first, second = (
        git.run("hash-object", "-w", "--stdin", cwd=work, stdin=text) for text in (b"one\n", b"two\n")
    )
    below = git.run("mktree", cwd=work, stdin=f"100644 blob {second}\t{head[2:]}\n".encode())
    rows = f"100644 blob {first}\t{head}\n040000 tree {below}\t{head[:2]}\n"
    tree = git.run("mktree", cwd=work, stdin=rows.encode())
    git.run("update-ref", "refs/notes/commits", git.run("commit-tree", "-m", "n", tree, cwd=work), cwd=work)
    git.run("push", "--quiet", "origin", "refs/notes/commits", cwd=work)

    assert read(repo, head) == git.run("notes", "show", cwd=work) == "two\n\none"
    assert write(repo, head, action="append", note="three").status_code == 200
    git.run("notes", "append", "-m", "three", cwd=work)
    assert read(repo, head) == git.run("notes", "show", cwd=work) == "two\n\none\n\nthree"


def test_a_notes_ref_that_holds_no_commit_has_no_notes_and_takes_none(
    repo: Repo, git: Git, tmp_path: Path
) -> None:
    head = repo.write_commit("main", {"a": b"1"})
    work = git.clone(repo.remote(), tmp_path / "work")
    tree = git.run("rev-parse", "HEAD^{tree}", cwd=work)
    git.run("push", "--quiet", "origin", f"{tree}:refs/notes/odd", cwd=work)
    for action in ("add", "append", "remove"):
        answer = ref_failure(write(repo, head, action=action, note="n", notes_ref="odd"), 409, "conflict")
        assert (answer["sha"], answer["new_ref_sha"]) == (head, tree)
    assert repo.api("GET", "/notes", params={"object_ref": head, "notes_ref": "odd"}).status_code == 404


def test_the_policy_of_the_notes_ref_applies_to_notes(repo: Repo) -> None:
    head = repo.write_commit("main", {"a": b"1"})
    closed = [["refs/notes/closed", ["no-push"]], ["refs/notes/signed/*", ["verify-sig"]]]
    token = repo.token(refs=closed)
    for name in ("closed", "signed/a"):
        reply = write(repo, head, note="n", notes_ref=name, token=token)
        assert reply.status_code == 403
        assert reply.json()["error"].startswith("denied by policy") and "result" not in reply.json()
    assert write(repo, head, note="n", notes_ref="open", token=token).status_code == 201
    assert delete(repo, head, notes_ref="open", token=repo.token(ops=["no-push"])).status_code == 403
    assert delete(repo, head, notes_ref="open", token=repo.token(ops=["no-force-push"])).status_code == 200


@pytest.mark.parametrize("server", ["sqlite", "postgres"], indirect=True)
def test_unguarded_writers_of_one_notes_ref_all_succeed(repo: Repo) -> None:
    commits = [repo.write_commit("main", {"a": b"%d" % number}) for number in range(8)]
    with ThreadPoolExecutor(8) as pool:
        replies = list(pool.map(lambda commit: write(repo, commit, note=f"of {commit}"), commits))
    assert {reply.status_code for reply in replies} == {201}
    assert [read(repo, commit) for commit in commits] == [f"of {commit}" for commit in commits]


def test_of_note_writers_with_one_guard_one_succeeds(repo: Repo) -> None:
    commits = [repo.write_commit("main", {"a": b"%d" % number}) for number in range(5)]
    tip = write(repo, commits[0], note="n").json()["new_ref_sha"]
    with ThreadPoolExecutor(4) as pool:
        replies = list(
            pool.map(lambda commit: write(repo, commit, note="n", expected_notes_ref_sha=tip), commits[1:])
        )
    assert sorted(reply.status_code for reply in replies) == [201, 409, 409, 409]
    for reply in replies:
        if reply.status_code == 409:
            ref_failure(reply, 409, "precondition_failed")
