"""Every reading method of the released Python client, on a history that real git pushed."""

import io
import tarfile
from pathlib import Path
from typing import Any

import pytest

from tests.support.builders.sample_history import SampleHistory, push_sample_history
from tests.support.clients.git import Git
from tests.support.clients.python_client import make_client, read_archive, run
from tests.support.clients.repo import Org, Repo


@pytest.fixture
def history(repo: Repo, git: Git, tmp_path: Path) -> SampleHistory:
    """The sample history in a new repository."""
    return push_sample_history(repo, git, tmp_path / "work")


@pytest.fixture
def handle(org: Org, history: SampleHistory) -> Any:
    """The client's handle for that repository."""
    return make_client(org).repo(id=history.repo.name)


def test_commits_are_listed_newest_first_in_pages(handle: Any, history: SampleHistory) -> None:
    page = run(handle.list_commits(limit=1))
    assert [commit["sha"] for commit in page["commits"]] == [history.tip]
    assert page["commits"][0]["message"] == "One\n\nBecause."
    assert page["commits"][0]["parent_shas"] == [history.start]
    assert page["has_more"] is True
    rest = run(handle.list_commits(limit=1, cursor=page["next_cursor"]))
    assert [commit["sha"] for commit in rest["commits"]] == [history.start]
    assert rest["has_more"] is False


def test_commits_of_a_branch_and_of_a_path_are_listed(handle: Any, history: SampleHistory) -> None:
    feature = run(handle.list_commits(branch="feature"))["commits"]
    assert [commit["sha"] for commit in feature] == [history.feature, history.start]
    readme = run(handle.list_commits(path="README.md"))["commits"]
    assert [commit["sha"] for commit in readme] == [history.start]


def test_the_python_client_reads_one_commit(handle: Any, history: SampleHistory) -> None:
    commit = run(handle.get_commit(sha=history.tip))["commit"]
    assert commit["sha"] == history.tip
    assert (commit["author_name"], commit["author_email"]) == ("Ada", "ada@example.test")
    assert commit["date"].tzinfo is not None
    assert "signature" not in commit


def test_the_diff_of_a_commit_can_be_applied(
    handle: Any, history: SampleHistory, git: Git, tmp_path: Path
) -> None:
    diff = run(handle.get_commit_diff(sha=history.tip, git_apply_compatible=True))
    assert (diff["sha"], diff["base_sha"]) == (history.tip, history.start)
    assert diff["stats"] == {"files": 1, "additions": 1, "deletions": 1, "changes": 2}
    assert [(file["path"], file["state"].value) for file in diff["files"]] == [("src/cart.py", "modified")]
    git.run("checkout", "--quiet", history.start, cwd=history.work)
    git.run("apply", "-", cwd=history.work, stdin="".join(f["raw"] for f in diff["files"]).encode())
    assert (history.work / "src/cart.py").read_bytes() == b"items = []\ntotal = 1\n"


def test_a_binary_file_is_listed_without_its_content(handle: Any, history: SampleHistory) -> None:
    diff = run(handle.get_commit_diff(sha=history.start))
    assert [file["path"] for file in diff["filtered_files"]] == ["logo.bin"]
    assert {file["path"] for file in diff["files"]} == {"README.md", "src/cart.py"}


def test_the_diff_of_a_branch_starts_at_its_merge_base(handle: Any, history: SampleHistory) -> None:
    diff = run(handle.get_branch_diff(branch="docs", base="main"))
    assert diff["merge_base_sha"] == history.start
    assert [(file["path"], file["raw_state"]) for file in diff["files"]] == [("docs/guide.md", "A")]


def test_blame_names_the_commit_of_each_line(handle: Any, history: SampleHistory) -> None:
    blame = run(handle.get_blame(path="src/cart.py"))
    assert blame["commit_sha"] == history.tip
    assert [line["commit_sha"] for line in blame["lines"]] == [history.start, history.tip]
    assert blame["lines"][1]["previous_commit_sha"] == history.start
    ranged = run(handle.get_blame(path="src/cart.py", ranges=["2,2"], detect_moves=True))
    assert [line["line_number"] for line in ranged["lines"]] == [2]


def test_grep_finds_lines_with_context(handle: Any, history: SampleHistory) -> None:
    found = run(handle.grep(pattern="TOTAL", case_sensitive=False, context={"before": 1, "after": 0}))
    assert found["repo"] == {"ref": "main", "commit": history.tip}
    [match] = found["matches"]
    assert match["path"] == "src/cart.py"
    assert [(line["line_number"], line["text"], line["type"]) for line in match["lines"]] == [
        (1, "items = []", "context"),
        (2, "total = 1", "match"),
    ]
    assert run(handle.grep(pattern="total", file_filters={"extension_filters": ["md"]}))["matches"] == []


def test_files_come_with_the_commit_that_changed_them_last(handle: Any, history: SampleHistory) -> None:
    listing = run(handle.list_files_with_metadata())
    last = {file["path"]: file["last_commit_sha"] for file in listing["files"]}
    assert last == {"README.md": history.start, "logo.bin": history.start, "src/cart.py": history.tip}
    assert listing["commits"][history.start]["message"] == "Start"
    assert listing["commits"][history.tip]["author"] == "Ada"
    head = run(handle.head_file(path="src/cart.py"))
    assert head["last_commit_sha"] == history.tip


def test_an_archive_holds_the_chosen_files(handle: Any, history: SampleHistory) -> None:
    content = read_archive(handle, exclude_globs=["*.bin"], archive_prefix="shop")
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        assert sorted(archive.getnames()) == ["shop/README.md", "shop/src/cart.py"]
    with tarfile.open(fileobj=io.BytesIO(read_archive(handle, ref="docs"))) as archive:
        assert "docs/guide.md" in archive.getnames()


def test_tags_point_at_commits(handle: Any, history: SampleHistory) -> None:
    assert [(tag["name"], tag["sha"]) for tag in run(handle.list_tags())["tags"]] == [("v1", history.start)]


def test_notes_are_read(handle: Any, history: SampleHistory) -> None:
    note = run(handle.get_note(sha=history.start, ref="reviews"))
    assert (note["sha"], note["note"]) == (history.start, "QA passed")
    refs = run(handle.list_notes_refs())
    assert [ref["ref"] for ref in refs["refs"]] == ["refs/notes/reviews"]
    assert refs["prefix"] == "refs/notes/"


def test_the_python_client_previews_a_merge(handle: Any, history: SampleHistory) -> None:
    clean = run(handle.preview_merge(source_branch="docs", target_branch="main"))
    assert (clean["status"], clean["conflict_paths"]) == ("clean", [])
    torn = run(handle.preview_merge(source_branch="feature", target_branch="main", include_content=True))
    assert (torn["status"], torn["conflict_paths"]) == ("conflicted", ["src/cart.py"])
    assert torn["merge_base_sha"] == history.start
    assert "<<<<<<< main" in torn["conflicts"][0]["result"]["content"]
