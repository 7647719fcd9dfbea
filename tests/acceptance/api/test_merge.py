"""Merges over the API: strategies, squash, guards, conflicts, races. The trees are those that git itself makes."""

import random
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.builders.seeds import seed_of
from tests.support.clients.git import Git
from tests.support.clients.repo import Repo


def merge(repo: Repo, source: str = "feature", *, token: str | None = None, **body: Any) -> httpx.Response:
    fields = {"source_ref": source, "target_branch": "main", "strategy": "merge", **body}
    return repo.api("POST", "/merge", json=fields, token=token)


def merged(reply: httpx.Response) -> dict[str, Any]:
    assert reply.status_code == 200, reply.text
    answer: dict[str, Any] = reply.json()
    return answer


def refused(reply: httpx.Response, status: int) -> dict[str, Any]:
    assert reply.status_code == status, reply.text
    answer: dict[str, Any] = reply.json()
    assert answer["error"] == answer["detail"]
    return answer


def diverge(repo: Repo) -> tuple[str, str, str]:
    """Make main and feature differ in separate files; return base and both tips."""
    base = repo.write_commit("main", {"shared": b"1\n2\n3\n", "old": b"text\n" * 20})
    feature = repo.write_commit("feature", {"feature": b"f"}, base_branch="main")
    main = repo.write_commit("main", {"main": b"m"})
    return base, main, feature


def parents(repo: Repo, git: Git, folder: Path, commit: str) -> list[str]:
    work = git.clone(repo.remote(), folder, "--bare")
    return git.run("rev-list", "--parents", "--max-count=1", commit, cwd=work).split()[1:]


def test_diverged_branches_become_one_merge_commit(repo: Repo, git: Git, tmp_path: Path) -> None:
    base, main, feature = diverge(repo)
    author = {"name": "Ada", "email": "ada@northwind.example", "date": "2024-01-02T03:04:05+02:00"}
    answer = merged(merge(repo, expected_target_sha=main.upper(), author=author))
    commit = answer["commit_sha"]
    work = git.clone(repo.remote(), tmp_path / "clone")
    assert answer == {
        "result": "merge_commit",
        "commit_sha": commit,
        "tree_sha": git.run("rev-parse", "HEAD^{tree}", cwd=work),
        "source": {"ref": "feature", "branch": "feature", "ephemeral": False, "sha": feature},
        "target": {"branch": "main", "ephemeral": False, "old_sha": main, "new_sha": commit},
        "merge_base_sha": base,
        "promoted_commits": 1,
    }
    git.run("fsck", "--strict", cwd=work)
    assert git.run("rev-list", "--parents", "-1", "HEAD", cwd=work).split() == [commit, main, feature]
    shown = git.run("log", "-1", "--format=%an %ae %aI|%cn|%B", cwd=work)
    assert shown == "Ada ada@northwind.example 2024-01-02T03:04:05+02:00|Ada|Merge feature into main"
    # The same commit, byte for byte, as git makes of the same facts.
    env = {
        f"GIT_{who}_{what}": value
        for who in ("AUTHOR", "COMMITTER")
        for what, value in (
            ("NAME", "Ada"),
            ("EMAIL", "ada@northwind.example"),
            ("DATE", "2024-01-02T03:04:05+02:00"),
        )
    }
    git.run("reset", "--quiet", "--hard", main, cwd=work)
    git.run("merge", "--quiet", "--no-ff", "-m", "Merge feature into main", feature, cwd=work, env=env)
    assert git.run("rev-parse", "HEAD", cwd=work) == commit


def test_a_merge_without_an_author_has_the_server_as_author(repo: Repo, git: Git, tmp_path: Path) -> None:
    diverge(repo)
    committer = {"name": "Bot", "email": "bot@northwind.example"}
    merged(merge(repo, commit_message="  Take it\n\nbody  ", committer=committer))
    work = git.clone(repo.remote(), tmp_path / "clone")
    shown = git.run("log", "-1", "--format=%an|%cn|%B", cwd=work)
    assert shown == "Packhouse|Bot|Take it\n\nbody"


@pytest.mark.parametrize(
    ("strategy", "squash", "result"),
    [
        ("merge", False, "merge_commit"),
        ("ff_only", False, "fast_forward"),
        ("ff_prefer", False, "fast_forward"),
        ("merge", True, "squash"),
        ("ff_prefer", True, "squash"),
    ],
)
def test_a_target_behind_its_source_is_handled_as_the_strategy_says(
    strategy: str, squash: bool, result: str, repo: Repo, git: Git, tmp_path: Path
) -> None:
    base = repo.write_commit("main", {"a": b"1"})
    repo.write_commit("feature", {"b": b"1"}, base_branch="main")
    tip = repo.write_commit("feature", {"b": b"2"})
    answer = merged(merge(repo, strategy=strategy, squash=squash))
    assert (answer["result"], answer["promoted_commits"]) == (result, 2)
    assert answer["merge_base_sha"] == base
    expected = {"merge_commit": [base, tip], "squash": [base]}
    if result == "fast_forward":
        assert answer["commit_sha"] == tip
    else:
        assert parents(repo, git, tmp_path / "clone", answer["commit_sha"]) == expected[result]
    assert repo.read_file("b") == b"2"


def test_a_source_that_the_target_contains_changes_nothing(repo: Repo) -> None:
    base = repo.write_commit("main", {"a": b"1"})
    tip = repo.write_commit("main", {"a": b"2"})
    for strategy in ("merge", "ff_only", "ff_prefer"):
        for source in (base, "main~1", "main", "HEAD"):
            answer = merged(merge(repo, source, strategy=strategy))
            assert (answer["result"], answer["commit_sha"]) == ("no_op", tip)
            assert answer["target"]["old_sha"] == answer["target"]["new_sha"] == tip
            assert answer["promoted_commits"] == 0


def test_squashing_diverged_branches_keeps_one_parent(repo: Repo, git: Git, tmp_path: Path) -> None:
    _base, main, _feature = diverge(repo)
    answer = merged(merge(repo, squash=True))
    assert answer["result"] == "squash"
    assert parents(repo, git, tmp_path / "clone", answer["commit_sha"]) == [main]
    assert (repo.read_file("feature"), repo.read_file("main")) == (b"f", b"m")


def test_tags_ids_and_ephemeral_branches_can_be_merged_by_new_and_old_members(repo: Repo) -> None:
    _base, _main, feature = diverge(repo)
    repo.api("POST", "/tags", json={"name": "v1", "ref": "feature"})
    old = {"source_branch": "feature", "target_branch": "main", "strategy": "merge"}
    reply = repo.v1("POST", "/repos/merge", json=old)
    assert merged(reply)["source"]["branch"] == "feature"
    assert merged(merge(repo, "v1"))["result"] == "no_op"
    assert merged(merge(repo, "refs/heads/feature"))["source"]["ref"] == "feature"
    repo.write_commit("draft", {"d": b"1"}, base_branch="main", ephemeral=True)
    answer = merged(merge(repo, "draft", source_is_ephemeral=True, strategy="ff_only"))
    assert answer["source"]["ephemeral"] is True
    answer = merged(merge(repo, feature, target_branch="draft", target_is_ephemeral=True))
    assert (answer["result"], answer["target"]["ephemeral"]) == ("no_op", True)


def test_conflicts_are_named_and_leave_nothing_behind(repo: Repo) -> None:
    base = repo.write_commit("main", {"a": b"1\n", "dir/b": b"1\n"})
    repo.write_commit("feature", {"a": b"2\n", "dir/b": b"2\n"}, base_branch="main")
    tip = repo.write_commit("main", {"a": b"3\n", "dir/b": b"3\n"})
    server = repo.org.server
    before = sorted(path.name for path in (server.data / "repos").rglob("pack-*"))
    answer = refused(merge(repo), 409)
    assert answer["error"] == "merge conflict"
    assert answer["conflict_type"] == "merge_conflict"
    assert answer["conflict_paths"] == ["a", "dir/b"]
    assert answer["merge_base_sha"] == base
    assert repo.branches()["main"] == tip
    assert sorted(path.name for path in (server.data / "repos").rglob("pack-*")) == before


def test_a_guard_that_does_not_hold_is_a_conflict_of_type_target_moved(repo: Repo) -> None:
    base, main, _feature = diverge(repo)
    for guard in (base, "0" * 40, "feature", "nothing"):
        answer = refused(merge(repo, expected_target_sha=guard), 409)
        assert answer["conflict_type"] == "target_moved"
        assert "conflict_paths" not in answer
    assert repo.branches()["main"] == main
    merged(merge(repo, expected_target_sha="main"))


def test_unrelated_histories_are_merged_only_if_the_request_allows_it(
    repo: Repo, git: Git, tmp_path: Path
) -> None:
    main = repo.write_commit("main", {"a": b"1"})
    work = git.init(tmp_path / "work")
    other = git.commit(work, {"b": b"1"})
    git.run("push", "--quiet", repo.remote(), "HEAD:refs/heads/other", cwd=work)
    answer = refused(merge(repo, "other"), 409)
    assert "conflict_paths" not in answer
    answer = merged(merge(repo, "other", allow_unrelated_histories=True))
    assert "merge_base_sha" not in answer
    assert parents(repo, git, tmp_path / "clone", answer["commit_sha"]) == [main, other]
    assert (repo.read_file("a"), repo.read_file("b")) == (b"1", b"1")


def test_ff_only_refuses_diverged_branches(repo: Repo) -> None:
    _base, main, _feature = diverge(repo)
    assert "fast-forward" in refused(merge(repo, strategy="ff_only"), 409)["error"]
    assert repo.branches()["main"] == main


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"strategy": None}, 400),
        ({"strategy": "octopus"}, 400),
        ({"strategy": "ff_only", "squash": True}, 400),
        ({"source_ref": " "}, 400),
        ({"target_branch": "refs/tags/x"}, 400),
        ({"squash": "yes"}, 400),
        ({"author": {"name": "Ada"}}, 400),
        ({"author": {"name": "<", "email": "a@b"}}, 400),
        ({"source_ref": "a..b"}, 400),
        ({"source_ref": "gone"}, 404),
        ({"target_branch": "gone"}, 404),
        ({"target_branch": "gone", "expected_target_sha": "0" * 40}, 404),
        ({"target_is_ephemeral": True}, 404),
        ({"source_is_ephemeral": True}, 404),
    ],
)
def test_a_bad_merge_request_is_refused(repo: Repo, body: dict[str, Any], status: int) -> None:
    _base, main, feature = diverge(repo)
    refused(merge(repo, **body), status)
    assert repo.branches() == {"main": main, "feature": feature}


def test_an_empty_repository_has_nothing_to_merge(repo: Repo) -> None:
    refused(merge(repo), 404)


def test_the_policy_of_the_target_applies_to_a_merge(repo: Repo) -> None:
    _base, main, _feature = diverge(repo)
    for op in ("no-push", "verify-sig", "new-op"):
        token = repo.token(refs=[["main", [op]]])
        assert refused(merge(repo, token=token), 403)["error"].startswith("denied by policy")
    assert repo.branches()["main"] == main
    merged(merge(repo, token=repo.token(refs=[["feature", ["no-push"]], ["*", ["no-force-push"]]])))


def test_merged_gitmodules_are_judged_by_git(repo: Repo) -> None:
    lines = [b'[submodule "a"]\n', b"\tpath = a\n", b"\turl = https://example.test/a\n"]
    padding = [b"# %d\n" % number for number in range(9)]
    start = b"".join([*lines, *padding])
    repo.write_commit("main", {".gitmodules": start})
    repo.write_commit("feature", {".gitmodules": start + b"# end\n"}, base_branch="main")
    repo.write_commit("main", {".gitmodules": b"# start\n" + start})
    merged(merge(repo))
    assert repo.read_file(".gitmodules") == b"# start\n" + start + b"# end\n"


@pytest.mark.parametrize("server", ["sqlite", "postgres"], indirect=True)
def test_unguarded_merges_into_a_moving_target_all_succeed(repo: Repo) -> None:
    repo.write_commit("main", {"a": b"1"})
    names = [f"feature{number}" for number in range(6)]
    for name in names:
        repo.write_commit(name, {name: b"1"}, base_branch="main")
    with ThreadPoolExecutor(12) as pool:
        writes = [pool.submit(repo.write_commit, "main", {f"w{n}": b"1"}) for n in range(6)]
        replies = list(pool.map(lambda name: merge(repo, name), names))
        for write in writes:
            write.result()
    assert {merged(reply)["result"] for reply in replies} == {"merge_commit"}
    assert set(repo.list_paths()) == {"a", *names, *(f"w{n}" for n in range(6))}


def test_of_merges_with_one_guard_one_succeeds(repo: Repo) -> None:
    _base, main, _feature = diverge(repo)
    names = [f"f{number}" for number in range(5)]
    for name in names:
        repo.write_commit(name, {name: b"1"}, base_branch="feature")
    with ThreadPoolExecutor(5) as pool:
        replies = list(pool.map(lambda name: merge(repo, name, expected_target_sha=main), names))
    assert sorted(reply.status_code for reply in replies) == [200, 409, 409, 409, 409]
    lost = [reply.json() for reply in replies if reply.status_code == 409]
    assert {answer["conflict_type"] for answer in lost} == {"target_moved"}


def _random_history(git: Git, work: Path, rng: random.Random) -> None:
    """Make main and feature diverge by edits, renames, deletions, mode changes and earlier merges."""
    names = [f"d{n % 3}/f{n}" for n in range(8)]
    git.commit(work, {name: _text(rng) for name in names}, "start")
    git.run("branch", "feature", cwd=work)
    for step in range(rng.randrange(2, 6)):
        branch = rng.choice(["main", "feature"])
        git.run("checkout", "--quiet", branch, cwd=work)
        present = git.run("ls-files", cwd=work).splitlines()
        victim = rng.choice(present)
        action = rng.randrange(5)
        if action == 0:
            git.run("mv", victim, f"{victim}-{step}", cwd=work)
        elif action == 1 and len(present) > 3:
            git.run("rm", "--quiet", victim, cwd=work)
        elif action == 2:
            git.run("update-index", "--chmod=+x", victim, cwd=work)
            (work / victim).chmod(0o755)
        else:
            lines = (work / victim).read_bytes().splitlines(keepends=True)
            lines[rng.randrange(len(lines))] = b"changed %d\n" % rng.randrange(3)
            (work / victim).write_bytes(b"".join(lines))
        git.commit(work, {f"new/{branch}{step}": b"new\n"}, f"step {step}")
    git.run("checkout", "--quiet", "main", cwd=work)


def _text(rng: random.Random) -> bytes:
    return b"".join(b"%d line %d\n" % (rng.randrange(100), number) for number in range(30))


@pytest.mark.parametrize("number", range(6))
def test_random_merges_are_what_git_merge_makes(
    request: pytest.FixtureRequest, repo: Repo, git: Git, tmp_path: Path, number: int
) -> None:
    work = git.init(tmp_path / "work")
    _random_history(git, work, random.Random(seed_of(request)))
    git.run("push", "--quiet", repo.remote(), "main", "feature", cwd=work)
    ours = git.try_run("merge-tree", "--write-tree", "--name-only", "-z", "main", "feature", cwd=work)
    by_git = git.try_run("merge", "--quiet", "--no-ff", "-m", "m", "feature", cwd=work)
    reply = merge(repo)
    if by_git.returncode == 0:
        answer = merged(reply)
        assert answer["tree_sha"] == git.run("rev-parse", "HEAD^{tree}", cwd=work)
    else:
        listed = {path.decode() for path in ours.stdout.split(b"\0\0")[0].split(b"\0")[1:]}
        held = {
            path
            for name in ("main", "feature")
            for path in git.run("ls-tree", "-r", "-t", "-z", "--name-only", name, cwd=work).split("\0")
        }
        told = refused(reply, 409)["conflict_paths"]
        assert listed & held <= set(told) <= held - {""}
        assert len(told) == len(set(told))
