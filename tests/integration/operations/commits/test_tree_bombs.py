"""A handful of trees that hold each other many times make millions of paths: every reader has a bound."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from packhouse.auth.principal import Principal
from packhouse.config import Config
from packhouse.errors import LimitExceeded
from packhouse.formats.globs import PathFilter, compile_globs
from packhouse.git.commands.grep import GrepQuery
from packhouse.limits import MIB, Limits
from packhouse.node.node import Node, open_node
from packhouse.operations.reading.file_diffs import RefInput
from packhouse.operations.reading.grep_files import GrepFiles, grep_files
from packhouse.operations.reading.list_file_metadata import ListFileMetadata, list_file_metadata
from packhouse.operations.reading.list_files import FileListing, ListFiles, list_files
from packhouse.operations.reading.open_archive import OpenArchive, open_archive
from packhouse.operations.reading.open_file import OpenFile, open_file
from packhouse.operations.reading.read_commit_diff import ReadCommitDiff, read_commit_diff
from tests.support.builders.histories import History, load_history
from tests.support.clients.git import Git

LEVELS = 6
WIDTH = 10


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    """A node on SQLite: nothing here depends on the database."""
    node = open_node(
        Config(data=tmp_path / "data"),
        limits=Limits(tree_entries_max=1000, tree_listing_max_bytes=100_000, diff_memory_max_bytes=256 * MIB),
    )
    yield node
    node.close()


@pytest.fixture
def bomb(node: Node, caller: Principal, tmp_path: Path) -> Callable[..., None]:
    """Load repository r: at main~1 one file, at main a million, or folders alone."""

    def load(*, files: bool = True) -> None:
        git = Git(tmp_path / "home")
        folder = tmp_path / "src.git"
        git.run("init", "--quiet", "--bare", folder)
        blob = git.run("hash-object", "-w", "--stdin", cwd=folder, stdin=b"x\n")
        first = git.run("mktree", cwd=folder, stdin=f"100644 blob {blob}\tf0\n".encode())
        tree = first if files else git.run("mktree", cwd=folder)
        for _ in range(LEVELS):
            rows = "".join(f"040000 tree {tree}\tf{number}\n" for number in range(WIDTH))
            tree = git.run("mktree", cwd=folder, stdin=rows.encode())
        base = git.run("commit-tree", "-m", "base", first, cwd=folder)
        tip = git.run("commit-tree", "-m", "bomb", "-p", base, tree, cwd=folder)
        git.run("update-ref", "refs/heads/main", tip, cwd=folder)
        load_history(node, caller, History(git, folder, 0, ["main"]), "r")

    return load


def list_main(node: Node, caller: Principal, count_max: int | None) -> FileListing:
    return list_files(node, caller, ListFiles("r", count_max=count_max))


def grep_text_files(node: Node, caller: Principal) -> None:
    query = GrepQuery("y", case_sensitive=True, before=0, after=0, file_matches_max=10)
    files = PathFilter(include=compile_globs(["*.txt"]))
    grep_files(node, caller, GrepFiles("r", query, files=files, matches_max=10, lines_max=10))


def list_metadata(node: Node, caller: Principal) -> None:
    list_file_metadata(node, caller, ListFileMetadata("r", "main", count_max=10))


def diff_tip(node: Node, caller: Principal) -> None:
    read_commit_diff(node, caller, ReadCommitDiff("r", RefInput("main")))


def test_a_page_and_a_file_of_a_bomb_are_read(
    node: Node, caller: Principal, bomb: Callable[..., None]
) -> None:
    bomb()
    assert len(list_main(node, caller, 10).entries) == 10
    path = b"/".join([b"f0"] * (LEVELS + 1))
    found = open_file(node, caller, OpenFile("r", path))
    assert found.size_bytes == 2


@pytest.mark.parametrize(
    "read",
    [
        lambda node, caller: list_main(node, caller, None),
        lambda node, caller: open_archive(node, caller, OpenArchive("r")),
        grep_text_files,
        list_metadata,
        diff_tip,
    ],
    ids=["listing", "archive", "grep", "metadata", "diff"],
)
def test_reading_the_whole_bomb_is_refused(
    node: Node, caller: Principal, bomb: Callable[..., None], read: Callable[[Node, Principal], object]
) -> None:
    bomb()
    with pytest.raises(LimitExceeded):
        read(node, caller)


def test_folders_without_files_are_counted_too(
    node: Node, caller: Principal, bomb: Callable[..., None]
) -> None:
    bomb(files=False)
    with pytest.raises(LimitExceeded):
        list_main(node, caller, 10)


def test_a_bomb_on_top_of_a_known_history_is_refused(
    node: Node, caller: Principal, bomb: Callable[..., None]
) -> None:
    bomb()
    list_file_metadata(node, caller, ListFileMetadata("r", "main~1", count_max=10))
    with pytest.raises(LimitExceeded, match="entries"):
        list_metadata(node, caller)
