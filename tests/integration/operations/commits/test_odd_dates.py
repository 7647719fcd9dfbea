"""Dates that no push brings any more, but old packs hold: every operation that reads a commit tells the same."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from packhouse.auth.principal import Principal
from packhouse.clock import TIMESTAMP_MAX, TIMESTAMP_MIN
from packhouse.config import Config
from packhouse.node.node import Node, open_node
from packhouse.operations.reading.blame_file import BlameFile, blame_file
from packhouse.operations.reading.list_commits import ListCommits, list_commits
from packhouse.operations.reading.list_file_metadata import ListFileMetadata, list_file_metadata
from packhouse.operations.reading.open_archive import OpenArchive, open_archive
from packhouse.operations.reading.open_file import OpenFile, open_file
from packhouse.operations.reading.read_commit import ReadCommit, read_commit
from tests.support.builders.histories import History, load_history
from tests.support.clients.git import Git

CLAMPED = [
    (b"253402300800", TIMESTAMP_MAX),
    (b"9223372036854775807", TIMESTAMP_MAX),
    (b"18446744073709551615", TIMESTAMP_MAX),
    (b"99999999999999999999", TIMESTAMP_MAX),
    (b"00000000000000000005", 5),
    (b"-1", TIMESTAMP_MIN),
    (b"-9223372036854775809", TIMESTAMP_MIN),
    (b"yesterday", TIMESTAMP_MIN),
    (b"", TIMESTAMP_MIN),
]


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    """A node on SQLite: nothing here depends on the database."""
    node = open_node(Config(data=tmp_path / "data"))
    yield node
    node.close()


def make_dated(folder: Path, git: Git, date: bytes) -> History:
    """Make a bare repository whose only commit has this date, as bytes."""
    git.run("init", "--quiet", "--bare", folder)
    blob = git.run("hash-object", "-w", "--stdin", cwd=folder, stdin=b"line\n")
    tree = git.run("mktree", cwd=folder, stdin=f"100644 blob {blob}\ta.txt\n".encode())
    content = f"tree {tree}\n".encode() + b"author A <a@x> %s +0000\ncommitter A <a@x> %s +0000\n\nm\n" % (
        date,
        date,
    )
    write = ("hash-object", "-w", "-t", "commit", "--literally", "--stdin")
    commit = git.run(*write, cwd=folder, stdin=content)
    git.run("update-ref", "refs/heads/main", commit, cwd=folder)
    return History(git, folder, 0)


@pytest.mark.parametrize(("date", "when"), CLAMPED)
def test_every_reader_shows_the_same_date(
    node: Node, caller: Principal, tmp_path: Path, date: bytes, when: int
) -> None:
    load_history(node, caller, make_dated(tmp_path / "src.git", Git(tmp_path / "home"), date), "r")
    listed = list_commits(node, caller, ListCommits("r")).commits
    told = [commit.commit.committer.when for commit in listed]
    commit = read_commit(node, caller, ReadCommit("r", "main")).listed.commit
    told += [commit.author.when, commit.committer.when]
    file = open_file(node, caller, OpenFile("r", b"a.txt"))
    told.append(-1 if file.touched_at is None else file.touched_at)
    page = list_file_metadata(node, caller, ListFileMetadata("r"))
    told += [summary.authored_at for summary in page.commits.values()]
    blame = blame_file(node, caller, BlameFile("r", b"a.txt"))
    told += [person.when for c in blame.commits.values() for person in (c.author, c.committer)]
    archive = open_archive(node, caller, OpenArchive("r"))
    told.append(archive.committed_at)
    assert b"".join(archive.pieces)
    assert told == [when] * 8
