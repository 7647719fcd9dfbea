"""Odd objects of old tools are read as git reads them."""

import io
import tarfile
from pathlib import Path

from tests.support.clients.git import Git
from tests.support.clients.repo import Repo

PEOPLE = b"author A <a@x> 5 +0000\ncommitter A <a@x> %s +0000\n"


def write_object(git: Git, work: Path, kind: str, content: bytes) -> str:
    """Store an object of exactly these bytes and return its id."""
    if not work.exists():
        git.init(work)
    return git.run("hash-object", "-w", "-t", kind, "--literally", "--stdin", cwd=work, stdin=content)


def write_commit(
    git: Git, work: Path, tree: str, *, parent: str = "", more: bytes = b"", date: bytes = b"5"
) -> str:
    """Store a commit. `more` stands behind its usual headers."""
    head = f"tree {tree}\n".encode() + (f"parent {parent}\n".encode() if parent else b"")
    return write_object(git, work, "commit", head + PEOPLE % date + more + b"\nm\n")


def push(repo: Repo, git: Git, work: Path, commit: str) -> None:
    """Push a commit as the branch main."""
    git.run("push", "--quiet", "--force", repo.remote(), f"{commit}:refs/heads/main", cwd=work)


def test_odd_modes_are_shown_as_git_shows_them(repo: Repo, git: Git, tmp_path: Path) -> None:
    work = tmp_path / "work"
    blob = bytes.fromhex(write_object(git, work, "blob", b"target"))
    inner = bytes.fromhex(write_object(git, work, "tree", b"100444 in\0" + blob))
    rows = (
        *((b"100600", b"a", blob), (b"100664", b"b", blob), (b"100775", b"c", blob)),
        *((b"120777", b"d", blob), (b"160755", b"e", b"\1" * 20), (b"040755", b"f", inner)),
    )
    tree = write_object(git, work, "tree", b"".join(b"%s %s\0%s" % row for row in rows))
    push(repo, git, work, write_commit(git, work, tree))
    shown = [line.split("\t") for line in git.run("ls-tree", "-r", tree, cwd=work).splitlines()]
    expected = {path: facts.split()[0] for facts, path in shown}
    assert expected == {
        **{"a": "100644", "b": "100644", "c": "100755"},
        **{"d": "120000", "e": "160000", "f/in": "100644"},
    }
    listed = repo.api("GET", "/files").json()["entries"]
    assert {entry["path"]: entry["mode"] for entry in listed} == expected
    files = repo.api("GET", "/files/metadata").json()["files"]
    assert {file["path"]: file["mode"] for file in files} == expected
    assert repo.read_file("f/in") == b"target"
    assert repo.api("GET", "/blame", params={"path": "f"}).status_code == 404
    with tarfile.open(fileobj=io.BytesIO(repo.api("POST", "/archive").content)) as tar:
        found = {info.name: info for info in tar.getmembers()}
    assert {name: found[name].mode for name in "abc"} == {"a": 0o644, "b": 0o644, "c": 0o755}
    assert (found["d"].issym(), found["e"].isdir(), found["f/in"].isfile()) == (True, True, True)


def test_a_parent_line_behind_the_committer_is_ignored(repo: Repo, git: Git, tmp_path: Path) -> None:
    work = tmp_path / "work"
    tree = write_object(git, work, "tree", b"")
    deleted = write_commit(git, work, tree, date=b"1")
    push(repo, git, work, deleted)
    root = write_commit(git, work, tree, date=b"2")
    tip = write_commit(git, work, tree, parent=root, more=f"parent {deleted}\n".encode(), date=b"3")
    push(repo, git, work, tip)
    assert repo.api("GET", "/commit", params={"ref": "main"}).json()["commit"]["parent_shas"] == [root]
    assert repo.api("GET", "/commit", params={"ref": "main^2"}).status_code == 404
    assert repo.api("GET", "/commit", params={"ref": deleted}).status_code == 404


def test_the_date_of_a_file_is_its_commits_date_in_every_spelling(
    repo: Repo, git: Git, tmp_path: Path
) -> None:
    work = tmp_path / "work"
    blob = write_object(git, work, "blob", b"1")
    tree = write_object(git, work, "tree", b"100644 a\0" + bytes.fromhex(blob))
    people = PEOPLE.replace(b"> %s", b">%s") % b"86400"
    commit = write_object(git, work, "commit", f"tree {tree}\n".encode() + people + b"\nm\n")
    push(repo, git, work, commit)
    assert (
        repo.api("GET", "/commit", params={"ref": "main"}).json()["commit"]["date"] == "1970-01-02T00:00:00Z"
    )
    reply = repo.api("HEAD", "/file", params={"path": "a"})
    assert reply.headers["Last-Modified"] == "Fri, 02 Jan 1970 00:00:00 GMT"


def test_a_link_target_of_a_megabyte_does_not_go_into_the_head_of_an_archive(repo: Repo) -> None:
    repo.write_commit("main", {"link": ("120000", b"x" * 2**20), "short": ("120000", b"y" * 300)})
    with tarfile.open(fileobj=io.BytesIO(repo.api("POST", "/archive").content)) as tar:
        found = {info.name: info for info in tar.getmembers()}
    assert (found["link"].isfile(), found["link"].size) == (True, 2**20)
    assert found["short"].linkname == "y" * 300
