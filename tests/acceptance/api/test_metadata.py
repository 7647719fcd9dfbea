"""Files with metadata over HTTP: fields, pages, both dialects. Single file reads give the same answers."""

from pathlib import Path
from typing import Any

import pytest

from tests.support.builders.histories import make_history
from tests.support.builders.seeds import seed_of
from tests.support.clients.git import Git
from tests.support.clients.repo import Repo


def listing(repo: Repo, **query: str) -> dict[str, Any]:
    """Return one page of the preferred dialect."""
    reply = repo.api("GET", "/files/metadata", params=query)
    assert reply.status_code == 200, reply.text
    body: dict[str, Any] = reply.json()
    return body


def test_each_file_names_its_last_commit_and_each_commit_is_listed(repo: Repo) -> None:
    person = {"name": "Ada", "email": "ada@example.test", "date": "2026-01-01T00:00:09Z"}
    later = {"name": "Lin", "email": "lin@example.test", "date": "2026-01-02T00:00:00Z"}
    start = repo.write_commit(
        "main",
        {"README.md": b"# Shop\n", "run": ("100755", b"#!"), "link": ("120000", b"run"), "src/a b.py": b""},
        message="Start\n\nBody",
        author=person,
        committer=later,
    )
    second = repo.write_commit("main", {"src/a b.py": b"x = 1\n"}, message="Second", author=later)
    expected: dict[str, Any] = {
        "files": [
            {"path": "README.md", "mode": "100644", "type": "blob", "size": 7, "last_commit_sha": start},
            {"path": "link", "mode": "120000", "type": "symlink", "size": 3, "last_commit_sha": start},
            {"path": "run", "mode": "100755", "type": "blob", "size": 2, "last_commit_sha": start},
            {"path": "src/a b.py", "mode": "100644", "type": "blob", "size": 6, "last_commit_sha": second},
        ],
        "commits": {
            start: {"author": "Ada", "date": "2026-01-01T00:00:09Z", "message": "Start\n\nBody"},
            second: {"author": "Lin", "date": "2026-01-02T00:00:00Z", "message": "Second"},
        },
        "ref": "main",
        "has_more": False,
    }
    assert listing(repo) == expected
    assert repo.v1("GET", "/repos/files/metadata").json() == expected
    assert listing(repo, recursive="false", limit="0") == expected
    for file in expected["files"]:
        reply = repo.api("HEAD", "/file", params={"path": file["path"]})
        assert reply.headers["x-last-commit-sha"] == file["last_commit_sha"]


def test_folders_and_files_are_listed_and_missing_paths_are_404(repo: Repo) -> None:
    repo.write_commit("main", {"a/b/c": b"1", "a.txt": b"1", "a/d": b"1", "a0": b"1"})
    assert [file["path"] for file in listing(repo, path="a")["files"]] == ["a/b/c", "a/d"]
    assert [file["path"] for file in listing(repo, path="/a/b/")["files"]] == ["a/b/c"]
    assert [file["path"] for file in listing(repo, path="a.txt")["files"]] == ["a.txt"]
    assert listing(repo, path="a", limit="1", cursor="a/b/c")["files"][0]["path"] == "a/d"
    for query in ({"path": "missing"}, {"path": "a.txt/x"}, {"ref": "none"}):
        assert repo.api("GET", "/files/metadata", params=query).status_code == 404


def test_a_repository_without_commits_has_no_files_to_list(repo: Repo) -> None:
    assert repo.api("GET", "/files/metadata").status_code == 404


def test_preferred_paths_always_page_and_released_ones_on_request(repo: Repo) -> None:
    paths = [f"f{number:03}" for number in range(250)]
    repo.write_commit("main", dict.fromkeys(paths, b"x"))
    first = listing(repo)
    assert (len(first["files"]), first["has_more"], first["next_cursor"]) == (200, True, "f199")
    rest = listing(repo, cursor=first["next_cursor"])
    assert [file["path"] for file in first["files"] + rest["files"]] == paths
    assert rest["has_more"] is False
    assert "next_cursor" not in rest
    whole = repo.v1("GET", "/repos/files/metadata").json()
    assert len(whole["files"]) == 250
    assert whole["has_more"] is False
    assert repo.v1("GET", "/repos/files/metadata", params={"limit": "0", "cursor": ""}).json() == whole
    assert len(listing(repo, limit="0")["files"]) == 200
    assert len(listing(repo, limit="100000")["files"]) == 250


@pytest.mark.parametrize(
    "query",
    [
        {"limit": "-1"},
        {"limit": "1.0"},
        {"recursive": "perhaps"},
        {"ephemeral": "2"},
        {"path": "../x"},
        {"path": "a\0"},
        {"path": "x" * 5000},
        {"cursor": "\0zz"},
        {"cursor": "x" * 5000},
        {"ref": "--output=x"},
        {"ref": "x" * 5000},
    ],
)
def test_bad_parameters_of_a_metadata_listing_are_refused(repo: Repo, query: dict[str, str]) -> None:
    repo.write_commit("main", {"f": b"1"})
    reply = repo.api("GET", "/files/metadata", params=query)
    assert reply.status_code == 400, reply.text


def test_a_pushed_history_has_the_last_commits_that_git_finds(
    repo: Repo, git: Git, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    history = make_history(git, tmp_path / "src.git", seed_of(request), commits=30)
    history.run("push", "--quiet", repo.remote("+import"), "refs/heads/*:refs/heads/*")
    for branch in history.branches:
        files = listing(repo, ref=branch)["files"]
        expected = history.files(branch)
        assert [file["path"] for file in files] == [
            path.decode("utf-8", "replace") for path in sorted(expected)
        ]
        for path, file in zip(sorted(expected), files, strict=True):
            assert file["mode"] == expected[path][0]
            assert file["last_commit_sha"] == history.last_commit(branch, path)
