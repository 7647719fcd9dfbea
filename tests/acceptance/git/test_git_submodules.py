"""Pushes are refused when git cannot read their `.gitmodules`."""

from pathlib import Path

from tests.support.clients.git import Git
from tests.support.clients.repo import Repo


def test_a_gitlink_named_gitmodules_is_refused(repo: Repo, git: Git, tmp_path: Path) -> None:
    work = git.init(tmp_path / "work")
    row = f"160000 commit {'1' * 40}\t.gitmodules\n"
    tree = git.run("mktree", cwd=work, stdin=row.encode())
    commit = git.run("-C", str(work), "commit-tree", "-m", "x", tree).strip()
    pushed = git.try_run("-C", str(work), "push", repo.remote(), f"{commit}:refs/heads/main")
    assert pushed.returncode != 0
    assert b".gitmodules" in pushed.stderr
    assert repo.branches() == {}


def test_an_honest_submodule_can_be_pushed(repo: Repo, git: Git, tmp_path: Path) -> None:
    work = git.init(tmp_path / "work")
    (work / ".gitmodules").write_text('[submodule "x"]\n\tpath = x\n\turl = https://x.example/x.git\n')
    git.run("-C", str(work), "add", ".")
    git.run("-C", str(work), "update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},x")
    git.run("-C", str(work), "commit", "--quiet", "-m", "x")
    git.run("-C", str(work), "push", "--quiet", repo.remote(), "HEAD:refs/heads/main")
    assert repo.list_paths() == [".gitmodules", "x"]
