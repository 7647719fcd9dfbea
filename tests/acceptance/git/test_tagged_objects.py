"""Tags of the object of a file or a folder, as `git tag v1-key $(git hash-object -w key.asc)` makes them."""

from pathlib import Path

import pytest

from tests.support.clients.git import Git
from tests.support.clients.python_client import make_client, read
from tests.support.clients.repo import Org, Repo

KEY = b"-----BEGIN PGP PUBLIC KEY BLOCK-----\n"
DATE = "1767342600 +0200"


@pytest.fixture
def tags(repo: Repo, git: Git, tmp_path: Path) -> dict[str, str]:
    """Lightweight and annotated tags of a file's and a folder's object. Maps a name to the id that the ref holds."""
    repo.write_commit("main", {"a.txt": b"one\n"})
    work = git.clone(repo.remote(), tmp_path / "work")
    key = git.run("hash-object", "-w", "--stdin", cwd=work, stdin=KEY)
    inner = git.run("mktree", cwd=work, stdin=f"100644 blob {key}\tkey.asc\n".encode())
    folder = git.run("mktree", cwd=work, stdin=f"040000 tree {inner}\tkeys\n".encode())
    env = {"GIT_COMMITTER_DATE": DATE}
    for name, oid in (("file", key), ("folder", folder)):
        git.run("tag", name, oid, cwd=work)
        git.run("tag", "-a", "-m", "m", f"noted-{name}", oid, cwd=work, env=env)
    git.run("tag", "-a", "-m", "m", "twice", "noted-file", cwd=work, env=env)
    git.run("push", "--quiet", repo.remote(), "--tags", cwd=work)
    return {
        name: git.run("rev-parse", name, cwd=work)
        for name in ("file", "noted-file", "twice", "folder", "noted-folder")
    }


def test_a_tag_of_a_file_is_that_file(repo: Repo, tags: dict[str, str]) -> None:
    for ref in ("file", "noted-file", "twice", "refs/tags/file", tags["noted-file"]):
        for query in ({"ref": ref}, {"ref": ref, "path": ""}, {"ref": ref, "path": "/"}):
            for call, path in ((repo.api, "/file"), (repo.v1, "/repos/file")):
                reply = call("GET", path, params=query)
                assert (reply.status_code, reply.content) == (200, KEY), reply.text
                assert reply.headers["X-Blob-Sha"] == tags["file"]
                assert "X-Last-Commit-Sha" not in reply.headers
                head = call("HEAD", path, params=query)
                assert head.headers["Content-Length"] == str(len(KEY))
                part = call("GET", path, params=query, headers={"Range": "bytes=0-4"})
                assert (part.status_code, part.content) == (206, KEY[:5])
                unchanged = {"If-None-Match": reply.headers["ETag"]}
                assert call("GET", path, params=query, headers=unchanged).status_code == 304


def test_an_annotated_tag_of_a_file_gives_its_date_and_a_lightweight_tag_none(
    repo: Repo, tags: dict[str, str]
) -> None:
    for ref in ("noted-file", "twice"):
        told = repo.api("HEAD", "/file", params={"ref": ref}).headers["Last-Modified"]
        assert told == "Fri, 02 Jan 2026 08:30:00 GMT"
    inside = repo.api("HEAD", "/file", params={"ref": "noted-folder", "path": "keys/key.asc"})
    assert inside.headers["Last-Modified"] == "Fri, 02 Jan 2026 08:30:00 GMT"
    for header in ("If-Modified-Since", "If-Unmodified-Since"):
        condition = {header: "Fri, 02 Jan 2026 08:30:00 GMT"}
        reply = repo.api("GET", "/file", params={"ref": "file"}, headers=condition)
        assert (reply.status_code, "Last-Modified" in reply.headers) == (200, False)


def test_a_tag_of_a_file_has_nothing_at_a_path(repo: Repo, tags: dict[str, str]) -> None:
    for ref in ("file", "noted-file"):
        reply = repo.api("GET", "/file", params={"ref": ref, "path": "a.txt"})
        assert reply.status_code == 404
        assert "names a file, not a folder" in reply.json()["error"]
    for ref in ("file~1", "file^0", "noted-file~1"):
        assert repo.api("GET", "/file", params={"ref": ref}).status_code in (400, 404)


def test_a_tag_of_a_folder_has_the_files_below_it(repo: Repo, tags: dict[str, str]) -> None:
    for ref in ("folder", "noted-folder", tags["noted-folder"]):
        reply = repo.api("GET", "/file", params={"ref": ref, "path": "keys/key.asc"})
        assert (reply.status_code, reply.content) == (200, KEY), reply.text
        for path, status in (("keys", 404), ("a.txt", 404), ("", 400), ("/", 400)):
            reply = repo.api("GET", "/file", params={"ref": ref, "path": path})
            assert reply.status_code == status


def test_an_answer_by_the_full_id_of_a_tag_object_is_kept_for_ever(repo: Repo, tags: dict[str, str]) -> None:
    for ref, is_kept in ((tags["noted-file"], True), ("noted-file", False), ("file", False)):
        reply = repo.api("GET", "/file", params={"ref": ref})
        assert ("immutable" in reply.headers["Cache-Control"]) is is_kept


def test_a_path_is_required_wherever_a_ref_names_a_commit_or_nothing(
    repo: Repo, tags: dict[str, str]
) -> None:
    for query in (
        {},
        {"path": " "},
        {"path": "/"},
        {"ref": "main"},
        {"ref": "main", "path": "/"},
        {"ref": "no"},
    ):
        for method in ("GET", "HEAD"):
            assert repo.api(method, "/file", params=query).status_code == 400, query


def test_the_object_of_a_file_is_not_served_by_its_own_id(repo: Repo, tags: dict[str, str]) -> None:
    assert repo.api("GET", "/file", params={"ref": tags["file"], "path": "a"}).status_code == 404


def test_every_other_call_refuses_a_tag_of_a_file_because_it_names_no_commit(
    repo: Repo, tags: dict[str, str]
) -> None:
    for ref, kind in (("file", "blob"), ("noted-file", "blob"), ("folder", "tree"), ("noted-folder", "tree")):
        for path, query in (
            ("/files", {"ref": ref}),
            ("/files/metadata", {"ref": ref}),
            ("/commits", {"ref": ref}),
            ("/commit", {"ref": ref}),
            ("/diff", {"ref": ref}),
            ("/diff", {"ref": "main", "base_ref": ref}),
            ("/blame", {"ref": ref, "path": "a.txt"}),
            ("/merge/preview", {"source_ref": ref, "target_branch": "main"}),
        ):
            reply = repo.api("GET", path, params=query)
            assert reply.status_code == 404, f"{path} {reply.text}"
            assert reply.json()["error"] == f"{ref} names a {kind}, which is no commit"
        for path, body in (
            ("/grep", {"ref": ref, "query": {"pattern": "a"}}),
            ("/archive", {"ref": ref}),
            ("/tags", {"name": "new", "ref": ref}),
            ("/branches/create", {"target_branch": "new", "base_ref": ref}),
            ("/merge", {"source_ref": ref, "target_branch": "main", "strategy": "merge"}),
        ):
            reply = repo.api("POST", path, json=body)
            assert reply.status_code == 404, f"{path} {reply.text}"
        assert repo.api("GET", "/tag", params={"name": ref}).status_code == 200
        assert repo.api("GET", "/notes", params={"object_ref": ref}).status_code == 404
    assert repo.api("GET", "/tags").status_code == 200
    assert repo.api("GET", "/ref-log").status_code == 200


def test_the_python_client_reads_a_tagged_file_by_a_slash(org: Org, repo: Repo, tags: dict[str, str]) -> None:
    handle = make_client(org).repo(id=repo.name)
    assert read(handle, path="/", ref="noted-file") == (200, KEY)
