"""Ambiguous names of branches and tags, which mean something else where a ref is read.

No new ref gets an ambiguous name. Old refs with such a name can be read, moved and deleted.
"""

import io
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.builders.rows import add_old_ref
from tests.support.clients.git import Git
from tests.support.clients.repo import AUTHOR, Repo

NAMES = ["HEAD", "-x", "a" * 40, "AB" * 20, "0" * 64, "Fe" * 32]
"""Ambiguous names, which no new branch or tag may have."""

ALLOWED = ["head", "HEAD2", "a/HEAD", "a/-x", "x-", "b" * 39, "b" * 41, "c" * 63, "c" * 65, "g" * 40, "@x"]
"""Names that only look ambiguous, which new branches and tags may have."""

FIRST_COMMIT = {"message": "Start", "author": AUTHOR}


def base_of(source: Repo, operation: str, **fields: Any) -> dict[str, Any]:
    """Return a base_repo that forks or snapshots `source`."""
    token = source.token(scopes=["git:read"])
    own = {"provider": "code.storage", "owner": source.org.name, "name": source.name}
    return {**own, "operation": operation, "auth": {"token": token}, **fields}


def error_of(reply: httpx.Response) -> str:
    assert reply.status_code == 400, reply.text
    error: str = reply.json()["error"]
    return error


@dataclass(frozen=True)
class Older:
    """A repository with a branch and a tag of an ambiguous name, in the ephemeral and in the plain namespace.

    These refs have one commit more than `main`, and so another tree.
    """

    repo: Repo
    name: str
    main: str
    odd: str


@pytest.fixture(params=NAMES)
def older(request: pytest.FixtureRequest, repo: Repo) -> Older:
    """A repository in which an older release made ambiguous refs."""
    main = repo.write_commit("main", {"file": b"main\n"})
    odd = repo.write_commit("kept", {"file": b"odd\n"}, base_branch="main")
    name: str = request.param
    for namespace, folder in (("", "heads"), ("", "tags"), ("ephemeral", "heads")):
        add_old_ref(repo, f"refs/{folder}/{name}", odd, namespace=namespace)
    return Older(repo, name, main, odd)


@pytest.mark.parametrize("suffix", ["", "+ephemeral", "+import"])
def test_a_push_of_an_ambiguous_new_name_is_refused_and_others_are_accepted(
    repo: Repo, git: Git, tmp_path: Path, suffix: str
) -> None:
    work = git.init(tmp_path / "work")
    git.commit(work, {"a": b"1"})
    refs = [f"refs/{folder}/{name}" for folder in ("heads", "tags") for name in [*NAMES, "refs/heads/x"]]
    fine = [f"refs/heads/{name}" for name in ALLOWED]
    specs = [f"HEAD^{{commit}}:{name}" for name in [*refs, *fine]]
    pushed = git.try_run("push", "--porcelain", repo.remote(suffix), *specs, cwd=work)
    lines = pushed.stdout.decode().splitlines()
    assert pushed.returncode == 1
    for name in refs:
        [line] = [line for line in lines if f":{name}\t" in line]
        assert line.startswith("!") and "invalid name: " in line, line
    ephemeral = {"ephemeral": "true"} if suffix == "+ephemeral" else {}
    assert sorted(repo.branches(**ephemeral)) == sorted(ALLOWED)
    assert repo.api("GET", "/tags").json()["tags"] == []


@pytest.mark.parametrize("name", NAMES)
def test_an_atomic_push_with_an_ambiguous_name_moves_nothing(
    repo: Repo, git: Git, tmp_path: Path, name: str
) -> None:
    work = git.init(tmp_path / "work")
    git.commit(work, {"a": b"1"})
    specs = ["HEAD:refs/heads/main", f"HEAD:refs/heads/{name}"]
    assert git.try_run("push", "--atomic", repo.remote(), *specs, cwd=work).returncode == 1
    assert repo.branches() == {}


@pytest.mark.parametrize("name", NAMES)
def test_no_call_makes_a_branch_or_tag_with_an_ambiguous_name(repo: Repo, name: str) -> None:
    head = repo.write_commit("main", {"a": b"1"})
    for branch in (name, f"refs/heads/{name}"):
        for ephemeral in (False, True):
            commit = repo.post_commit(branch, {"b": b"2"}, base_branch="main", ephemeral=ephemeral)
            assert (commit.status_code, commit.json()["result"]["status"]) == (400, "invalid")
            body = {"target_branch": branch, "base_ref": "main", "target_is_ephemeral": ephemeral}
            assert "branch" in error_of(repo.api("POST", "/branches/create", json=body))
        assert repo.post_commit(branch, {"b": b"2"}).status_code == 400
        error_of(repo.api("PATCH", json={"default_branch": branch}))
        error_of(repo.org.repo().create(default_branch=branch))
        query = {"default_branch": branch}
        error_of(repo.org.request("POST", "/api/repos", token=repo.org.repo().token(), params=query))
        snapshot = base_of(repo, "snapshot")
        for fields in (
            {"default_branch": branch, "base_repo": snapshot, "initial_commit": FIRST_COMMIT},
            {"default_branch": branch, "base_repo": base_of(repo, "fork")},
            {"default_branch": branch, "base_repo": base_of(repo, "fork", ref="main")},
            {"base_repo": {"owner": "o", "name": "n", "default_branch": branch}},
        ):
            error_of(repo.org.repo().create(**fields))
    sentence = error_of(repo.api("POST", "/tags", json={"name": name, "ref": "main"}))
    assert sentence.startswith(f"refs/tags/{name} cannot be the name of a new branch or tag: ")
    assert repo.branches() == {"main": head}
    assert repo.branches(ephemeral="true") == {}
    assert repo.api("GET", "/tags").json()["tags"] == []


def test_an_empty_repository_refuses_an_ambiguous_first_branch(repo: Repo) -> None:
    for name in NAMES:
        for guard in ({}, {"expected_target_sha": "0" * 40}):
            reply = repo.post_commit(f"refs/heads/{name}", {"a": b"1"}, **guard)
            assert (reply.status_code, reply.json()["result"]["status"]) == (400, "invalid")
    assert repo.branches() == {}


def test_a_name_that_only_looks_ambiguous_is_accepted_by_every_call(repo: Repo) -> None:
    head = repo.write_commit("main", {"a": b"1"})
    for name in ALLOWED:
        body = {"target_branch": name, "base_ref": "main"}
        assert repo.api("POST", "/branches/create", json=body).status_code == 200
        assert repo.api("POST", "/tags", json={"name": name, "ref": "main"}).status_code == 200
        assert repo.post_commit(name, {"b": b"2"}).status_code == 201
    assert set(repo.branches()) == {"main", *ALLOWED}
    assert repo.api("GET", "/tag", params={"name": ALLOWED[0]}).json()["tag"]["sha"] == head


def test_an_old_ref_is_listed_and_found_by_its_exact_name(older: Older) -> None:
    repo = older.repo
    for ephemeral in ("false", "true"):
        assert repo.branches(ephemeral=ephemeral)[older.name] == older.odd
        reply = repo.api("GET", "/branch", params={"name": older.name, "ephemeral": ephemeral})
        assert reply.json()["branch"]["head_sha"] == older.odd
    assert repo.api("GET", "/tag", params={"name": older.name}).json()["tag"]["sha"] == older.odd
    assert [tag["name"] for tag in repo.api("GET", "/tags").json()["tags"]] == [older.name]


@pytest.mark.parametrize("folder", ["heads", "tags"])
def test_every_read_takes_the_full_name_of_an_old_ref(older: Older, folder: str) -> None:
    repo, ref = older.repo, f"refs/{folder}/{older.name}"
    assert repo.read_file("file", ref=ref) == b"odd\n"
    assert repo.list_paths(ref=ref) == ["file"]
    assert repo.api("GET", "/files/metadata", params={"ref": ref}).json()["files"][0]["path"] == "file"
    assert repo.api("GET", "/commits", params={"ref": ref}).json()["commits"][0]["sha"] == older.odd
    assert repo.api("GET", "/commit", params={"ref": ref}).json()["commit"]["sha"] == older.odd
    diff = repo.api("GET", "/diff", params={"ref": ref, "base_ref": "main"}).json()
    assert diff["stats"]["files"] == 1
    assert repo.api("GET", "/blame", params={"ref": ref, "path": "file"}).json()["lines"]
    grep = repo.api("POST", "/grep", json={"ref": ref, "query": {"pattern": "odd"}})
    assert len(grep.json()["matches"]) == 1
    archive = repo.api("POST", "/archive", json={"ref": ref})
    with tarfile.open(fileobj=io.BytesIO(archive.content)) as tar:
        files = [tar.extractfile(name) for name in tar.getnames()]
        assert [file.read() for file in files if file] == [b"odd\n"]
    preview = repo.api("GET", "/merge/preview", params={"source_ref": ref, "target_branch": "main"})
    assert preview.json()["source_tip_sha"] == older.odd


def test_ephemeral_reads_take_the_full_name_of_an_old_ref(older: Older) -> None:
    query = {"ref": f"refs/heads/{older.name}", "ephemeral": "true"}
    assert older.repo.read_file("file", **query) == b"odd\n"


@pytest.mark.parametrize("name", ["a" * 40, "AB" * 20])
def test_forty_digits_are_always_an_object_id(repo: Repo, name: str) -> None:
    head = repo.write_commit("main", {"file": b"main\n"})
    for namespace, folder in (("", "heads"), ("", "tags"), ("ephemeral", "heads")):
        add_old_ref(repo, f"refs/{folder}/{name}", head, namespace=namespace)
    for path in ("/commits", "/commit", "/files"):
        for ephemeral in ("false", "true"):
            query = {"ref": name, "ephemeral": ephemeral}
            assert repo.api("GET", path, params=query).status_code == 404
    body = {"target_branch": "new", "base_ref": name}
    assert repo.api("POST", "/branches/create", json=body).status_code == 404
    fork = base_of(repo, "fork", ref=name)
    assert repo.org.repo().create(base_repo=fork).status_code == 404


def test_head_is_the_default_branch_even_beside_refs_named_head(repo: Repo) -> None:
    main = repo.write_commit("main", {"file": b"main\n"})
    odd = repo.write_commit("kept", {"file": b"odd\n"}, base_branch="main")
    for folder in ("heads", "tags"):
        add_old_ref(repo, f"refs/{folder}/HEAD", odd)
    add_old_ref(repo, "refs/heads/HEAD", odd, namespace="ephemeral")
    for ref in ("HEAD", " HEAD ", "HEAD~0"):
        assert repo.read_file("file", ref=ref) == b"main\n"
        assert repo.api("GET", "/commit", params={"ref": ref}).json()["commit"]["sha"] == main
        for name in ("ref", "branch"):
            commits = repo.api("GET", "/commits", params={name: ref}).json()["commits"]
            assert [commit["sha"] for commit in commits] == [main]
        assert repo.api("GET", "/files", params={"ref": ref, "ephemeral": "true"}).status_code == 404
    grep = repo.api("POST", "/grep", json={"ref": "HEAD", "query": {"pattern": "odd"}})
    assert grep.json()["matches"] == []
    for name in ("source_ref", "source_branch"):
        preview = {name: "HEAD", "target_branch": "kept"}
        assert repo.api("GET", "/merge/preview", params=preview).json()["source_tip_sha"] == main
        merged = repo.api("POST", "/merge", json={**preview, "strategy": "ff_only"}).json()
        assert (merged["result"], merged["source"]["sha"]) == ("no_op", main)
    body = {"target_branch": "made", "base_ref": "HEAD"}
    assert repo.api("POST", "/branches/create", json=body).json()["commit_sha"] == main
    assert repo.api("POST", "/tags", json={"name": "made", "ref": "HEAD"}).json()["sha"] == main
    note = {"object_ref": "HEAD", "action": "add", "note": "seen"}
    assert repo.api("POST", "/notes", json=note).status_code == 201
    assert repo.api("GET", "/notes", params={"object_ref": main}).json()["note"] == "seen"
    restore = {"target_branch": "kept", "base_ref": "HEAD", "author": AUTHOR}
    assert repo.api("POST", "/restore-commit", json={"metadata": restore}).status_code == 201
    assert repo.read_file("file", ref="kept") == b"main\n"
    guarded = repo.post_commit("main", {"b": b"2"}, expected_target_sha="HEAD")
    assert guarded.status_code == 201


def test_a_plain_head_names_no_branch_to_write_or_compare(repo: Repo) -> None:
    main = repo.write_commit("main", {"file": b"main\n"})
    odd = repo.write_commit("kept", {"file": b"odd\n"}, base_branch="main")
    add_old_ref(repo, "refs/heads/HEAD", odd)
    merge = {"source_ref": "kept", "strategy": "merge"}
    for name, status in (("HEAD", 400), ("refs/heads/HEAD", 200)):
        diff = {"branch": "kept", "base": name}
        assert repo.api("GET", "/branches/diff", params=diff).status_code == status
        diff = {"branch": name}
        assert repo.api("GET", "/branches/diff", params=diff).status_code == status
        preview = {"source_ref": "kept", "target_branch": name}
        assert repo.api("GET", "/merge/preview", params=preview).status_code == status
        assert repo.api("POST", "/merge", json={**merge, "target_branch": name}).status_code == status
        body = {"target_branch": f"made{status}", "base_branch": name}
        assert repo.api("POST", "/branches/create", json=body).status_code == status
        commit = repo.post_commit(f"new{status}", {"a": b"1"}, base_branch=name)
        assert commit.status_code == {400: 400, 200: 201}[status]
    assert repo.branches() == {
        "main": main,
        "kept": odd,
        "HEAD": odd,
        "made200": odd,
        "new200": repo.branches()["new200"],
    }


def test_an_old_branch_can_be_merged_and_committed_to(older: Older) -> None:
    repo, full = older.repo, f"refs/heads/{older.name}"
    theirs = repo.write_commit("main", {"file": b"mine\n"})
    conflicted = repo.api(
        "GET",
        "/merge/preview",
        params={"source_ref": full, "target_branch": "main", "include_content": "true"},
    ).json()
    result = conflicted["conflicts"][0]["result"]["content"]
    assert result.startswith("<<<<<<< main\nmine\n=======\nodd\n>>>>>>> "), result
    merge = {"source_ref": full, "target_branch": "main", "strategy": "merge"}
    assert repo.api("POST", "/merge", json=merge).status_code == 409
    back = {"source_ref": "main", "target_branch": full, "include_content": "true"}
    result = repo.api("GET", "/merge/preview", params=back).json()["conflicts"][0]["result"]["content"]
    assert "\nodd\n=======\nmine\n>>>>>>> main\n" in result, result
    more = repo.post_commit(full, {"more": b"1"}, expected_target_sha=older.odd)
    assert more.status_code == 201, more.text
    assert repo.branches()[older.name] == more.json()["commit"]["commit_sha"]
    assert repo.branches()["main"] == theirs


def test_an_old_ref_is_deleted_by_its_plain_name(older: Older) -> None:
    repo = older.repo
    for ephemeral in (False, True):
        body = {"target_branch": older.name, "ephemeral": ephemeral}
        reply = repo.api("DELETE", "/branches", json=body)
        assert (reply.status_code, reply.json()["name"]) == (200, older.name)
        assert older.name not in repo.branches(ephemeral=str(ephemeral).lower())
        assert repo.api("DELETE", "/branches", json=body).status_code == 404
    assert repo.api("DELETE", f"/tags/{older.name}").status_code == 200
    assert repo.api("GET", "/tag", params={"name": older.name}).status_code == 404
    assert repo.v1("DELETE", "/repos/tags", json={"name": older.name}).status_code == 404
    body = {"target_branch": f"refs/heads/{older.name}", "base_ref": "main"}
    error_of(repo.api("POST", "/branches/create", json=body))


def test_a_push_moves_and_deletes_an_old_ref_and_a_clone_works(
    older: Older, git: Git, tmp_path: Path
) -> None:
    repo = older.repo
    work = git.clone(repo.remote(), tmp_path / "work", "--branch", "main")
    full = f"refs/heads/{older.name}"
    assert git.ls_remote(repo.remote())[full] == older.odd
    git.run("fetch", "--quiet", "origin", full, cwd=work)
    git.run("push", "--quiet", "origin", f"{older.main}:refs/heads/moved", cwd=work)
    git.run("push", "--quiet", "--force", "origin", f"{older.main}:{full}", cwd=work)
    assert repo.branches()[older.name] == older.main
    assert repo.api("GET", "/commit", params={"ref": "HEAD"}).json()["commit"]["sha"] == older.main
    git.run("push", "--quiet", "origin", f":{full}", f":refs/tags/{older.name}", cwd=work)
    assert sorted(git.ls_remote(repo.remote())) == [
        "HEAD", "refs/heads/kept", "refs/heads/main", "refs/heads/moved",
    ]  # fmt: skip
    again = git.try_run("push", "origin", f"{older.main}:{full}", cwd=work)
    assert again.returncode == 1 and b"invalid name: " in again.stderr


def test_an_old_ref_that_was_deleted_can_be_restored(older: Older) -> None:
    repo = older.repo
    full = f"refs/heads/{older.name}"
    assert repo.api("DELETE", "/branches", json={"name": older.name}).status_code == 200
    entry = repo.api("GET", "/ref-log", params={"ref": full}).json()["entries"][0]
    done = repo.org.server.try_cli(
        "ref", "restore", repo.org.name, repo.name, full, "--entry", str(entry["id"])
    )
    assert done.returncode == 0, done.stderr
    assert repo.branches()[older.name] == older.odd


def test_head_is_the_default_branch_for_the_ref_log_and_undo(repo: Repo) -> None:
    first = repo.write_commit("main", {"a": b"1"})
    second = repo.write_commit("main", {"a": b"2"})
    add_old_ref(repo, "refs/heads/HEAD", first)
    entries = repo.api("GET", "/ref-log", params={"ref": "HEAD"}).json()["entries"]
    assert [(entry["ref"], entry["new_sha"]) for entry in entries] == [
        ("refs/heads/main", second),
        ("refs/heads/main", first),
    ]
    odd = repo.api("GET", "/ref-log", params={"ref": "refs/heads/HEAD"}).json()["entries"]
    assert [entry["new_sha"] for entry in odd] == [first]
    place = (repo.org.name, repo.name)
    done = repo.org.server.try_cli("ref", "restore", *place, "HEAD", "--entry", str(entries[0]["id"]))
    assert done.stdout == f"refs/heads/main was at {second}, is at {first}\n"
    shown = repo.org.server.try_cli("ref", "log", *place, "HEAD", "--json")
    assert "refs/heads/HEAD" not in shown.stdout and first in shown.stdout


def test_a_fork_leaves_out_ambiguous_refs_of_its_source(older: Older) -> None:
    source = older.repo
    assert source.api("POST", "/tags", json={"name": "v1", "ref": "kept"}).is_success
    copy = source.org.create_repo(base_repo=base_of(source, "fork"))
    assert copy.branches() == {"main": older.main, "kept": older.odd}
    assert [tag["name"] for tag in copy.api("GET", "/tags").json()["tags"]] == ["v1"]
    one = source.org.create_repo(base_repo=base_of(source, "fork", ref="kept"))
    assert one.branches() == {"kept": older.odd}
    assert [tag["name"] for tag in one.api("GET", "/tags").json()["tags"]] == ["v1"]


def test_forks_and_snapshots_take_an_old_ref_by_its_full_name(older: Older) -> None:
    source, full = older.repo, f"refs/heads/{older.name}"
    error_of(source.org.repo().create(base_repo=base_of(source, "fork", ref=full)))
    copy = source.org.create_repo(base_repo=base_of(source, "fork", ref=full), default_branch="main")
    assert copy.branches() == {"main": older.odd}
    snapshot = base_of(source, "snapshot", ref=full)
    copy = source.org.create_repo(base_repo=snapshot, initial_commit=FIRST_COMMIT)
    assert copy.read_file("file") == b"odd\n"


def test_head_of_the_source_is_its_default_branch_for_forks_and_snapshots(repo: Repo) -> None:
    main = repo.write_commit("main", {"file": b"main\n"})
    add_old_ref(repo, "refs/heads/HEAD", repo.write_commit("kept", {"file": b"odd\n"}, base_branch="main"))
    copy = repo.org.create_repo(base_repo=base_of(repo, "fork", ref="HEAD"))
    assert copy.branches() == {"main": main}
    snapshot = base_of(repo, "snapshot", ref="HEAD")
    copy = repo.org.create_repo(base_repo=snapshot, initial_commit=FIRST_COMMIT)
    assert copy.read_file("file") == b"main\n"
