"""Pushes with the real git: which are accepted, which are refused, and what a refused push leaves."""

import subprocess
from pathlib import Path

import pytest

from tests.support.clients.git import Git
from tests.support.clients.repo import Org, Repo


@pytest.fixture
def work(git: Git, repo: Repo, tmp_path: Path) -> Path:
    """A work tree with one commit on main. The repository has the commit too."""
    work = git.init(tmp_path / "work")
    git.run("remote", "add", "origin", repo.remote(), cwd=work)
    git.run("remote", "add", "ephemeral", repo.remote("+ephemeral"), cwd=work)
    git.commit(work, {"README.md": b"hello\n"})
    git.run("push", "--quiet", "origin", "main", cwd=work)
    return work


def push(git: Git, work: Path, *args: str) -> subprocess.CompletedProcess[bytes]:
    """Push, with outcomes for machines: lines of `flag TAB from:to TAB summary (reason)`."""
    return git.try_run("push", "--porcelain", *args, cwd=work)


def refused(done: subprocess.CompletedProcess[bytes]) -> dict[str, str]:
    """Return the reason in brackets of every refused ref of a push, by refname."""
    reasons = {}
    for line in done.stdout.decode().splitlines():
        if line.startswith("!"):
            _, names, summary = line.split("\t")
            reasons[names.rpartition(":")[2]] = summary.partition("(")[2].removesuffix(")")
    return reasons


def rev(git: Git, folder: Path, name: str) -> str:
    return git.run("rev-parse", name, cwd=folder)


def repo_folders(repo: Repo) -> list[Path]:
    return list((repo.org.server.data / "repos").glob("*/*/*"))


def packs_in(folder: Path) -> list[Path]:
    return list((folder / "objects/pack").glob("*.pack"))


def assert_nothing_in_quarantine(repo: Repo) -> None:
    assert not list((repo.org.server.data / "quarantine").glob("*/HEAD"))


@pytest.mark.parametrize("version", ["0", "1", "2"])
def test_several_refs_move_at_once(git: Git, repo: Repo, work: Path, version: str) -> None:
    git.commit(work, {"a": b"1"})
    git.run("tag", "-a", "v1", "-m", "one", cwd=work)
    git.run("tag", "light", cwd=work)
    git.run("branch", "topic/deep", "HEAD~1", cwd=work)
    config = ("-c", f"protocol.version={version}")
    git.run(*config, "push", "--quiet", "origin", "main", "topic/deep", "v1", "light", cwd=work)
    assert git.ls_remote(repo.remote()) == {
        "HEAD": rev(git, work, "main"),
        "refs/heads/main": rev(git, work, "main"),
        "refs/heads/topic/deep": rev(git, work, "topic/deep"),
        "refs/tags/light": rev(git, work, "main"),
        "refs/tags/v1": rev(git, work, "v1"),
        "refs/tags/v1^{}": rev(git, work, "main"),
    }


def test_a_branch_may_be_forced_and_deleted(git: Git, repo: Repo, work: Path) -> None:
    git.run("push", "--quiet", "origin", "main:topic", cwd=work)
    git.run("commit", "--quiet", "--amend", "-m", "other", cwd=work)
    assert push(git, work, "origin", "main:topic").returncode != 0
    git.run("push", "--quiet", "--force", "origin", "main:topic", cwd=work)
    assert git.ls_remote(repo.remote())["refs/heads/topic"] == rev(git, work, "main")
    git.run("push", "--quiet", "origin", ":topic", cwd=work)
    assert "refs/heads/topic" not in git.ls_remote(repo.remote())


def test_a_branch_of_known_commits_needs_no_objects(git: Git, repo: Repo, work: Path) -> None:
    git.run("push", "--quiet", "origin", "main:copy", cwd=work)
    assert git.ls_remote(repo.remote())["refs/heads/copy"] == rev(git, work, "main")


def test_only_the_default_branch_cannot_be_deleted(git: Git, repo: Repo, work: Path) -> None:
    done = push(git, work, "origin", ":main", "main:other")
    assert refused(done) == {"refs/heads/main": "deletion of the default branch is not allowed"}
    assert sorted(git.ls_remote(repo.remote())) == ["HEAD", "refs/heads/main", "refs/heads/other"]
    git.run("push", "--quiet", "ephemeral", "main", cwd=work)
    git.run("push", "--quiet", "ephemeral", ":main", cwd=work)


def test_the_first_push_does_not_change_the_default_branch(git: Git, org: Org, tmp_path: Path) -> None:
    repo = org.create_repo()
    work = git.init(tmp_path / "first")
    git.commit(work, {"a": b"1"})
    git.run("push", "--quiet", repo.remote(), "main:other", cwd=work)
    assert list(git.ls_remote(repo.remote())) == ["refs/heads/other"]


def test_an_atomic_push_moves_all_refs_or_none(git: Git, repo: Repo, work: Path) -> None:
    git.commit(work, {"a": b"1"})
    done = push(git, work, "--atomic", "origin", "main", "main:refs/heads/README/x", "main:refs/heads/README")
    assert set(refused(done)) == {"refs/heads/main", "refs/heads/README/x", "refs/heads/README"}
    assert list(git.ls_remote(repo.remote())) == ["HEAD", "refs/heads/main"]
    assert git.ls_remote(repo.remote())["HEAD"] == rev(git, work, "HEAD~1")
    git.run("push", "--quiet", "--atomic", "origin", "main", "main:x", cwd=work)
    assert git.ls_remote(repo.remote())["refs/heads/x"] == rev(git, work, "HEAD")


def test_without_atomic_the_good_refs_move(git: Git, repo: Repo, work: Path) -> None:
    git.commit(work, {"a": b"1"})
    done = push(git, work, "origin", "main", "main:refs/heads/main/x", "main:refs/elsewhere/y")
    assert refused(done) == {
        "refs/heads/main/x": "conflicts with refs/heads/main",
        "refs/elsewhere/y": "only branches, tags and notes can be pushed",
    }
    assert git.ls_remote(repo.remote())["refs/heads/main"] == rev(git, work, "HEAD")


def test_push_options_are_taken_and_ignored(git: Git, repo: Repo, work: Path) -> None:
    git.commit(work, {"a": b"1"})
    git.run("push", "--quiet", "-o", "ci.skip", "-o", "", "origin", "main", cwd=work)
    assert git.ls_remote(repo.remote())["HEAD"] == rev(git, work, "HEAD")


def test_a_push_on_top_of_a_stale_view_is_refused(git: Git, repo: Repo, work: Path, tmp_path: Path) -> None:
    # A hook of the client moves the branch between the advertisement and the push.
    other = git.clone(repo.remote(), tmp_path / "other")
    theirs = git.commit(other, {"theirs": b"1"})
    hook = work / ".git/hooks/pre-push"
    hook.write_text(f"#!/bin/sh\nunset GIT_DIR\ncd {other} && git push --quiet origin main\n")
    hook.chmod(0o755)
    git.commit(work, {"mine": b"1"})
    done = push(git, work, "origin", "main")
    assert refused(done) == {"refs/heads/main": "the ref has moved, fetch first"}
    assert git.ls_remote(repo.remote())["HEAD"] == theirs
    assert_nothing_in_quarantine(repo)


def test_notes_may_be_pushed_and_hidden_refs_not(git: Git, repo: Repo, work: Path) -> None:
    git.run("notes", "add", "-m", "reviewed", "HEAD", cwd=work)
    git.run("push", "--quiet", "origin", "refs/notes/commits", cwd=work)
    hidden = "refs/namespaces/ephemeral/refs/heads/x"
    for remote, name in (("origin", hidden), ("ephemeral", hidden), ("ephemeral", "refs/notes/commits")):
        done = push(git, work, remote, f"HEAD:{name}")
        assert list(refused(done)) == [name]
    assert git.ls_remote(repo.remote("+ephemeral")) == {}


def test_a_branch_must_point_to_a_commit(git: Git, repo: Repo, work: Path) -> None:
    git.run("tag", "-a", "v1", "-m", "one", cwd=work)
    done = git.try_run("push", "--porcelain", "origin", "v1^{tag}:refs/heads/bad", "v1", cwd=work)
    # The client already refuses some of this; what counts is that the server has no such branch.
    assert done.returncode != 0
    assert "refs/heads/bad" not in git.ls_remote(repo.remote())


def test_tags_of_any_object_may_be_pushed(git: Git, repo: Repo, work: Path) -> None:
    git.run("tag", "-a", "nested-inner", "-m", "x", cwd=work)
    git.run("tag", "-a", "nested", "-m", "x", "nested-inner", cwd=work)
    git.run("tag", "tree", "HEAD^{tree}", cwd=work)
    git.run("tag", "blob", "HEAD:README.md", cwd=work)
    git.run("push", "--quiet", "origin", "nested", "tree", "blob", cwd=work)
    shown = git.ls_remote(repo.remote())
    assert shown["refs/tags/nested^{}"] == rev(git, work, "HEAD")
    assert shown["refs/tags/blob"] == rev(git, work, "HEAD:README.md")


def test_a_large_push_is_streamed(git: Git, repo: Repo, work: Path, tmp_path: Path) -> None:
    with Path("/dev/urandom").open("rb") as random:
        content = random.read(24 * 1024 * 1024)
    git.commit(work, {"large.bin": content})
    git.run(
        "push", "--quiet", "origin", "main", cwd=work
    )  # larger than the post buffer: chunked, after a probe
    clone = git.clone(repo.remote(), tmp_path / "clone")
    assert (clone / "large.bin").read_bytes() == content


def test_a_shallow_clone_can_push_on_top_of_known_history(
    git: Git, repo: Repo, work: Path, tmp_path: Path
) -> None:
    git.commit(work, {"a": b"1"})
    git.run("push", "--quiet", "origin", "main", cwd=work)
    shallow = git.clone(repo.remote(), tmp_path / "shallow", "--depth", "1")
    tip = git.commit(shallow, {"b": b"1"})
    git.run("push", "--quiet", "origin", "main", cwd=shallow)
    assert git.ls_remote(repo.remote())["HEAD"] == tip


def test_a_cut_off_history_is_refused_elsewhere(git: Git, org: Org, work: Path, tmp_path: Path) -> None:
    git.commit(work, {"a": b"1"})
    shallow = git.clone(work.as_uri(), tmp_path / "shallow", "--depth", "1")
    target = org.create_repo()
    before = len(repo_folders(target))
    done = push(git, shallow, target.remote(), "main")
    assert refused(done) == {"refs/heads/main": "shallow update not allowed"}
    assert git.ls_remote(target.remote()) == {}
    assert len(repo_folders(target)) == before
    assert_nothing_in_quarantine(target)


def test_the_import_remote_takes_git_pushes_and_refuses_fetches(git: Git, repo: Repo, work: Path) -> None:
    git.commit(work, {"a": b"1"})
    git.run("push", "--quiet", repo.remote("+import"), "main", cwd=work)
    assert git.ls_remote(repo.remote())["HEAD"] == rev(git, work, "HEAD")
    done = git.try_run("ls-remote", repo.remote("+import"))
    assert done.returncode != 0
    assert b"reads are disabled on the import remote" in done.stderr


def test_a_policy_refuses_single_refs_with_the_words_clients_look_for(
    git: Git, repo: Repo, work: Path
) -> None:
    rules = [["main", ["no-push"]], ["refs/tags/release/*", ["no-push"]], ["*", ["no-force-push"]]]
    remote = repo.remote(refs=rules)
    git.run("push", "--quiet", "origin", "main:topic", cwd=work)
    git.run("tag", "release/1", cwd=work)
    git.commit(work, {"a": b"1"})
    done = push(git, work, remote, "main", "main:topic", "release/1")
    assert refused(done) == {
        "refs/heads/main": "denied by policy (no-push)",
        "refs/tags/release/1": "denied by policy (no-push)",
    }
    assert b"remote: refs/heads/main: denied by policy (no-push)" in done.stderr
    assert git.ls_remote(repo.remote())["refs/heads/topic"] == rev(git, work, "HEAD")
    git.run("commit", "--quiet", "--amend", "-m", "rewritten", cwd=work)
    forced = push(git, work, "--force", remote, "main:topic", "main:new")
    assert refused(forced) == {"refs/heads/topic": "denied by policy (no-force-push)"}
    assert refused(push(git, work, remote, ":topic")) == {
        "refs/heads/topic": "denied by policy (no-force-push)"
    }
    assert sorted(git.ls_remote(repo.remote())) == [
        "HEAD",
        "refs/heads/main",
        "refs/heads/new",
        "refs/heads/topic",
    ]


def test_a_forced_push_that_descends_passes_a_policy_against_force(git: Git, repo: Repo, work: Path) -> None:
    git.commit(work, {"a": b"1"})
    remote = repo.remote(refs=[["*", ["no-force-push"]]])
    git.run("push", "--quiet", "--force", remote, "main", cwd=work)
    assert git.ls_remote(repo.remote())["HEAD"] == rev(git, work, "HEAD")


def test_a_policy_that_is_malformed_refuses_every_push(git: Git, repo: Repo, work: Path) -> None:
    git.commit(work, {"a": b"1"})
    done = push(git, work, repo.remote(refs=[["*"]]), "main")
    assert done.returncode != 0
    assert git.ls_remote(repo.remote())["HEAD"] == rev(git, work, "HEAD~1")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        (b".git", b"hasDotgit"),
        (b".GIT", b"hasDotgit"),
        (b"git~1", b"hasDotgit"),
        (b".g\xe2\x80\x8cit", b"hasDotgit"),
        (b"..", b"hasDotdot"),
        (b".", b"hasDot"),
    ],
)
def test_a_tree_with_a_hostile_name_is_refused_and_leaves_nothing(
    git: Git, org: Org, tmp_path: Path, name: bytes, words: bytes
) -> None:
    repo = org.create_repo()
    work = git.init(tmp_path / "hostile")
    blob = bytes.fromhex(git.run("hash-object", "-w", "--stdin", cwd=work, stdin=b"x"))
    inner = git.run(
        "hash-object", "-t", "tree", "-w", "--literally", "--stdin", cwd=work, stdin=b"100644 config\0" + blob
    )
    tree = git.run(
        "hash-object",
        "-t",
        "tree",
        "-w",
        "--literally",
        "--stdin",
        cwd=work,
        stdin=b"40000 " + name + b"\0" + bytes.fromhex(inner),
    )
    commit = git.run("commit-tree", "-m", "evil", tree, cwd=work)
    before = repo_folders(repo)
    done = push(git, work, repo.remote(), f"{commit}:refs/heads/main")
    assert words.decode() in refused(done)["refs/heads/main"]
    assert words in done.stderr
    assert git.ls_remote(repo.remote()) == {}
    assert repo_folders(repo) == before
    assert_nothing_in_quarantine(repo)


def test_old_histories_with_forgivable_faults_are_taken(git: Git, org: Org, tmp_path: Path) -> None:
    repo = org.create_repo()
    work = git.init(tmp_path / "old")
    blob = bytes.fromhex(git.run("hash-object", "-w", "--stdin", cwd=work, stdin=b"x"))
    hash_tree = ("hash-object", "-t", "tree", "-w", "--literally", "--stdin")
    inner = git.run(*hash_tree, cwd=work, stdin=b"100644 a\0" + blob)
    tree = git.run(*hash_tree, cwd=work, stdin=b"040000 padded\0" + bytes.fromhex(inner))
    text = f"tree {tree}\nauthor A <a@b> 1 +051800\ncommitter A <a@b>1 +0000\n\nold\n"
    commit = git.run(
        "hash-object", "-t", "commit", "-w", "--literally", "--stdin", cwd=work, stdin=text.encode()
    )
    git.run("push", "--quiet", repo.remote(), f"{commit}:refs/heads/main", cwd=work)
    assert git.ls_remote(repo.remote())["refs/heads/main"] == commit


def test_a_refused_push_into_a_repository_leaves_no_pack(git: Git, repo: Repo, work: Path) -> None:
    folder = repo.folder()
    before = packs_in(folder)
    git.commit(work, {"a": b"1"})
    push(git, work, repo.remote(refs=[["*", ["no-push"]]]), "main")
    push(git, work, "origin", "main:refs/heads/main/below")
    push(git, work, "origin", "main:refs/other/x")
    assert packs_in(folder) == before
    assert_nothing_in_quarantine(repo)


def test_pushed_objects_are_read_over_http(git: Git, repo: Repo, work: Path) -> None:
    git.commit(work, {"src/a.txt": b"pushed"})
    git.run("push", "--quiet", "origin", "main", cwd=work)
    assert repo.read_file("src/a.txt") == b"pushed"
    repo.write_commit("main", {"src/a.txt": b"over http"})
    git.run("pull", "--quiet", "origin", "main", cwd=work)
    assert (work / "src/a.txt").read_bytes() == b"over http"


def test_plain_git_reads_the_stored_packs_of_a_repository_by_id(git: Git, repo: Repo, work: Path) -> None:
    folder = repo.folder()
    safe = ("-c", f"safe.directory={folder}")
    tip = git.run("rev-parse", "main", cwd=work)
    assert git.run(*safe, "-C", folder, "log", "--format=%s", tip) == "change"
    git.run(*safe, "-C", folder, "fsck", "--strict", tip)
    assert git.run(*safe, "-C", folder, "for-each-ref") == "", "refs are in the database"
