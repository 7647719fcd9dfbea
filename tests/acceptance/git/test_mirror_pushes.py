"""Mirror pushes from clones of forges, with refs that this server does not store."""

import subprocess
from pathlib import Path

import pytest

from tests.support.builders.raw_objects import list_stored, refused_refs
from tests.support.clients.git import Git
from tests.support.clients.repo import Org, Repo

HINT = (
    b"remote: push what can be stored: git push <remote> 'refs/heads/*:refs/heads/*' 'refs/tags/*:refs/tags/*'"
    b" 'refs/notes/*:refs/notes/*'"
)


@pytest.fixture
def mirror(git: Git, tmp_path: Path) -> Path:
    """A mirror clone with a branch, a tag, a note and two pull requests, one of which is merged."""
    work = git.init(tmp_path / "work")
    git.commit(work, {"a": b"1"})
    git.run("tag", "-a", "v1", "-m", "one", cwd=work)
    git.run("notes", "add", "-m", "note", cwd=work)
    git.run("update-ref", "refs/pull/1/head", "HEAD", cwd=work)
    git.run("checkout", "--quiet", "-b", "topic", cwd=work)
    git.commit(work, {"a": b"2", "only in the pull request": b"x" * 5000})
    git.run("update-ref", "refs/pull/2/head", "topic", cwd=work)
    git.run("checkout", "--quiet", "main", cwd=work)
    git.run("branch", "--quiet", "-D", "topic", cwd=work)
    git.clone(str(work), tmp_path / "mirror", "--mirror")
    return tmp_path / "mirror"


def push(git: Git, mirror: Path, *args: str) -> subprocess.CompletedProcess[bytes]:
    return git.try_run("push", "--porcelain", *args, cwd=mirror)


def storable(git: Git, mirror: Path) -> dict[str, str]:
    """Return the refs of the mirror that the server stores."""
    return {name: oid for name, oid in git.ls_remote(str(mirror), "refs/*").items() if "/pull/" not in name}


def closure(git: Git, mirror: Path) -> set[str]:
    kinds = ("--branches", "--tags", "--glob=refs/notes/*")
    return set(git.run("rev-list", "--objects", "--no-object-names", *kinds, cwd=mirror).split())


def test_the_plain_remote_refuses_only_pull_requests_and_names_the_refspecs_to_push(
    git: Git, org: Org, mirror: Path
) -> None:
    repo = org.create_repo()
    done = push(git, mirror, "--mirror", repo.remote())
    reason = "only branches, tags and notes can be pushed"
    assert refused_refs(done.stdout) == {"refs/pull/1/head": reason, "refs/pull/2/head": reason}
    assert done.stderr.count(HINT) == 1
    assert git.ls_remote(repo.remote(), "refs/*") == storable(git, mirror)
    assert list_stored(git, repo.folder()) == closure(git, mirror)


def test_the_refspecs_that_are_named_can_be_pushed(git: Git, org: Org, mirror: Path) -> None:
    repo = org.create_repo()
    specs = [word.strip(b"'").decode() for word in HINT.split() if word.startswith(b"'")]
    assert push(git, mirror, repo.remote(), *specs).returncode == 0
    assert git.ls_remote(repo.remote(), "refs/*") == storable(git, mirror)


@pytest.mark.parametrize("options", [(), ("--atomic",)])
def test_the_import_remote_skips_pull_requests_and_reports_them(
    git: Git, org: Org, mirror: Path, options: tuple[str, ...]
) -> None:
    repo = org.create_repo()
    done = push(git, mirror, *options, "--mirror", repo.remote("+import"))
    assert (done.returncode, refused_refs(done.stdout)) == (0, {}), done.stderr
    told = (
        b"remote: skipped 2 refs outside refs/heads, refs/tags and refs/notes, not stored: refs/pull/1/head,"
    )
    assert done.stderr.count(told) == 1
    assert git.ls_remote(repo.remote(), "refs/*") == storable(git, mirror)
    assert list_stored(git, repo.folder()) == closure(git, mirror)
    # In a second push only the pull requests are new.
    again = push(git, mirror, *options, "--mirror", repo.remote("+import"))
    assert again.returncode == 0, again.stderr
    assert list_stored(git, repo.folder()) == closure(git, mirror)


def test_a_mirror_push_deletes_what_the_mirror_has_lost(git: Git, org: Org, repo: Repo, mirror: Path) -> None:
    push(git, mirror, repo.remote(), "refs/heads/main:refs/heads/gone", "main")
    assert push(git, mirror, "--mirror", repo.remote("+import")).returncode == 0
    assert git.ls_remote(repo.remote(), "refs/*") == storable(git, mirror)


def test_many_skipped_refs_are_reported_in_one_short_line(git: Git, org: Org, mirror: Path) -> None:
    repo = org.create_repo()
    head = git.run("rev-parse", "main", cwd=mirror)
    lines = "".join(f"create refs/pull/{number}/merge {head}\n" for number in range(3, 500))
    git.run("update-ref", "--stdin", cwd=mirror, stdin=lines.encode())
    done = push(git, mirror, "--mirror", repo.remote("+import"))
    assert done.returncode == 0, done.stderr
    (line,) = [line for line in done.stderr.splitlines() if b"skipped" in line]
    assert line.startswith(b"remote: skipped 499 refs")
    assert len(line) < 300


def test_a_policy_refuses_on_the_import_remote_as_on_the_plain_one(git: Git, org: Org, mirror: Path) -> None:
    repo = org.create_repo()
    git.run("update-ref", "-d", "refs/pull/1/head", cwd=mirror)
    done = push(git, mirror, repo.remote("+import", refs=[["main", ["no-push"]]]), "refs/*:refs/*")
    assert set(refused_refs(done.stdout)) == {"refs/heads/main"}
    assert b"skipped 1 ref outside" in done.stderr
    assert "refs/tags/v1" in git.ls_remote(repo.remote())
