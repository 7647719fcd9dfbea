"""Every reading method of the released TypeScript client, on a history that real git pushed."""

import base64
import io
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.builders.sample_history import SampleHistory, push_sample_history
from tests.support.clients.git import Git
from tests.support.clients.repo import Org, Repo
from tests.support.clients.typescript import TypeScriptClient

Call = Callable[..., Any]


@pytest.fixture
def history(repo: Repo, git: Git, tmp_path: Path) -> SampleHistory:
    """The sample history in a new repository."""
    return push_sample_history(repo, git, tmp_path / "work")


@pytest.fixture
def call(org: Org, history: SampleHistory) -> Iterator[Call]:
    """A function that calls a method of the client's handle for that repository."""
    with TypeScriptClient(org) as client:
        yield lambda method, **args: client.call(method, history.repo.name, **args)


def test_commits_are_listed_newest_first_in_pages(call: Call, history: SampleHistory) -> None:
    page = call("listCommits", limit=1)
    assert [commit["sha"] for commit in page["commits"]] == [history.tip]
    assert page["commits"][0]["parentShas"] == [history.start]
    rest = call("listCommits", limit=1, cursor=page["nextCursor"])
    assert [commit["sha"] for commit in rest["commits"]] == [history.start]
    assert rest["hasMore"] is False
    assert [commit["sha"] for commit in call("listCommits", path="README.md")["commits"]] == [history.start]


def test_the_typescript_client_reads_one_commit(call: Call, history: SampleHistory) -> None:
    commit = call("getCommit", sha=history.tip)["commit"]
    assert (commit["sha"], commit["message"]) == (history.tip, "One\n\nBecause.")
    assert "signature" not in commit


def test_diffs_of_a_commit_and_of_a_branch_are_read(call: Call, history: SampleHistory) -> None:
    diff = call("getCommitDiff", sha=history.tip)
    assert [(file["path"], file["state"]) for file in diff["files"]] == [("src/cart.py", "modified")]
    assert diff["stats"] == {"files": 1, "additions": 1, "deletions": 1, "changes": 2}
    assert "+total = 1" in diff["files"][0]["raw"]
    first = call("getCommitDiff", sha=history.start)
    assert [file["path"] for file in first["filteredFiles"]] == ["logo.bin"]
    branch = call("getBranchDiff", branch="docs", base="main")
    assert branch["mergeBaseSha"] == history.start
    assert [(file["path"], file["state"]) for file in branch["files"]] == [("docs/guide.md", "added")]


def test_blame_names_the_commit_of_each_line(call: Call, history: SampleHistory) -> None:
    blame = call("getBlame", path="src/cart.py")
    assert [line["commitSha"] for line in blame["lines"]] == [history.start, history.tip]
    assert [line["lineNumber"] for line in call("getBlame", path="src/cart.py", ranges=["2,2"])["lines"]] == [
        2
    ]


def test_grep_finds_lines_with_context(call: Call, history: SampleHistory) -> None:
    query = {"pattern": "TOTAL", "caseSensitive": False}
    found = call("grep", query=query, context={"before": 1})
    assert found["repo"] == {"ref": "main", "commit": history.tip}
    assert [line["type"] for line in found["matches"][0]["lines"]] == ["context", "match"]
    assert found["hasMore"] is False


def test_files_come_with_the_commit_that_changed_them_last(call: Call, history: SampleHistory) -> None:
    listing = call("listFilesWithMetadata")
    last = {file["path"]: file["lastCommitSha"] for file in listing["files"]}
    assert last == {"README.md": history.start, "logo.bin": history.start, "src/cart.py": history.tip}
    assert listing["commits"][history.start]["message"] == "Start"


def test_an_archive_holds_the_chosen_files(call: Call) -> None:
    answer = call("readArchive", excludeGlobs=["*.bin"], archivePrefix="shop")
    content = io.BytesIO(base64.b64decode(answer["base64"]))
    with tarfile.open(fileobj=content) as archive:
        assert sorted(archive.getnames()) == ["shop/README.md", "shop/src/cart.py"]
    whole = io.BytesIO(base64.b64decode(call("readArchive")["base64"]))
    with tarfile.open(fileobj=whole) as archive:
        assert "logo.bin" in archive.getnames()


def test_tags_and_notes_are_read(call: Call, history: SampleHistory) -> None:
    assert [(tag["name"], tag["sha"]) for tag in call("listTags")["tags"]] == [("v1", history.start)]
    assert call("getNote", sha=history.start, ref="reviews")["note"] == "QA passed"
    assert [ref["ref"] for ref in call("listNotesRefs")["refs"]] == ["refs/notes/reviews"]


def test_the_typescript_client_previews_a_merge(call: Call, history: SampleHistory) -> None:
    clean = call("previewMerge", sourceBranch="docs", targetBranch="main")
    assert (clean["status"], clean["conflictPaths"]) == ("clean", [])
    torn = call("previewMerge", sourceBranch="feature", targetBranch="main", includeContent=True)
    assert (torn["status"], torn["conflictPaths"]) == ("conflicted", ["src/cart.py"])
    assert torn["mergeBaseSha"] == history.start
