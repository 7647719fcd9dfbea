"""A date outside the years 0 to 9999 is shown alike by every call that reads a commit."""

import io
import tarfile
from pathlib import Path

import pytest

from tests.acceptance.git.test_odd_objects import write_object
from tests.support.clients.git import Git
from tests.support.clients.repo import Repo

FIRST = ("1970-01-01T00:00:00Z", "Thu, 01 Jan 1970 00:00:00 GMT", 0)
LAST = ("9999-12-31T23:59:59Z", "Fri, 31 Dec 9999 23:59:59 GMT", 253402300799)
"""A time as JSON, a header and an archive show it."""

CLAMPED = [
    (b"253402300800", LAST),
    (b"67768036191676800", LAST),
    (b"9223372036854775807", LAST),
    (b"18446744073709551615", LAST),
    (b"99999999999999999999", LAST),
    (b"-5", FIRST),
    (b"-99999999999999999999", FIRST),
]

PEOPLE = b"author A <a@x> %s +0000\ncommitter A <a@x> %s +0000\n"


def push_dated(repo: Repo, git: Git, work: Path, date: bytes) -> str:
    """Push two commits and a tag whose dates are all `date`, as bytes; return the tip."""
    git.init(work)
    blob = write_object(git, work, "blob", b"line\n")
    tree = write_object(git, work, "tree", b"100644 a.txt\0" + bytes.fromhex(blob))
    people = PEOPLE % (date, date)
    root = write_object(git, work, "commit", f"tree {tree}\n".encode() + people + b"\nm\n")
    tip = write_object(git, work, "commit", f"tree {tree}\nparent {root}\n".encode() + people + b"\nm\n")
    tag = f"object {tip}\ntype commit\ntag v1\ntagger A <a@x> ".encode() + date + b" +0000\n\nm\n"
    tag_oid = write_object(git, work, "tag", tag)
    git.run(
        "push",
        "--quiet",
        repo.remote("+import"),
        f"{tip}:refs/heads/main",
        f"{tag_oid}:refs/tags/v1",
        cwd=work,
    )
    return tip


@pytest.mark.parametrize(("date", "expected"), CLAMPED)
def test_times_before_1970_and_beyond_9999_are_clamped_alike_everywhere(
    repo: Repo, git: Git, tmp_path: Path, date: bytes, expected: tuple[str, str, int]
) -> None:
    in_json, in_header, in_archive = expected
    tip = push_dated(repo, git, tmp_path / "work", date)
    told = [commit["date"] for commit in repo.api("GET", "/commits").json()["commits"]]
    for ref in ("main", "v1", "v1~1", tip):
        told.append(repo.api("GET", "/commit", params={"ref": ref}).json()["commit"]["date"])
    for path in ("a.txt", ""):
        listed = repo.api("GET", "/files/metadata", params={"path": path}).json()
        told += [commit["date"] for commit in listed["commits"].values()]
    for line in repo.api("GET", "/blame", params={"path": "a.txt"}).json()["lines"]:
        told += [line["author_time"], line["committer_time"]]
    assert set(told) == {in_json}
    for method in ("GET", "HEAD"):
        reply = repo.api(method, "/file", params={"path": "a.txt"})
        assert reply.headers["Last-Modified"] == in_header
        since = {"If-Modified-Since": reply.headers["Last-Modified"]}
        assert repo.api(method, "/file", params={"path": "a.txt"}, headers=since).status_code == 304
    with tarfile.open(fileobj=io.BytesIO(repo.api("POST", "/archive").content)) as tar:
        assert [member.mtime for member in tar.getmembers()] == [in_archive]


@pytest.mark.parametrize("date", [b"253402300800", b"9223372036854775807", b"99999999999999999999", b"-5"])
def test_every_other_call_reads_a_commit_with_an_odd_date(
    repo: Repo, git: Git, tmp_path: Path, date: bytes
) -> None:
    push_dated(repo, git, tmp_path / "work", date)
    repo.write_commit("side", {"b.txt": b"line\n"}, base_branch="main")
    repo.write_commit("main", {"a.txt": b"more\n"})
    for path, query in (
        ("/diff", {"ref": "v1"}),
        ("/diff", {"ref": "main", "base_ref": "v1"}),
        ("/branches/diff", {"branch": "side"}),
        ("/merge/preview", {"source_branch": "side", "target_branch": "main"}),
        ("/tags", {}),
        ("/tag", {"name": "v1"}),
        ("/branches", {}),
        ("/ref-log", {}),
        ("/files", {"ref": "v1"}),
    ):
        reply = repo.api("GET", path, params=query)
        assert reply.status_code == 200, reply.text
    assert repo.api("POST", "/grep", json={"query": {"pattern": "line"}}).status_code == 200
