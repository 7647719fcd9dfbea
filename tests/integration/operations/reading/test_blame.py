"""Blame is git's, for every form of range."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from packhouse.auth.principal import Principal
from packhouse.clock import format_timestamp
from packhouse.config import Config
from packhouse.errors import Invalid
from packhouse.git.commands.blame import BadRange
from packhouse.node.node import Node, open_node
from packhouse.operations.reading.blame_file import Blame, BlameFile, blame_file
from packhouse.repository.history.last_commit import PathNotFound
from tests.support.builders.histories import History, load_history, make_history
from tests.support.builders.seeds import seed_of
from tests.support.builders.text_histories import make_text_history
from tests.support.clients.git import Git

Row = tuple[int, str, int, bytes, str]
"""Line, commit, line there, path there, previous commit or nothing."""


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    """A node on SQLite: nothing here depends on the database."""
    node = open_node(Config(data=tmp_path / "data"))
    yield node
    node.close()


@pytest.fixture(params=["mixed", "text"])
def history(request: pytest.FixtureRequest, tmp_path: Path, node: Node, caller: Principal) -> History:
    """A random history, in the node's repository r."""
    make = make_history if request.param == "mixed" else make_text_history
    history = make(Git(tmp_path / "home"), tmp_path / "src.git", seed_of(request))
    load_history(node, caller, history, "r")
    return history


@pytest.fixture
def text(request: pytest.FixtureRequest, tmp_path: Path, node: Node, caller: Principal) -> History:
    """A random history of text files, in the node's repository r."""
    history = make_text_history(Git(tmp_path / "home"), tmp_path / "src.git", seed_of(request))
    load_history(node, caller, history, "r")
    return history


def longest_file(history: History) -> tuple[bytes, int]:
    """Return the path of the file on main that has most lines, and their number."""
    counts = {path: len(git_rows(history, "main", path) or []) for path in files_of(history, "main")}
    path = max(counts, key=lambda path: counts[path])
    return path, counts[path]


def blame(
    node: Node, caller: Principal, ref: str, path: bytes, *ranges: str, detect_moves: bool = False
) -> Blame:
    """Ask for blame."""
    command = BlameFile("r", path, ref, ranges=ranges, detect_moves=detect_moves)
    return blame_file(node, caller, command)


def rows_of(found: Blame) -> list[Row]:
    """Return one row for each line."""
    return [
        (g.line + n, g.commit, g.original_line + n, g.original_path, g.previous or "")
        for g in found.groups
        for n in range(g.count)
    ]


def git_rows(history: History, ref: str, path: bytes, *options: str) -> list[Row] | None:
    """Return what git says in its other format, --line-porcelain; None when it refuses."""
    name = path.decode("utf-8", "surrogateescape")
    done = history.git.try_run("blame", "--line-porcelain", *options, ref, "--", name, cwd=history.folder)
    if done.returncode:
        return None
    rows: list[Row] = []
    previous, filename = b"", b""
    head: list[bytes] = []
    for line in done.stdout.split(b"\n")[:-1]:
        if line.startswith(b"\t"):
            rows.append((int(head[2]), head[0].decode(), int(head[1]), name_of(filename), previous.decode()))
            head, previous = [], b""
        elif not head:
            head = line.split(b" ")
        elif line.startswith(b"previous "):
            previous = line.split(b" ")[1]
        elif line.startswith(b"filename "):
            filename = line.removeprefix(b"filename ")
    return rows


def name_of(quoted: bytes) -> bytes:
    """Return a path that git may have put in quotes."""
    if not quoted.startswith(b'"'):
        return quoted
    return quoted[1:-1].decode("ascii").encode().decode("unicode_escape").encode("latin-1")


def files_of(history: History, ref: str) -> list[bytes]:
    """Return the paths of everything that has lines."""
    return [path for path, (mode, _) in sorted(history.files(ref).items()) if mode != "160000"]


@pytest.mark.parametrize("detect_moves", [False, True])
def test_every_line_belongs_to_the_commit_that_git_names(
    node: Node, caller: Principal, history: History, detect_moves: bool
) -> None:
    options = ["-M", "-C"] if detect_moves else []
    for ref in history.branches:
        for path in files_of(history, ref)[:12]:
            found = blame(node, caller, ref, path, detect_moves=detect_moves)
            assert rows_of(found) == git_rows(history, ref, path, *options), (ref, path)
            assert found.commit == history.run("rev-parse", ref)
            for oid, commit in found.commits.items():
                expected = history.run("show", "-s", "--format=%ct %at", oid).split()
                times = [str(commit.committer.when), str(commit.author.when)]
                assert times == expected, format_timestamp(commit.committer.when)


def test_ranges_of_every_form_are_taken_and_refused_as_git_does(
    node: Node, caller: Principal, text: History
) -> None:
    path, count = longest_file(text)
    forms = [
        *(
            "1,2",
            "1,+5",
            "2,",
            ",2",
            "2",
            "0,1",
            "1,0",
            "-1",
            "1,+0",
            "1,-1",
            "3,2",
            f"{count}",
            f"{count + 1}",
        ),
        *(f"1,{count + 50}", f"{count + 1},+2", "/tax/", "/tax/,/cart/", "/tax/,+2", "/nowhere/", ":tax"),
        *("^:tax", ":nowhere", "x", "1,2,3", "/(/", "/\\(/", "--output=x", "-C", "\t1", "1;2", "1 2", "HEAD"),
    ]
    for form in forms:
        expected = git_rows(text, "main", path, f"-L{form}")
        if expected is None:
            with pytest.raises(BadRange):
                blame(node, caller, "main", path, form)
        else:
            assert rows_of(blame(node, caller, "main", path, form)) == expected, form


def test_several_ranges_come_together_in_file_order(node: Node, caller: Principal, text: History) -> None:
    path, _ = longest_file(text)
    ranges = ("5,6", "1,2", "2,3")
    expected = git_rows(text, "main", path, *(f"-L{form}" for form in ranges))
    assert [row[0] for row in expected or []] == [1, 2, 3, 5, 6]
    assert rows_of(blame(node, caller, "main", path, *ranges)) == expected
    with pytest.raises(Invalid):
        blame(node, caller, "main", path, *["1"] * 17)


def test_folders_submodules_and_missing_paths_are_not_found(
    node: Node, caller: Principal, history: History
) -> None:
    files = history.files("main")
    missing = [b"nowhere", b"nowhere/at/all"]
    missing += [path for path, (mode, _) in files.items() if mode == "160000"]
    missing += [path.rpartition(b"/")[0] for path in files if b"/" in path]
    for path in missing:
        with pytest.raises(PathNotFound):
            blame(node, caller, "main", path)
