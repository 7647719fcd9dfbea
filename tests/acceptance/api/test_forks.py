"""Forks and snapshots, and the objects that nobody can reach through them."""

import os
import shutil
import struct
import zlib
from hashlib import sha1
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.clients.git import Git
from tests.support.clients.repo import Org, Repo

FORK_PROVIDERS = ("code", "code.storage")
FIRST_COMMIT = {"message": "Start from template", "author": {"name": "Ada", "email": "ada@example.test"}}


def base_of(source: Repo, **fields: Any) -> dict[str, Any]:
    """Return a base_repo that forks `source`. A field of value None is left out."""
    base = {
        "provider": "code",
        "owner": source.org.name,
        "name": source.name,
        "operation": "fork",
        "auth": {"token": source.token(scopes=["git:read"])},
        **fields,
    }
    return {name: value for name, value in base.items() if value is not None}


def fork(source: Repo, *, outer_branch: str | None = None, **fields: Any) -> Repo:
    """Fork `source` and return the fork; `outer_branch` is the default branch beside `base_repo`."""
    body: dict[str, Any] = {"base_repo": base_of(source, **fields)}
    if outer_branch is not None:
        body["default_branch"] = outer_branch
    return source.org.create_repo(**body)


def snapshot(source: Repo, *, outer: dict[str, Any] | None = None, **fields: Any) -> httpx.Response:
    """Ask for a snapshot of `source` under a new name."""
    base = base_of(source, **{"provider": "code.storage", "operation": "snapshot", **fields})
    body: dict[str, Any] = {"base_repo": base, "initial_commit": FIRST_COMMIT, **(outer or {})}
    return source.org.repo().create(**{name: value for name, value in body.items() if value is not None})


@pytest.fixture
def work(git: Git, repo: Repo, tmp_path: Path) -> Path:
    """A work tree whose history is on `repo`: main with two commits, a tag, and a branch with a secret."""
    folder = git.init(tmp_path / "work")
    git.commit(folder, {"readme": b"one\n", "src/app.py": b"print(1)\n" * 50})
    git.run("tag", "-m", "first", "v1", cwd=folder)
    git.commit(folder, {"readme": b"two\n"})
    git.run("checkout", "--quiet", "-b", "private", cwd=folder)
    git.commit(folder, {"secret": b"the secret\n" * 200})
    git.run("tag", "leak", cwd=folder)
    git.run("remote", "add", "origin", remote(repo), cwd=folder)
    git.run("push", "--quiet", "origin", "main", "private", "v1", "leak", cwd=folder)
    return folder


def remote(repo: Repo, suffix: str = "") -> str:
    """Return the address of a remote of `repo` with a token in it."""
    host = repo.org.server.host_port
    return f"http://t:{repo.token()}@{host}/{repo.name}{suffix}.git"


def packs_of(repo: Repo) -> list[Path]:
    return list(repo.folder().glob("objects/pack/*.pack"))


def stored_objects(git: Git, repo: Repo) -> set[str]:
    """Return the ids of all objects that the repository's packs hold."""
    listed = git.run("cat-file", "--batch-all-objects", "--batch-check=%(objectname)", cwd=repo.folder())
    return set(listed.split())


def rev(git: Git, folder: Path, name: str) -> str:
    return git.run("rev-parse", name, cwd=folder)


@pytest.mark.parametrize("provider", FORK_PROVIDERS)
@pytest.mark.parametrize("operation", ["fork", None])
def test_a_fork_has_every_branch_and_tag(
    git: Git, repo: Repo, work: Path, provider: str, operation: str | None
) -> None:
    copy = fork(repo, provider=provider, operation=operation)
    there, here = git.ls_remote(remote(repo)), git.ls_remote(remote(copy))
    assert here == there
    info = copy.api("GET").json()
    assert info["default_branch"] == "main"
    assert "base_repo" not in info
    assert git.run("fsck", "--strict", "--no-dangling", cwd=copy.folder()) == ""


def test_notes_and_ephemeral_branches_are_not_forked(git: Git, repo: Repo, work: Path) -> None:
    git.run("notes", "add", "-m", "a note", "main", cwd=work)
    git.run("push", "--quiet", "origin", "refs/notes/*:refs/notes/*", cwd=work)
    git.commit(work, {"scratch": b"ephemeral\n"})
    git.run("push", "--quiet", remote(repo, "+ephemeral"), "HEAD:refs/heads/scratch", cwd=work)
    copy = fork(repo)
    assert not any(name.startswith("refs/notes/") for name in git.ls_remote(remote(copy)))
    assert copy.branches(ephemeral="true") == {}
    held = stored_objects(git, copy)
    assert rev(git, work, "HEAD") not in held
    assert rev(git, work, "refs/notes/commits") not in held


def test_a_fork_of_one_branch_has_that_branch_and_the_tags_it_reaches(
    git: Git, repo: Repo, work: Path
) -> None:
    copy = fork(repo, ref="main")
    assert git.ls_remote(remote(copy)) == {
        "HEAD": rev(git, work, "main"),
        "refs/heads/main": rev(git, work, "main"),
        "refs/tags/v1": rev(git, work, "v1"),
        "refs/tags/v1^{}": rev(git, work, "v1^{commit}"),
    }


@pytest.mark.parametrize(
    ("fields", "outer", "default_branch", "commit"),
    [
        ({"ref": "private"}, None, "private", "private"),
        ({"ref": "refs/heads/private"}, None, "private", "private"),
        ({"ref": "private"}, "trunk", "trunk", "private"),
        ({"ref": "v1"}, None, "main", "v1^{commit}"),
        ({"ref": "refs/tags/v1"}, None, "main", "v1^{commit}"),
        ({"sha": "main~1"}, None, "main", "main~1"),
        ({"sha": "main~1", "ref": "private"}, None, "private", "main~1"),
        ({"sha": "main~1", "ref": "private"}, "trunk", "trunk", "main~1"),
        ({"ref": "private", "default_branch": "inner"}, "outer", "inner", "private"),
    ],
)
def test_ref_sha_and_default_branch_decide_name_and_commit_of_the_only_branch(
    git: Git,
    repo: Repo,
    work: Path,
    fields: dict[str, str],
    outer: str | None,
    default_branch: str,
    commit: str,
) -> None:
    if "sha" in fields:
        fields = {**fields, "sha": rev(git, work, fields["sha"])}
    copy = fork(repo, outer_branch=outer, **fields)
    assert copy.api("GET").json()["default_branch"] == default_branch
    assert copy.branches() == {default_branch: rev(git, work, commit)}


def test_an_empty_repository_forks_to_an_empty_one(org: Org) -> None:
    source = org.create_repo(default_branch="trunk")
    copy = fork(source)
    assert copy.api("GET").json()["default_branch"] == "trunk"
    assert copy.branches() == {}
    assert source.org.repo().create(base_repo=base_of(source, ref="trunk")).status_code == 404


def test_a_fork_shares_the_packs_that_it_needs_whole(git: Git, repo: Repo, work: Path) -> None:
    stored = packs_of(repo)
    copy = fork(repo)
    assert {path.stat().st_ino for path in packs_of(copy)} == {path.stat().st_ino for path in stored}
    assert len(packs_of(copy)) == 1


def test_a_fork_of_small_packs_takes_no_folder(git: Git, repo: Repo, work: Path, tmp_path: Path) -> None:
    copy = fork(repo)
    assert not list(copy.org.server.data.glob(f"repos/*/*/{copy.api('GET').json()['repo_id']}"))
    git.clone(remote(copy), tmp_path / "clone")
    assert rev(git, tmp_path / "clone", "HEAD") == rev(git, work, "main")


def test_a_fork_lives_on_when_its_source_is_deleted(git: Git, repo: Repo, work: Path, tmp_path: Path) -> None:
    copy = fork(repo)
    folder = repo.folder()
    assert repo.v1("DELETE", "/repos/delete").status_code == 200
    shutil.rmtree(folder)
    git.clone(remote(copy), tmp_path / "clone")
    copy.write_commit("main", {"more": b"work\n"})
    assert git.run("fsck", "--no-dangling", cwd=copy.folder()) == ""


def test_writes_to_a_fork_and_to_its_source_stay_separate(git: Git, repo: Repo, work: Path) -> None:
    copy = fork(repo)
    mine = copy.write_commit("main", {"mine": b"1\n"})
    theirs = repo.write_commit("main", {"theirs": b"2\n"})
    assert mine not in stored_objects(git, repo)
    assert theirs not in stored_objects(git, copy)


# Objects that were not forked


@pytest.fixture
def partial(repo: Repo, work: Path) -> Repo:
    """A fork of main. The branch `private` shares a pack with main in the source."""
    return fork(repo, ref="main")


def secrets_of(git: Git, work: Path) -> dict[str, str]:
    return {
        "commit": rev(git, work, "private"),
        "tree": rev(git, work, "private^{tree}"),
        "blob": rev(git, work, "private:secret"),
    }


def test_the_packs_of_a_partial_fork_hold_the_forked_objects_and_no_others(
    git: Git, partial: Repo, work: Path
) -> None:
    reached = git.run("rev-list", "--objects", "--no-object-names", "main", "v1", cwd=work)
    assert stored_objects(git, partial) == set(reached.split())
    assert not (partial.folder() / "objects/info/alternates").exists()


def test_objects_that_were_not_forked_cannot_be_read_by_id_over_http(
    git: Git, partial: Repo, work: Path
) -> None:
    commit = secrets_of(git, work)["commit"]
    calls: tuple[tuple[str, dict[str, str]], ...] = (
        (f"/commits/{commit}", {}),
        ("/commits", {"branch": commit}),
        ("/files", {"ref": commit}),
        ("/file", {"path": "secret", "ref": commit}),
        ("/file", {"path": "secret", "ref": commit[:12]}),
        (f"/commits/{commit}/diff", {}),
    )
    for path, query in calls:
        assert partial.api("GET", path, params=query).status_code in (400, 404), path


@pytest.mark.parametrize("version", ["0", "2"])
def test_objects_that_were_not_forked_cannot_be_fetched_by_id(
    git: Git, partial: Repo, work: Path, tmp_path: Path, version: str
) -> None:
    clone = git.clone(remote(partial), tmp_path / "clone")
    for oid in secrets_of(git, work).values():
        done = git.try_run("-c", f"protocol.version={version}", "fetch", "origin", oid, cwd=clone)
        assert done.returncode != 0
        assert git.try_run("cat-file", "-e", oid, cwd=clone).returncode != 0


def push_raw(repo: Repo, refname: str, oid: str, pack: bytes) -> bytes:
    """Push one new ref with a pack of these bytes, which no honest client would send."""
    command = f"{'0' * 40} {oid} {refname}\0report-status".encode()
    body = f"{len(command) + 4:04x}".encode() + command + b"0000" + pack
    reply = repo.org.server.http.post(
        f"{repo.org.server.url}/{repo.name}.git/git-receive-pack",
        content=body,
        headers={
            "Authorization": f"Bearer {repo.token()}",
            "Content-Type": "application/x-git-receive-pack-request",
        },
    )
    assert reply.status_code == 200, reply.text
    return reply.content


def sealed_pack(*entries: bytes) -> bytes:
    content = b"PACK" + struct.pack(">II", 2, len(entries)) + b"".join(entries)
    return content + sha1(content, usedforsecurity=False).digest()


def test_a_push_cannot_name_objects_that_were_not_forked(git: Git, partial: Repo, work: Path) -> None:
    for number, oid in enumerate(secrets_of(git, work).values()):
        answer = push_raw(partial, f"refs/tags/stolen{number}", oid, sealed_pack())
        assert f"ng refs/tags/stolen{number}".encode() in answer, answer
    commit = (
        f"tree {secrets_of(git, work)['tree']}\n"
        "author A <a@example.test> 1 +0000\ncommitter A <a@example.test> 1 +0000\n\nstolen\n"
    ).encode()
    oid = sha1(b"commit %d\0" % len(commit) + commit, usedforsecurity=False).hexdigest()
    entry = bytes([0x90 | (len(commit) & 15), len(commit) >> 4]) + zlib.compress(commit)
    answer = push_raw(partial, "refs/heads/stolen", oid, sealed_pack(entry))
    assert b"ng refs/heads/stolen" in answer, answer


def test_a_push_cannot_make_a_delta_against_objects_that_were_not_forked(
    git: Git, partial: Repo, work: Path
) -> None:
    base = b"the secret\n" * 200
    # A delta that copies the whole base: sizes, then one copy instruction (gitformat-pack(5), "Deltified").
    size = bytes([0x80 | (len(base) & 0x7F), len(base) >> 7])
    delta = size + size + bytes([0x80 | 0x10 | 0x20, len(base) & 0xFF, len(base) >> 8])
    base_oid = bytes.fromhex(secrets_of(git, work)["blob"])
    header = bytes([0x70 | len(delta)])  # REF_DELTA
    entry = header + base_oid + zlib.compress(delta)
    oid = secrets_of(git, work)["blob"]
    answer = push_raw(partial, "refs/tags/stolen", oid, sealed_pack(entry))
    assert b"ng refs/tags/stolen" in answer or b"unpack ok" not in answer, answer
    assert oid not in stored_objects(git, partial)


# Tokens and errors


def test_the_source_of_a_fork_needs_a_token_of_its_own(org: Org, repo: Repo, work: Path) -> None:
    other = org.create_repo()
    assert org.repo().create(base_repo=base_of(repo, auth=None)).status_code == 401
    assert org.repo().create(base_repo=base_of(repo, auth={"token": ""})).status_code == 401
    assert org.repo().create(base_repo=base_of(repo, auth={"token": "a.b.c"})).status_code == 401
    expired = repo.token(exp=1)
    assert org.repo().create(base_repo=base_of(repo, auth={"token": expired})).status_code == 401
    elsewhere = {"token": other.token(scopes=["git:read"])}
    assert org.repo().create(base_repo=base_of(repo, auth=elsewhere)).status_code == 403
    unfit = {"token": repo.token(scopes=["repo:write"])}
    assert org.repo().create(base_repo=base_of(repo, auth=unfit)).status_code == 403
    orgs_own = {"token": org.sign(repo=None, scopes=["git:read"])}
    assert org.repo().create(base_repo=base_of(repo, auth=orgs_own)).status_code == 403
    nowhere = org.repo()
    assert org.repo().create(base_repo=base_of(nowhere)).status_code == 404


def test_a_repository_of_another_organisation_is_not_forked(new_org: Org, repo: Repo, work: Path) -> None:
    reply = new_org.repo().create(base_repo=base_of(repo))
    assert reply.status_code == 403, reply.text


@pytest.mark.parametrize("ref", ["nowhere", "refs/heads/nowhere", "refs/notes/commits"])
def test_an_unknown_ref_of_the_source_is_not_found(repo: Repo, work: Path, ref: str) -> None:
    copy = repo.org.repo()
    assert copy.create(base_repo=base_of(repo, ref=ref)).status_code == 404
    assert snapshot(repo, ref=ref).status_code == 404
    assert copy.api("GET").status_code == 404


def test_only_a_commit_that_a_branch_or_tag_reaches_is_forked(git: Git, repo: Repo, work: Path) -> None:
    hidden = git.commit(work, {"scratch": b"ephemeral\n"})
    git.run("push", "--quiet", remote(repo, "+ephemeral"), "HEAD:refs/heads/scratch", cwd=work)
    for sha in (hidden, "1" * 40, rev(git, work, "main^{tree}")):
        assert repo.org.repo().create(base_repo=base_of(repo, sha=sha)).status_code == 404
    assert repo.org.repo().create(base_repo=base_of(repo, sha="main")).status_code == 400


def test_a_taken_name_is_a_conflict_and_leaves_no_folder(org: Org, repo: Repo, work: Path) -> None:
    taken = org.create_repo()
    before = len(list(org.server.data.glob("repos/*/*/*")))
    assert taken.create(base_repo=base_of(repo)).status_code == 409
    assert len(list(org.server.data.glob("repos/*/*/*"))) == before


@pytest.mark.parametrize(
    "fields",
    [
        {"provider": "github"},
        {"operation": "copy"},
        {"operation": "sync"},
        {"name": None},
        {"name": " "},
        {"name": 5},
        {"ref": 5},
        {"sha": "123"},
        {"auth": "token"},
    ],
)
def test_a_malformed_base_is_refused(repo: Repo, fields: dict[str, Any]) -> None:
    reply = repo.org.repo().create(base_repo=base_of(repo, **fields))
    assert reply.status_code == 400, reply.text


# Snapshots


def test_a_snapshot_is_one_root_commit_with_the_same_tree(git: Git, repo: Repo, work: Path) -> None:
    reply = snapshot(repo, ref="main")
    assert reply.status_code == 201, reply.text
    copy = Repo(repo.org, reply.json()["repo_name"])
    (tip,) = copy.branches().values()
    bare = copy.folder()
    shown = git.run("log", "-1", "--format=%an <%ae> %cn: %B", tip, cwd=bare)
    assert shown == "Ada <ada@example.test> Ada: Start from template"
    assert git.run("rev-parse", f"{tip}^{{tree}}", cwd=bare) == rev(git, work, "main^{tree}")
    reached = set(git.run("rev-list", "--objects", "--no-object-names", "main^{tree}", cwd=work).split())
    assert stored_objects(git, copy) == {tip, *reached}
    assert "refs/tags/v1" not in git.ls_remote(remote(copy))
    assert git.run("rev-list", "--count", tip, cwd=bare) == "1"
    assert git.run("fsck", "--strict", "--no-dangling", cwd=bare) == ""


def test_a_snapshot_has_the_branch_that_was_asked_for(repo: Repo, work: Path) -> None:
    for outer, branch in (({"default_branch": "trunk"}, "trunk"), ({}, "main")):
        reply = snapshot(repo, ref="v1", outer=outer)
        assert reply.status_code == 201, reply.text
        copy = Repo(repo.org, reply.json()["repo_name"])
        assert list(copy.branches()) == [branch]
        assert copy.read_file("readme") == b"one\n"


def test_a_snapshot_keeps_modes_symlinks_and_submodules(git: Git, repo: Repo, tmp_path: Path) -> None:
    folder = git.init(tmp_path / "modes")
    os.symlink("target", folder / "link")
    (folder / "run").write_bytes(b"#!/bin/sh\n")
    (folder / "run").chmod(0o755)
    git.run("update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},module", cwd=folder)
    (folder / ".gitmodules").write_bytes(b'[submodule "module"]\n\tpath = module\n\turl = ../module.git\n')
    git.run("add", "link", "run", ".gitmodules", cwd=folder)
    git.run("commit", "--quiet", "-m", "modes", cwd=folder)
    git.run("push", "--quiet", remote(repo), "HEAD:refs/heads/main", cwd=folder)
    reply = snapshot(repo)
    copy = Repo(repo.org, reply.json()["repo_name"])
    assert git.run("ls-tree", copy.branches()["main"], cwd=copy.folder()) == git.run(
        "ls-tree", "HEAD", cwd=folder
    )


@pytest.mark.parametrize(
    ("fields", "outer"),
    [
        ({"sha": "1" * 40}, {}),
        ({}, {"initial_commit": None}),
        ({}, {"initial_commit": {"message": "", "author": FIRST_COMMIT["author"]}}),
        ({}, {"initial_commit": {"message": "m"}}),
        ({}, {"initial_commit": {"message": "m", "author": {"name": "Ada"}}}),
        ({}, {"initial_commit": {"message": "m", "author": {"name": "", "email": "a@b"}}}),
        ({"provider": "gitlab"}, {}),
    ],
)
def test_a_malformed_snapshot_is_refused(repo: Repo, fields: dict[str, Any], outer: dict[str, Any]) -> None:
    assert snapshot(repo, outer=outer, **fields).status_code == 400


def test_an_initial_commit_is_accepted_for_snapshots_only(repo: Repo) -> None:
    reply = repo.org.repo().create(base_repo=base_of(repo), initial_commit=FIRST_COMMIT)
    assert reply.status_code == 400
    assert "initial_commit" in reply.json()["error"]


def test_a_snapshot_of_an_empty_repository_is_not_found(repo: Repo) -> None:
    assert snapshot(repo).status_code == 404
