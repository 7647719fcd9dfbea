"""Clones and fetches with the real git, in every protocol version."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.conftest import StartServer
from tests.support.clients.git import Git
from tests.support.clients.repo import Org, Repo
from tests.support.servers.server_process import ServerOptions


@pytest.fixture(params=["0", "1", "2"], ids=["v0", "v1", "v2"])
def git(git: Git, request: pytest.FixtureRequest) -> Git:
    """The real git, with one version of the protocol."""
    git.run("config", "--global", "protocol.version", request.param)
    return git


def seed(git: Git, repo: Repo, folder: Path) -> Path:
    """Push a history of three commits, a branch and an annotated tag; return the work tree."""
    work = git.init(folder)
    for number in range(3):
        files = {"README.md": b"%d\n" % number, f"src/{number}.txt": b"%d" % number * 5000}
        git.commit(work, files, f"commit {number}")
    git.run("branch", "topic", "HEAD~1", cwd=work)
    git.run("tag", "-a", "v1", "-m", "first", "HEAD~1", cwd=work)
    git.run("push", "--quiet", repo.remote(), "main", "topic", "v1", cwd=work)
    return work


def rev(git: Git, folder: Path, name: str) -> str:
    return git.run("rev-parse", name, cwd=folder)


def count(git: Git, folder: Path, name: str = "HEAD") -> int:
    return int(git.run("rev-list", "--count", name, cwd=folder))


def missing_objects(git: Git, folder: Path) -> int:
    listed = git.run("rev-list", "--objects", "--all", "--missing=print", cwd=folder)
    return sum(line.startswith("?") for line in listed.splitlines())


def test_a_clone_brings_files_branches_and_tags(git: Git, repo: Repo, tmp_path: Path) -> None:
    work = seed(git, repo, tmp_path / "work")
    clone = git.clone(repo.remote(), tmp_path / "clone")
    assert (clone / "README.md").read_bytes() == b"2\n"
    assert rev(git, clone, "HEAD") == rev(git, work, "HEAD")
    assert git.run("branch", "--remotes", "--format=%(refname)", cwd=clone).split() == [
        "refs/remotes/origin/HEAD",
        "refs/remotes/origin/main",
        "refs/remotes/origin/topic",
    ]
    assert rev(git, clone, "v1^{}") == rev(git, work, "HEAD~1")
    git.run("fsck", "--strict", cwd=clone)


def test_commits_made_over_http_can_be_cloned(git: Git, repo: Repo, tmp_path: Path) -> None:
    repo.write_commit("main", {"a.txt": b"1", "b/c.txt": b"2"})
    repo.write_commit("main", {"a.txt": b"3"})
    clone = git.clone(repo.remote(), tmp_path / "clone")
    assert (clone / "a.txt").read_bytes() == b"3"
    assert count(git, clone) == 2
    git.run("fsck", "--strict", cwd=clone)


def test_an_empty_repository_can_be_cloned_and_pushed_to(git: Git, repo: Repo, tmp_path: Path) -> None:
    clone = git.clone(repo.remote(), tmp_path / "clone")
    tip = git.commit(clone, {"a": b"1"})
    git.run("push", "--quiet", "origin", "main", cwd=clone)
    assert git.ls_remote(repo.remote()) == {"HEAD": tip, "refs/heads/main": tip}


def test_a_fetch_brings_only_new_objects(git: Git, repo: Repo, tmp_path: Path) -> None:
    work = seed(git, repo, tmp_path / "work")
    clone = git.clone(repo.remote(), tmp_path / "clone")
    for number in range(3, 40):
        git.commit(work, {"README.md": b"%d\n" % number})
    git.run("tag", "-a", "v2", "-m", "second", cwd=work)
    git.run("push", "--quiet", repo.remote(), "main", "v2", cwd=work)
    fetched = git.try_run("fetch", "--progress", cwd=clone)
    assert fetched.returncode == 0, fetched.stderr
    assert b"Total 1" in fetched.stderr  # 37 commits, their trees and blobs, and the tag: not the first ones
    assert rev(git, clone, "origin/main") == rev(git, work, "HEAD")
    assert rev(git, clone, "v2") == rev(git, work, "v2")
    assert git.try_run("fetch", cwd=clone).stderr == b""


def test_diverged_histories_are_negotiated(git: Git, repo: Repo, tmp_path: Path) -> None:
    work = seed(git, repo, tmp_path / "work")
    clone = git.clone(repo.remote(), tmp_path / "clone")
    # Enough haves for several requests, compressed ones among them.
    commits = "".join(
        f"commit refs/heads/main\ncommitter A <a@b> {number} +0000\ndata 1\nx\n"
        + ("from refs/heads/main^0\n" if not number else "")
        for number in range(300)
    )
    git.run("fast-import", "--quiet", cwd=clone, stdin=commits.encode())
    git.commit(work, {"theirs": b"1"})
    git.run("push", "--quiet", repo.remote(), "main", cwd=work)
    git.run("fetch", "--quiet", cwd=clone)
    assert rev(git, clone, "origin/main") == rev(git, work, "HEAD")
    git.run("fsck", "--strict", cwd=clone)


def test_a_shallow_clone_is_deepened_and_completed(git: Git, repo: Repo, tmp_path: Path) -> None:
    seed(git, repo, tmp_path / "work")
    clone = git.clone(repo.remote(), tmp_path / "clone", "--depth", "1")
    assert count(git, clone) == 1
    git.run("fetch", "--quiet", "--deepen", "1", cwd=clone)
    assert count(git, clone) == 2
    git.run("fetch", "--quiet", "--unshallow", cwd=clone)
    assert count(git, clone) == 3
    git.run("fsck", "--strict", cwd=clone)


def test_a_clone_may_be_cut_off_by_date_or_by_ref(git: Git, repo: Repo, tmp_path: Path) -> None:
    work = git.init(tmp_path / "work")
    for year in (2001, 2011, 2021):
        date = f"{year}-01-01T00:00:00Z"
        (work / "a").write_text(str(year))
        git.run("add", "a", cwd=work)
        env = {"GIT_AUTHOR_DATE": date, "GIT_COMMITTER_DATE": date}
        git.run("commit", "--quiet", "-m", str(year), cwd=work, env=env)
        git.run("tag", f"y{year}", cwd=work)
    git.run("push", "--quiet", "--tags", repo.remote(), "main", cwd=work)
    since = git.clone(repo.remote(), tmp_path / "since", "--shallow-since", "2005-01-01")
    assert count(git, since) == 2
    without = git.clone(repo.remote(), tmp_path / "without", "--shallow-exclude", "y2011")
    assert count(git, without) == 1


def test_a_single_branch_can_be_cloned_without_tags(git: Git, repo: Repo, tmp_path: Path) -> None:
    seed(git, repo, tmp_path / "work")
    options = ("--depth", "1", "--single-branch", "--branch", "topic", "--no-tags")
    clone = git.clone(repo.remote(), tmp_path / "clone", *options)
    assert (clone / "README.md").read_bytes() == b"1\n"
    assert git.run("for-each-ref", "--format=%(refname)", "refs/tags", "refs/remotes", cwd=clone).split() == [
        "refs/remotes/origin/topic"
    ]


@pytest.mark.parametrize(("spec", "absent"), [("blob:none", 5), ("tree:0", 3), ("blob:limit=1k", 3)])
def test_a_partial_clone_fetches_missing_objects_when_it_needs_them(
    git: Git, repo: Repo, tmp_path: Path, spec: str, absent: int
) -> None:
    seed(git, repo, tmp_path / "work")
    clone = git.clone(repo.remote(), tmp_path / "clone", "--no-checkout", "--filter", spec)
    assert missing_objects(git, clone) >= absent
    git.run("checkout", "--quiet", "main", cwd=clone)
    assert (clone / "src/2.txt").read_bytes() == b"2" * 5000
    assert git.run("show", "HEAD~2:README.md", cwd=clone) == "0"


def test_a_mirror_has_every_ref_of_the_remote(git: Git, repo: Repo, tmp_path: Path) -> None:
    work = seed(git, repo, tmp_path / "work")
    git.run("notes", "add", "-m", "reviewed", "HEAD", cwd=work)
    git.run("push", "--quiet", repo.remote(), "refs/notes/commits", cwd=work)
    mirror = git.clone(repo.remote(), tmp_path / "mirror", "--mirror")
    assert git.run("for-each-ref", "--format=%(refname)", cwd=mirror).split() == [
        "refs/heads/main",
        "refs/heads/topic",
        "refs/notes/commits",
        "refs/tags/v1",
    ]


def test_a_reachable_commit_can_be_fetched_by_its_id(git: Git, repo: Repo, tmp_path: Path) -> None:
    work = seed(git, repo, tmp_path / "work")
    for name in ("main~2", "v1", "main:README.md", "main~1:src"):
        scratch = git.init(tmp_path / name.replace(":", "-").replace("/", "-"))
        oid = rev(git, work, name)
        git.run("fetch", "--quiet", "--depth", "1", repo.remote(), oid, cwd=scratch)
        assert git.run("cat-file", "-t", oid, cwd=scratch) == git.run("cat-file", "-t", oid, cwd=work)


def test_a_client_may_negotiate_without_fetching(repo: Repo, tmp_path: Path) -> None:
    git = Git(tmp_path / "home5")
    negotiate = ("fetch", "--negotiate-only", "--negotiation-tip=main", repo.remote())
    work = seed(git, repo, tmp_path / "work")
    assert rev(git, work, "main") in git.run(*negotiate, cwd=work).split()
    stranger = git.init(tmp_path / "stranger")
    git.commit(stranger, {"b": b"2"})
    assert git.run(*negotiate, cwd=stranger) == ""
    empty = repo.org.create_repo().remote()
    assert git.run(*negotiate[:-1], empty, cwd=stranger) == ""
    pushed = git.try_run("-c", "push.negotiate=true", "push", empty, "main", cwd=stranger)
    assert (pushed.returncode, b"negotiation failed" in pushed.stderr) == (0, False), pushed.stderr


def test_a_commit_that_no_ref_leads_to_cannot_be_fetched(git: Git, repo: Repo, tmp_path: Path) -> None:
    work = seed(git, repo, tmp_path / "work")
    lost = [git.commit(work, {"secret": b"1"}), git.commit(work, {"secret": b"2"})]
    git.run("tag", "-a", "leak", "-m", "leak", cwd=work)
    lost.append(rev(git, work, "leak"))
    git.run("push", "--quiet", repo.remote(), "main", "leak", cwd=work)
    git.run("push", "--quiet", "--force", repo.remote(), "main~2:main", ":leak", cwd=work)
    for oid in [*lost, "1" * 40]:
        scratch = git.init(tmp_path / oid)
        fetched = git.try_run("fetch", repo.remote(), oid, cwd=scratch)
        assert fetched.returncode != 0
        assert f"upload-pack: not our ref {oid}".encode() in fetched.stderr


def test_the_ephemeral_remote_shows_its_own_branches_only(git: Git, repo: Repo, tmp_path: Path) -> None:
    work = seed(git, repo, tmp_path / "work")
    tip = git.commit(work, {"draft": b"1"})
    git.run("push", "--quiet", repo.remote("+ephemeral"), "HEAD:refs/heads/draft", cwd=work)
    assert git.ls_remote(repo.remote("+ephemeral")) == {"refs/heads/draft": tip}
    assert "refs/heads/draft" not in git.ls_remote(repo.remote())
    clone = git.clone(repo.remote("+ephemeral"), tmp_path / "clone", "--branch", "draft")
    assert (clone / "draft").read_bytes() == b"1"
    # One token opens both namespaces, so an id is served on either remote, a hidden name on none.
    plain = git.init(tmp_path / "plain")
    git.run("fetch", "--quiet", repo.remote(), tip, cwd=plain)
    hidden = git.try_run(
        "fetch",
        repo.remote(),
        "refs/namespaces/ephemeral/refs/heads/draft",
        cwd=git.init(tmp_path / "hidden"),
    )
    assert hidden.returncode != 0
    excluded = git.try_run(
        "clone",
        "--shallow-exclude",
        "refs/namespaces/ephemeral/refs/heads/draft",
        repo.remote(),
        tmp_path / "excluded",
    )
    assert excluded.returncode != 0


def test_ephemeral_work_is_promoted_by_fetch_and_push(git: Git, repo: Repo, tmp_path: Path) -> None:
    work = seed(git, repo, tmp_path / "work")
    tip = git.commit(work, {"draft": b"1"})
    git.run("push", "--quiet", repo.remote("+ephemeral"), "HEAD:refs/heads/draft", cwd=work)
    other = git.clone(repo.remote(), tmp_path / "other")
    git.run("fetch", "--quiet", repo.remote("+ephemeral"), "draft", cwd=other)
    git.run("push", "--quiet", repo.remote(), "FETCH_HEAD:refs/heads/landed", cwd=other)
    assert git.ls_remote(repo.remote())["refs/heads/landed"] == tip


def test_a_fetch_after_an_http_commit_sees_it(git: Git, repo: Repo, tmp_path: Path) -> None:
    repo.write_commit("main", {"a": b"1"})
    clone = git.clone(repo.remote(), tmp_path / "clone")
    tip = repo.write_commit("main", {"a": b"2"})
    git.run("pull", "--quiet", cwd=clone)
    assert rev(git, clone, "HEAD") == tip


@pytest.mark.parametrize("server", ["tls", "workers", "postgres"], indirect=True)
def test_every_kind_of_server_serves_git(git: Git, repo: Repo, tmp_path: Path) -> None:
    work = seed(git, repo, tmp_path / "work")
    clone = git.clone(repo.remote(), tmp_path / "clone")
    assert rev(git, clone, "HEAD") == rev(git, work, "HEAD")


def test_an_empty_clone_takes_the_default_branch(org: Org, tmp_path: Path) -> None:
    # Only protocol v2 can name a HEAD whose branch does not exist yet.
    git = Git(tmp_path / "home2")
    repo = org.create_repo(default_branch="trunk")
    clone = git.clone(repo.remote(), tmp_path / "clone")
    assert git.run("symbolic-ref", "HEAD", cwd=clone) == "refs/heads/trunk"
    tip = git.commit(clone, {"a": b"1"})
    git.run("push", "--quiet", "origin", "trunk", cwd=clone)
    assert git.ls_remote(repo.remote(), "HEAD") == {"HEAD": tip}


def test_a_filter_that_names_a_revision_is_refused(git: Git, repo: Repo, tmp_path: Path) -> None:
    seed(git, repo, tmp_path / "work")
    done = git.try_run("clone", "--filter", "sparse:oid=main:README.md", repo.remote(), tmp_path / "clone")
    assert done.returncode != 0


def test_a_thousand_refs_are_pushed_listed_and_cloned(tmp_path: Path, repo: Repo) -> None:
    git = Git(tmp_path / "home3")
    work = git.init(tmp_path / "work")
    tip = git.commit(work, {"a": b"1"})
    names = [f"refs/tags/release/{number:05}" for number in range(1000)]
    git.run("update-ref", "--stdin", cwd=work, stdin="".join(f"create {n} {tip}\n" for n in names).encode())
    git.run("push", "--quiet", "--tags", repo.remote(), "main", cwd=work)
    assert list(git.ls_remote(repo.remote(), "refs/tags/*")) == names
    clone = git.clone(repo.remote(), tmp_path / "clone")
    assert len(git.run("tag", "--list", cwd=clone).splitlines()) == 1000


def test_more_clients_than_slots_are_served_one_after_the_other(
    start_server: StartServer, tmp_path: Path
) -> None:
    server = start_server(ServerOptions(settings={"git_processes_max": "1"}))
    repo = server.new_org().create_repo()
    repo.write_commit("main", {"a": b"1"})
    git = Git(tmp_path / "home4")

    def clone(number: int) -> bytes:
        return (git.clone(repo.remote(), tmp_path / f"clone{number}") / "a").read_bytes()

    with ThreadPoolExecutor(6) as clients:
        assert list(clients.map(clone, range(6))) == [b"1"] * 6
