"""Diffs are git's, and the applicable ones rebuild the tree."""

import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from packhouse.auth.principal import Principal
from packhouse.config import Config
from packhouse.git.oid import EMPTY_TREE_OID
from packhouse.limits import Limits
from packhouse.node.node import Node, open_node
from packhouse.operations.reading.file_diffs import FileDiff, RefInput
from packhouse.operations.reading.read_branch_diff import BranchDiff, ReadBranchDiff, read_branch_diff
from packhouse.operations.reading.read_commit_diff import CommitDiff, ReadCommitDiff, read_commit_diff
from tests.support.builders.histories import History, load_history, make_history
from tests.support.builders.seeds import seed_of
from tests.support.builders.text_histories import make_text_history
from tests.support.clients.git import Git


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
    history = make(Git(tmp_path / "home"), tmp_path / "src.git", seed_of(request), commits=30)
    load_history(node, caller, history, "r")
    return history


def commit_diff(
    node: Node,
    caller: Principal,
    ref: str,
    base: str | None = None,
    *,
    applicable: bool = False,
    paths: Sequence[bytes] = (),
) -> CommitDiff:
    """Ask for a commit diff."""
    named_base = None if base is None else RefInput(base)
    command = ReadCommitDiff("r", RefInput(ref), named_base, applicable=applicable, paths=paths)
    return read_commit_diff(node, caller, command)


def git_diff(history: History, old: str, new: str, *options: str, paths: Sequence[bytes] = ()) -> bytes:
    """Return what git itself says."""
    names = [path.decode("utf-8", "surrogateescape") for path in paths]
    done = history.git.try_run(
        *("diff-tree", "-r", "-M", "-C", *options, old, new, "--", *names),
        cwd=history.folder,
        env={"GIT_LITERAL_PATHSPECS": "1"},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def expected_states(
    history: History, old: str, new: str, paths: Sequence[bytes] = ()
) -> list[tuple[str, bytes]]:
    """Return (letter, new path) of everything that changed."""
    fields = git_diff(history, old, new, "--name-status", "-z", paths=paths).split(b"\0")[:-1]
    found = []
    while fields:
        letter = fields.pop(0).decode()[0]
        if letter in "RC":
            fields.pop(0)
        found.append((letter, fields.pop(0)))
    return found


def check_files(history: History, found: CommitDiff | BranchDiff, old: str, new: str, *options: str) -> None:
    """Compare with git: the files, their counts, their text; patches together are git's whole output."""
    files = found.files
    assert [(f.entry.status, f.entry.path) for f in files] == expected_states(history, old, new)
    whole = git_diff(history, old, new, "-p", *options)
    patches = b"".join(f.raw or b"" for f in files)
    hidden = [f for f in files if f.raw is None]
    if hidden:
        assert all(f.raw in whole for f in files if f.raw)
    else:
        assert patches == whole
    counts = git_diff(history, old, new, "--numstat", "-z", *options)
    expected = {}
    for match in re.finditer(rb"([0-9-]+)\t([0-9-]+)\t(?:\0[^\0]+\0)?([^\0]+)\0", counts):
        expected[match[3]] = tuple(0 if n == b"-" else int(n) for n in match.groups()[:2])
    for file in files:
        if file.entry.status != "T":
            assert (file.additions, file.deletions) == expected.get(file.entry.path, (0, 0)), file
        assert file.ends_with_newline == git_ends_with_newline(history, file)


def git_ends_with_newline(history: History, file: FileDiff) -> bool:
    entry = file.entry
    mode, oid = (entry.new_mode, entry.new_oid) if entry.new_oid else (entry.old_mode, entry.old_oid)
    if mode == 0o160000:
        return True
    return history.git.try_run("cat-file", "blob", str(oid), cwd=history.folder).stdout.endswith(b"\n")


def parent_of(history: History, commit: str) -> str:
    """Return the first parent, or the empty tree for a root."""
    done = history.git.try_run("rev-parse", "--verify", "-q", f"{commit}^", cwd=history.folder)
    return done.stdout.decode().strip() or EMPTY_TREE_OID


def apply_patches(history: History, base: str, patch: bytes, index: Path) -> str:
    """Return the tree that `git apply` makes of `base` and a patch."""
    env = {"GIT_INDEX_FILE": str(index)}
    history.git.run("read-tree", base, cwd=history.folder, env=env)
    if patch:
        history.git.run("apply", "--cached", "-", cwd=history.folder, env=env, stdin=patch)
    return history.git.run("write-tree", cwd=history.folder, env=env)


def test_a_commit_diff_is_gits_between_first_parent_and_commit(
    node: Node, caller: Principal, history: History
) -> None:
    for commit in history.commits()[:25]:
        found = commit_diff(node, caller, commit)
        parent = parent_of(history, commit)
        assert (found.commit, found.base or EMPTY_TREE_OID, found.merge_base) == (commit, parent, None)
        check_files(history, found, parent, commit, "-b")


def test_with_a_base_the_two_trees_are_compared_and_the_merge_base_reported(
    node: Node, caller: Principal, history: History
) -> None:
    rng = random.Random(history.seed)
    for _ in range(8):
        base, commit = rng.choice(history.commits()), rng.choice(history.commits())
        found = commit_diff(node, caller, commit, base)
        check_files(history, found, base, commit, "-b")
        bases = history.git.try_run("merge-base", base, commit, cwd=history.folder).stdout.decode()
        assert (found.merge_base or "") == bases.strip()


def test_applicable_patches_rebuild_the_tree(
    node: Node, caller: Principal, history: History, tmp_path: Path
) -> None:
    rng = random.Random(history.seed)
    pairs: list[tuple[str | None, str]] = [(None, commit) for commit in history.commits()[:15]]
    pairs += [(rng.choice(history.commits()), rng.choice(history.commits())) for _ in range(6)]
    for base, commit in pairs:
        found = commit_diff(node, caller, commit, base, applicable=True)
        old = base or parent_of(history, commit)
        check_files(history, found, old, commit)
        if any(file.raw is None for file in found.files):
            continue
        patch = b"".join(file.raw or b"" for file in found.files)
        expected = history.run("rev-parse", f"{commit}^{{tree}}")
        assert apply_patches(history, old, patch, tmp_path / "index") == expected


def test_paths_are_literal_files_or_folders(node: Node, caller: Principal, history: History) -> None:
    rng = random.Random(history.seed)
    tip = history.run("rev-parse", "main")
    first = history.run("rev-list", "--max-parents=0", "--max-count=1", "main")
    known = sorted({*history.files(tip), *history.files(first)})
    choices = [b"src", b"docs", b"*", b":(glob)x", b":/", b"src/*", b"missing"]
    for paths in [rng.sample([*known, *choices], 2) for _ in range(5)] + [[choice] for choice in choices]:
        found = commit_diff(node, caller, tip, first, paths=paths)
        listed = [(file.entry.status, file.entry.path) for file in found.files]
        assert listed == expected_states(history, first, tip, paths), paths


def test_a_branch_diff_starts_at_the_merge_base(node: Node, caller: Principal, history: History) -> None:
    for branch in history.branches:
        found = read_branch_diff(node, caller, ReadBranchDiff("r", RefInput(branch)))
        bases = history.git.try_run("merge-base", "main", branch, cwd=history.folder).stdout.split()
        assert (found.branch, found.base) == (branch, "main")
        assert (found.merge_base or "") == (bases[0].decode() if bases else "")
        check_files(history, found, bases[0].decode() if bases else "main", branch)


def test_patches_beyond_the_bound_of_an_answer_are_left_out(
    node: Node, caller: Principal, history: History
) -> None:
    tip = history.run("rev-parse", "main")
    first = history.run("rev-list", "--max-parents=0", "--max-count=1", "main")
    whole = commit_diff(node, caller, tip, first).files
    node = replace(node, limits=Limits(diff_raw_total_max_bytes=600))
    found = commit_diff(node, caller, tip, first).files
    assert sum(len(file.raw or b"") for file in found) <= 600
    assert [f.entry for f in found] == [f.entry for f in whole]
    counts = [(f.additions, f.deletions, f.size_bytes) for f in found]
    assert counts == [(f.additions, f.deletions, f.size_bytes) for f in whole]
