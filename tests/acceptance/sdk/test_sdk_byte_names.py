"""The released clients read answers about file names that are not UTF-8. The new members do not disturb them."""

from pathlib import Path

from tests.support.builders.byte_names import INSIDE, LATIN, SHOWN, push_files
from tests.support.clients.git import Git
from tests.support.clients.python_client import make_client, run
from tests.support.clients.repo import Org, Repo
from tests.support.clients.typescript import TypeScriptClient


def push_both_sides(repo: Repo, git: Git, work: Path) -> None:
    """Push two branches that conflict in a file whose name is not UTF-8."""
    push_files(repo, git, work, {LATIN: b"1\n", INSIDE: b"1\n"})
    push_files(repo, git, work, {LATIN: b"2\n"}, branch="side", base="main")
    push_files(repo, git, work, {LATIN: b"3\n"}, branch="main", base="main")


def test_the_python_client_reads_answers_about_names_that_are_not_utf8(
    org: Org, repo: Repo, git: Git, tmp_path: Path
) -> None:
    push_both_sides(repo, git, tmp_path / "work")
    handle = make_client(org).repo(id=repo.name)
    assert SHOWN in run(handle.list_files())["paths"]
    assert SHOWN in [file["path"] for file in run(handle.list_files_with_metadata())["files"]]
    assert [file["path"] for file in run(handle.get_commit_diff(sha="main"))["files"]] == [SHOWN]
    found = run(handle.grep(pattern="1"))["matches"]
    assert [match["path"] for match in found] == [INSIDE.decode("utf-8", "replace")]
    preview = run(handle.preview_merge(source_branch="side", target_branch="main", include_content=True))
    assert preview["conflict_paths"] == [SHOWN]


def test_the_typescript_client_reads_answers_about_names_that_are_not_utf8(
    org: Org, repo: Repo, git: Git, tmp_path: Path
) -> None:
    push_both_sides(repo, git, tmp_path / "work")
    with TypeScriptClient(org) as client:
        assert SHOWN in client.call("listFiles", repo.name)["paths"]
        listed = client.call("listFilesWithMetadata", repo.name)["files"]
        assert SHOWN in [file["path"] for file in listed]
        diff = client.call("getCommitDiff", repo.name, sha="main")
        assert [file["path"] for file in diff["files"]] == [SHOWN]
        found = client.call("grep", repo.name, query={"pattern": "1"})["matches"]
        assert [match["path"] for match in found] == [INSIDE.decode("utf-8", "replace")]
        preview = client.call("previewMerge", repo.name, sourceBranch="side", targetBranch="main")
        assert preview["conflictPaths"] == [SHOWN]
