"""The policy `verify-sig`: every commit that an update introduces is signed with a registered key."""

import uuid
from pathlib import Path
from typing import Any

import pytest

from tests.support.builders.signers import KeyMaker, Signer
from tests.support.clients.git import Git
from tests.support.clients.repo import AUTHOR, Org, Repo

RULES = [["main", ["verify-sig"]], ["release/*", ["verify-sig"]], ["refs/tags/*", ["verify-sig"]]]


def register(org: Org, signer: Signer, folder: Path) -> str:
    """Register the signer's key as an operator does; return its id."""
    file = folder / f"{uuid.uuid4().hex}.pub"
    file.write_text(signer.public)
    return org.server.cli("signing-key", "add", org.name, file).split()[-1]


@pytest.fixture
def repo(new_org: Org, ssh: Signer, pgp: Signer, tmp_path: Path) -> Repo:
    """A repository of an organisation that knows both signers."""
    for signer in (ssh, pgp):
        register(new_org, signer, tmp_path)
    return new_org.create_repo()


@pytest.fixture
def work(git: Git, repo: Repo, tmp_path: Path) -> Path:
    """A work tree with the remotes `origin`, whose token has the rules, and `free`, whose token has none."""
    folder = git.init(tmp_path / "work")
    git.run("remote", "add", "origin", repo.remote(refs=RULES), cwd=folder)
    git.run("remote", "add", "free", repo.remote(), cwd=folder)
    return folder


def push(git: Git, work: Path, *refspecs: str, remote: str = "origin") -> str:
    """Push; return "" for success, or else git's messages."""
    done = git.try_run("push", "--quiet", remote, *refspecs, cwd=work)
    return "" if done.returncode == 0 else done.stderr.decode()


def packs(repo: Repo) -> list[str]:
    return sorted(path.name for path in repo.folder().glob("objects/pack/pack-*"))


def test_signed_pushes_succeed_and_unsigned_ones_leave_nothing(
    repo: Repo, git: Git, work: Path, ssh: Signer, pgp: Signer, keys: KeyMaker
) -> None:
    first = ssh.commit(git, work, "a")
    second = pgp.commit(git, work, "b")
    assert push(git, work, "main") == ""
    assert repo.branches() == {"main": second}
    before = packs(repo)
    git.commit(work, {"c": b"unsigned"})
    assert "denied by policy (verify-sig)" in push(git, work, "main")
    signed_on_top = ssh.commit(git, work, "d")
    assert "denied by policy (verify-sig)" in push(git, work, "main"), "an unsigned commit below"
    assert "denied by policy (verify-sig)" in push(git, work, f"{signed_on_top}:refs/heads/release/1")
    git.run("reset", "--quiet", "--hard", second, cwd=work)
    keys.ssh().commit(git, work, "e")
    assert "denied by policy (verify-sig)" in push(git, work, "main"), "an unknown key"
    forged = git.run("cat-file", "commit", first, cwd=work).replace("add a", "add x") + "\n"
    oid = git.run("hash-object", "-t", "commit", "-w", "--stdin", cwd=work, stdin=forged.encode())
    assert "denied by policy (verify-sig)" in push(git, work, f"{oid}:refs/heads/release/forged")
    assert repo.branches() == {"main": second}
    assert packs(repo) == before


def test_both_sides_of_a_pushed_merge_are_checked(
    repo: Repo, git: Git, work: Path, ssh: Signer, pgp: Signer
) -> None:
    ssh.commit(git, work, "a")
    assert push(git, work, "main") == ""
    git.run("checkout", "--quiet", "-b", "side", cwd=work)
    git.commit(work, {"side": b"unsigned"})
    git.run("checkout", "--quiet", "main", cwd=work)
    ssh.commit(git, work, "b")
    ssh.run(git, work, "merge", "--quiet", "--no-ff", "-S", "-m", "merge", "side")
    assert "denied by policy (verify-sig)" in push(git, work, "main")
    git.run("reset", "--quiet", "--hard", "HEAD^", cwd=work)
    git.run("checkout", "--quiet", "-B", "side", "HEAD^", cwd=work)
    pgp.commit(git, work, "side2")
    git.run("checkout", "--quiet", "main", cwd=work)
    ssh.run(git, work, "merge", "--quiet", "--no-ff", "-S", "-m", "merge", "side")
    assert push(git, work, "main") == ""


def test_pushing_to_an_unprotected_branch_first_does_not_avoid_the_check(
    repo: Repo, git: Git, work: Path, ssh: Signer
) -> None:
    ssh.commit(git, work, "a")
    unsigned = git.commit(work, {"b": b"1"})
    assert push(git, work, "main:open") == ""
    for refspec in ("main:main", "main:release/1", "main:refs/tags/v1"):
        assert "denied by policy (verify-sig)" in push(git, work, refspec)
    token = repo.token(refs=RULES)
    calls: list[tuple[str, dict[str, Any]]] = [
        ("/branches/create", {"target_branch": "release/1", "base_ref": "open"}),
        ("/branches/create", {"target_branch": "release/1", "base_ref": unsigned, "force": True}),
        ("/tags", {"name": "v1", "ref": "open"}),
    ]
    for path, body in calls:
        reply = repo.api("POST", path, json=body, token=token)
        assert reply.status_code == 403, reply.text
        assert reply.json()["error"].startswith("denied by policy: verify-sig")
    assert set(repo.branches()) == {"open"}


def test_commits_that_a_protected_ref_reaches_count_as_checked(
    repo: Repo, git: Git, work: Path, ssh: Signer
) -> None:
    unsigned = git.commit(work, {"old": b"history"})
    assert push(git, work, "main", remote="free") == ""
    ssh.commit(git, work, "a")
    assert push(git, work, "main") == "", "the update introduces the signed commit only"
    token = repo.token(refs=RULES)
    created = {"target_branch": "release/1", "base_ref": "main"}
    assert repo.api("POST", "/branches/create", json=created, token=token).status_code == 200
    assert repo.api("POST", "/tags", json={"name": "v1", "ref": unsigned}, token=token).status_code == 200
    git.run("tag", "-a", "-m", "annotated", "v2", cwd=work)
    assert push(git, work, "v2") == ""
    assert repo.api("DELETE", "/tags/v1", token=token).status_code == 200


def test_moves_of_refs_over_http_are_checked_like_pushes(
    repo: Repo, git: Git, work: Path, ssh: Signer
) -> None:
    ssh.commit(git, work, "a")
    assert push(git, work, "main") == ""
    good = ssh.commit(git, work, "b")
    assert push(git, work, "main:good") == ""
    bad = git.commit(work, {"c": b"1"})
    assert push(git, work, "main:bad") == ""
    git.run("remote", "add", "ephemeral", repo.remote("+ephemeral"), cwd=work)
    assert push(git, work, "main:bad", remote="ephemeral") == ""
    token = repo.token(refs=RULES)
    merge = {"source_ref": "bad", "target_branch": "main", "strategy": "ff_only"}
    assert repo.api("POST", "/merge", json=merge, token=token).status_code == 403
    promote = {"target_branch": "main", "base_ref": "bad", "base_is_ephemeral": True}
    assert repo.api("POST", "/branches/create", json=promote, token=token).status_code == 403
    merged = repo.api("POST", "/merge", json={**merge, "source_ref": "good"}, token=token)
    assert (merged.status_code, merged.json()["commit_sha"]) == (200, good)
    assert repo.branches() == {"main": good, "good": good, "bad": bad}


def test_commits_that_the_server_makes_are_unsigned_and_refused(
    repo: Repo, git: Git, work: Path, ssh: Signer
) -> None:
    head = ssh.commit(git, work, "a")
    assert push(git, work, "main") == ""
    token = repo.token(refs=RULES)
    reply = repo.post_commit("main", {"b": b"1"}, token=token)
    assert (reply.status_code, reply.json()["result"]["status"]) == (403, "forbidden")
    assert reply.json()["result"]["message"].startswith("denied by policy: verify-sig")
    metadata = {"target_branch": "main", "base_ref": "main", "author": AUTHOR}
    reply = repo.api("POST", "/restore-commit", json={"metadata": metadata}, token=token)
    assert reply.status_code == 403
    repo.write_commit("side", {"b": b"1"}, base_branch="main")
    merge = {"source_ref": "side", "target_branch": "main", "strategy": "merge"}
    assert repo.api("POST", "/merge", json=merge, token=token).status_code == 403
    assert repo.branches()["main"] == head


def test_commits_are_refused_before_their_key_is_added_and_after_it_is_revoked(
    new_org: Org, git: Git, keys: KeyMaker, tmp_path: Path
) -> None:
    repo = new_org.create_repo()
    signer = keys.ssh()
    work = git.init(tmp_path / "work")
    git.run("remote", "add", "origin", repo.remote(refs=RULES), cwd=work)
    signer.commit(git, work, "a")
    assert "denied by policy" in push(git, work, "main")
    key_id = register(new_org, signer, tmp_path)
    assert push(git, work, "main") == ""
    server = new_org.server
    assert server.cli("signing-key", "revoke", new_org.name, key_id) == f"revoked {key_id}"
    assert push(git, work, "main:release/1") == "", "what a protected ref reaches was checked before"
    signer.commit(git, work, "b")
    assert "denied by policy" in push(git, work, "main")
    again = register(new_org, signer, tmp_path)
    assert push(git, work, "main") == ""
    listed = server.cli("signing-key", "list", new_org.name)
    assert key_id in listed and again in listed


def test_the_command_line_says_what_is_wrong_with_a_key(new_org: Org, ssh: Signer, tmp_path: Path) -> None:
    server = new_org.server
    file = tmp_path / "key.pub"
    file.write_text(f'ada@example.test,bob@example.test namespaces="git" {ssh.public} Ada\n')
    added = server.cli("signing-key", "add", new_org.name, file, "--label", "Ada's laptop")
    assert added.startswith("added ssh signing key SHA256:")
    for text, reason in (
        (ssh.public, "signing key exists"),
        ("nonsense", "signing key rejected"),
        (f"ada cert-authority {ssh.public}", "cert-authority"),
    ):
        file.write_text(text)
        failed = server.try_cli("signing-key", "add", new_org.name, file)
        assert failed.returncode == 1 and reason in failed.stderr, failed.stderr
    missing = server.try_cli("signing-key", "revoke", new_org.name, "skey_none")
    assert missing.returncode == 1 and "not found" in missing.stderr
    assert server.try_cli("signing-key", "list", "nobody").returncode == 1
