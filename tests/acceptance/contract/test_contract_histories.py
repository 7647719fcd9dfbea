"""Odd histories that were pushed are answered in the shapes that clients require."""

from pathlib import Path
from typing import Any

import pytest

from tests.support.builders.histories import History, make_history
from tests.support.builders.seeds import seed_of
from tests.support.builders.shapes import ANSWERS, FAILURES, judge
from tests.support.builders.text_histories import make_text_history
from tests.support.clients.git import Git
from tests.support.clients.repo import Repo
from tests.support.clients.wire import Wire

EMPTY_TREE = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
PEOPLE = b"author A <a@x> 5 +0000\ncommitter A <a@x> 5 +0000\n"
SIGNATURE = b"gpgsig -----BEGIN PGP SIGNATURE-----\n \n abcd\n -----END PGP SIGNATURE-----\n"

ODD_COMMITS = {
    "empty": PEOPLE + b"\n",
    "signed": PEOPLE + SIGNATURE + b"\nSigned\n",
    "mergetag": PEOPLE + b"mergetag object " + b"1" * 40 + b"\n type commit\n tag v\n \n tagged\n\nMerge\n",
    "nobody": b"author  <> 5 +0000\ncommitter  <> 5 +0000\n\n\n\n \n",
    "late": PEOPLE.replace(b" 5 ", b" 253402300800 ") + b"\nm\n",
    "later": PEOPLE.replace(b" 5 ", b" 9223372036854775807 ") + b"\nm\n",
    "far-off": PEOPLE.replace(b"+0000", b"-9959") + b"\nm\n",
    "latin": PEOPLE.replace(b"A", b"J\xf6rg") + b"encoding ISO-8859-1\n\n\xfcber\n",
    "no-text": PEOPLE.replace(b"A", b"J\xf6rg") + b"\n\xfcber\xff\n",
    "controls": PEOPLE.replace(b"A", b"A\tB\x01") + b"\n\x01\x1b[31m\r\n\xef\xbf\xbe\xed\xa0\x80\n",
}


def push_odd_commits(repo: Repo, git: Git, work: Path) -> list[str]:
    """Push each odd commit as a branch of its own; return their ids."""
    git.init(work)
    git.run("hash-object", "-w", "-t", "tree", "--stdin", cwd=work)
    oids = []
    for name, rest in ODD_COMMITS.items():
        content = f"tree {EMPTY_TREE}\n".encode() + rest
        oid = git.run("hash-object", "-w", "-t", "commit", "--literally", "--stdin", cwd=work, stdin=content)
        git.run("push", "--quiet", repo.remote(), f"{oid}:refs/heads/{name}", cwd=work)
        oids.append(oid)
    return oids


def push_history(repo: Repo, git: Git, history: History) -> None:
    """Push branches and tags, and tags of objects that are not commits."""
    blob = git.run("hash-object", "-w", "--stdin", cwd=history.folder, stdin=b"of a tag")
    history.run("tag", "of-a-blob", blob)
    history.run("tag", "of-a-tree", f"{history.branches[0]}^{{tree}}")
    git.run("push", "--quiet", repo.remote(), "refs/*:refs/*", cwd=history.folder)


def walk_commits(wire: Wire, commits: list[str]) -> None:
    for oid in commits:
        commit = wire.ask("get_commit", ref=oid)["commit"]
        assert ("signature" in commit) == ("payload" in commit)
        for fields in ({}, {"git_apply_compatible": True}, {"base_ref": commits[0]}):
            diff: dict[str, Any] = wire.ask("commit_diff", ref=oid, **fields)
            assert diff["sha"] == oid
            for file in diff["files"]:
                assert file["bytes"] == len(file["raw"].encode())
                assert bool(file["old_path"]) == (file["state"] in "RC")
            shown = diff["files"] + diff["filtered_files"]
            assert diff["stats"]["files"] == len(shown)
        parents = commit["parent_shas"]
        assert wire.ask("commit_diff", ref=oid)["base_sha"] == (parents[0] if parents else "")


def walk_files(wire: Wire, ref: str) -> None:
    listed = wire.ask("list_files", ref=ref)
    assert listed["paths"] == [entry["path"] for entry in listed["entries"]]
    wire.ask("list_files", ref=ref, recursive=False)
    page = wire.ask("files_metadata", ref=ref, limit=1000)
    assert {file["last_commit_sha"] for file in page["files"]} == set(page["commits"])
    assert [file["path"] for file in page["files"]] == listed["paths"]
    for file in page["files"]:
        if file["type"] == "blob":
            given = {name: file[name] for name in ("path", "path_base64") if name in file}
            blame = wire.ask("blame", ref=ref, **given, detect_moves=True)
            assert [line["line_number"] for line in blame["lines"]] == list(range(1, len(blame["lines"]) + 1))
    for pattern in ("e", "^$", "[0-9]"):
        wire.ask("grep", ref=ref, query={"pattern": pattern}, context={"before": 1, "after": 2})


def look_at_merge(wire: Wire, source: str, target: str) -> None:
    preview = wire.send("preview_merge", source_ref=source, target_branch=target, include_content=True)
    if preview.status_code == 409:
        assert (
            judge(preview, FAILURES["merge"], status=409)["error"] == "the histories have no common ancestor"
        )
        return
    torn = judge(preview, ANSWERS["preview_merge"], status=200)
    assert (torn["status"] == "conflicted") == bool(torn["conflict_paths"])
    told = [conflict["path"] for conflict in torn["conflicts"] + torn["filtered_conflicts"]]
    assert told == torn["conflict_paths"]


@pytest.mark.parametrize("released", [True, False], ids=["released", "preferred"])
def test_odd_commits_are_answered_in_the_required_shapes(
    repo: Repo, git: Git, tmp_path: Path, released: bool
) -> None:
    wire = Wire(repo, released, old=released)
    oids = push_odd_commits(repo, git, tmp_path / "work")
    walk_commits(wire, oids)
    for branch in wire.ask("list_branches")["branches"]:
        listed = wire.ask("list_commits", ref=branch["name"])
        assert [commit["sha"] for commit in listed["commits"]] == [branch["head_sha"]]
        assert wire.ask("list_files", ref=branch["name"])["paths"] == []
        assert wire.ask("files_metadata", ref=branch["name"])["commits"] == {}
    assert wire.ask("branch_diff", branch="late", base="signed")["files"] == []
    judge(
        wire.send("merge", source_ref="late", target_branch="signed", strategy="merge"),
        FAILURES["merge"],
        status=409,
    )


@pytest.mark.parametrize("kind", ["any", "text"])
def test_random_histories_are_answered_in_the_required_shapes(
    request: pytest.FixtureRequest, repo: Repo, git: Git, tmp_path: Path, kind: str
) -> None:
    make = make_history if kind == "any" else make_text_history
    history = make(git, tmp_path / "history", seed_of(request), commits=16)
    push_history(repo, git, history)
    wire = Wire(repo, released=kind == "any", old=kind == "any")
    walk_commits(wire, history.commits())
    print(wire.ask("list_tags"))
    for ref in (*history.branches, *(["v1.0"] if kind == "any" else [])):
        walk_files(wire, ref)
    for branch in history.branches:
        wire.ask("branch_diff", branch=branch, base=history.branches[0])
        look_at_merge(wire, branch, history.branches[0])
