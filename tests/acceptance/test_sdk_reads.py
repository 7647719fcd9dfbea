"""The released Python client reads history, files with metadata, tags and notes."""

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

import pytest
from pierre_storage import GitStorage
from pierre_storage.types import GitStorageOptions

from tests.support.git import Git
from tests.support.repo import Repo
from tests.support.server import Server

T = TypeVar("T")


def run(call: Coroutine[Any, Any, T]) -> T:
    """Run one call of the client."""
    return asyncio.run(call)


@pytest.fixture
def handle(repo: Repo, server: Server) -> Any:
    """The test's repository as the client sees it."""
    options: GitStorageOptions = {
        "name": repo.org.name,
        "key": repo.org.pair.private_pem,
        "api_base_url": server.url,
        "storage_base_url": server.host_port,
    }
    found = run(GitStorage(options).find_one(id=repo.name))
    assert found is not None
    return found


def test_history_is_read_page_by_page(repo: Repo, handle: Any) -> None:
    expected = [repo.write_commit("main", {"a": b"%d" % n}, message=f"Change {n}") for n in range(5)][::-1]
    seen: list[str] = []
    cursor: str | None = None
    while True:
        page = run(handle.list_commits(branch="main", limit=2, cursor=cursor))
        seen += [commit["sha"] for commit in page["commits"]]
        cursor = page.get("next_cursor")
        if not page["has_more"]:
            break
    assert seen == expected
    commit = run(handle.get_commit(sha=expected[0]))["commit"]
    assert (commit["sha"], commit["message"]) == (expected[0], "Change 4")
    limited = run(handle.list_commits(path="absent"))
    assert limited["commits"] == []


def test_files_come_with_their_last_commits(repo: Repo, handle: Any) -> None:
    first = repo.write_commit("main", {"a": b"1\n", "dir/b": b"22\n"}, message="Start")
    second = repo.write_commit("main", {"dir/b": b"333\n"}, message="Second")
    found = run(handle.list_files_with_metadata())
    assert [(file["path"], file["size"], file["last_commit_sha"]) for file in found["files"]] == [
        ("a", 2, first),
        ("dir/b", 4, second),
    ]
    assert found["commits"][second]["message"] == "Second"
    assert found["ref"] == "main"


def test_tags_and_notes_pushed_with_git_are_read(repo: Repo, handle: Any, git: Git, tmp_path: Path) -> None:
    work = git.init(tmp_path / "w")
    commit = git.commit(work, {"a": b"1\n"})
    git.run("tag", "-a", "-m", "x", "v1", cwd=work)
    git.run("notes", "--ref=reviews", "add", "-m", "QA passed", cwd=work)
    git.run("push", "--quiet", repo.remote(), "HEAD:main", "v1", "refs/notes/reviews", cwd=work)
    tags = run(handle.list_tags())
    assert [(tag["name"], tag["sha"]) for tag in tags["tags"]] == [("v1", commit)]
    note = run(handle.get_note(sha=commit, ref="reviews"))
    assert note["note"] == "QA passed"
    refs = run(handle.list_notes_refs(prefix="rev"))
    assert [ref["ref"] for ref in refs["refs"]] == ["refs/notes/reviews"]
