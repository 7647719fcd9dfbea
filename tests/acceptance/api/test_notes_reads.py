"""Notes over HTTP: their texts as `git notes show` gives them, the refs that hold them, bad input."""

import random
from pathlib import Path

import pytest

from tests.support.clients.git import Git
from tests.support.clients.repo import Repo


def push_notes(repo: Repo, git: Git, work: Path) -> None:
    """Push the branch, the tags and every notes ref of a work tree."""
    git.run("push", "--quiet", repo.remote(), "HEAD:main", "refs/notes/*:refs/notes/*", "--tags", cwd=work)


def test_notes_are_read_from_any_ref_by_any_name(repo: Repo, git: Git, tmp_path: Path) -> None:
    work = git.init(tmp_path / "w")
    commit = git.commit(work, {"a": b"1\n"})
    blob = git.run("rev-parse", "HEAD:a", cwd=work)
    git.run("notes", "add", "-m", "QA passed\n\nTwice.", cwd=work)
    git.run("notes", "--ref=reviews", "add", "-m", "Reviewed", cwd=work)
    git.run("notes", "--ref=reviews", "add", "-m", "On a file", blob, cwd=work)
    push_notes(repo, git, work)
    default_tip, reviews_tip = git.run(
        "rev-parse", "refs/notes/commits", "refs/notes/reviews", cwd=work
    ).split()
    expected = {"sha": commit, "note": "QA passed\n\nTwice.", "ref_sha": default_tip}
    assert repo.api("GET", "/notes", params={"object_ref": "main"}).json() == expected
    assert repo.v1("GET", "/repos/notes", params={"sha": commit}).json() == expected
    for name in ("reviews", "notes/reviews", "refs/notes/reviews", " reviews "):
        reply = repo.v1("GET", "/repos/notes", params={"sha": commit[:10], "ref": name})
        assert reply.json() == {"sha": commit, "note": "Reviewed", "ref_sha": reviews_tip}
    reply = repo.api("GET", "/notes", params={"object_ref": blob, "notes_ref": "reviews"})
    assert reply.json() == {"sha": blob, "note": "On a file", "ref_sha": reviews_tip}


def test_notes_spread_over_folders_are_found(repo: Repo, git: Git, tmp_path: Path) -> None:
    work = git.init(tmp_path / "w")
    script = b"".join(
        b"commit refs/heads/main\nmark :%d\ncommitter A <a@x> %d +0000\ndata 0\n\n" % (n, 10**9 + n)
        for n in range(1, 301)
    )
    notes = b"commit refs/notes/many\ncommitter A <a@x> 1000000000 +0000\ndata 0\n" + b"".join(
        b"N inline :%d\ndata <<E\nnote %d\nE\n" % (n, n) for n in range(1, 301)
    )
    git.run("fast-import", "--quiet", cwd=work, stdin=script + notes)
    git.run("push", "--quiet", repo.remote(), "main", "refs/notes/*:refs/notes/*", cwd=work)
    listed = git.run("ls-tree", "-r", "--name-only", "refs/notes/many", cwd=work).splitlines()
    assert all("/" in name for name in listed), "git spreads so many notes over folders"
    for commit in random.Random(300).sample(git.run("rev-list", "main", cwd=work).split(), 20):
        shown = git.run("notes", "--ref=many", "show", commit, cwd=work)
        reply = repo.api("GET", "/notes", params={"object_ref": commit, "notes_ref": "many"})
        assert reply.json()["note"] == shown


@pytest.mark.parametrize("server", ["sqlite", "postgres"], indirect=True)
def test_notes_refs_are_listed_by_prefix_and_page(repo: Repo, git: Git, tmp_path: Path) -> None:
    work = git.init(tmp_path / "w")
    git.commit(work, {"a": b"1\n"})
    names = ["commits", "rev", "reviews", "reviews2/x", "rew", "Ärger"]
    for name in names:
        git.run("notes", f"--ref={name}", "add", "-m", name, cwd=work)
    push_notes(repo, git, work)

    def listed(**query: str) -> tuple[list[str], str]:
        body = repo.api("GET", "/notes/refs", params=query).json()
        assert [ref["cursor"] for ref in body["refs"]] == [ref["ref"] for ref in body["refs"]]
        return [ref["ref"].removeprefix("refs/notes/") for ref in body["refs"]], body["prefix"]

    assert listed() == (names, "refs/notes/")
    assert listed(prefix="rev") == (["rev", "reviews", "reviews2/x"], "refs/notes/rev")
    assert listed(prefix="notes/reviews2/") == (["reviews2/x"], "refs/notes/reviews2/")
    assert listed(prefix="refs/notes/Ä") == (["Ärger"], "refs/notes/Ä")
    assert listed(prefix="refs/notes") == (names, "refs/notes/")
    first = repo.v1("GET", "/repos/notes/refs", params={"prefix": "rev", "limit": "2"}).json()
    assert first["has_more"] is True
    assert first["next_cursor"] == "refs/notes/reviews"
    assert first["refs"][0]["sha"] == git.run("rev-parse", "refs/notes/rev", cwd=work)
    assert listed(prefix="rev", cursor=first["next_cursor"])[0] == ["reviews2/x"]


def test_an_empty_repository_has_no_notes_refs(repo: Repo) -> None:
    assert repo.api("GET", "/notes/refs").json() == {"refs": [], "has_more": False, "prefix": "refs/notes/"}


@pytest.mark.parametrize(
    ("path", "query", "status"),
    [
        ("/notes", {}, 400),
        ("/notes", {"object_ref": " "}, 400),
        ("/notes", {"object_ref": "--output=x"}, 400),
        ("/notes", {"object_ref": "x" * 5000}, 400),
        ("/notes", {"object_ref": "main", "notes_ref": "refs/heads/main"}, 400),
        ("/notes", {"object_ref": "main", "notes_ref": "a..b"}, 400),
        ("/notes", {"object_ref": "main", "notes_ref": "a\0"}, 400),
        ("/notes", {"object_ref": "main", "notes_ref": "x" * 5000}, 400),
        ("/notes", {"object_ref": "main"}, 404),
        ("/notes", {"object_ref": "main", "notes_ref": "none"}, 404),
        ("/notes", {"object_ref": "absent"}, 404),
        ("/notes", {"object_ref": "a" * 40}, 404),
        ("/notes/refs", {"prefix": "refs/heads/"}, 400),
        ("/notes/refs", {"prefix": "a..b"}, 400),
        ("/notes/refs", {"prefix": "a\0"}, 400),
        ("/notes/refs", {"prefix": "x" * 5000}, 400),
        ("/notes/refs", {"cursor": "not a ref"}, 400),
        ("/notes/refs", {"limit": "-1"}, 400),
        ("/notes/refs", {"limit": "many"}, 400),
    ],
)
def test_bad_parameters_of_notes_are_refused(
    repo: Repo, path: str, query: dict[str, str], status: int
) -> None:
    repo.write_commit("main", {"a": b"1"})
    reply = repo.api("GET", path, params=query)
    assert reply.status_code == status, reply.text
    assert reply.json()["error"]
