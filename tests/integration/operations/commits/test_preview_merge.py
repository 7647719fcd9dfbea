"""A preview tells what git merge would do, and leaves nothing behind."""

import random
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from packhouse.auth.principal import Principal
from packhouse.config import Config
from packhouse.errors import LimitExceeded
from packhouse.git.commands.merge_tree import MergeImpossible, UnrelatedHistories
from packhouse.git.oid import Oid, hash_object
from packhouse.limits import MIB, Limits
from packhouse.node.node import Node, open_node
from packhouse.operations.catalog.lookup import lookup_repo
from packhouse.operations.commits.merge import MergeResult
from packhouse.operations.commits.preview_merge import MergePreview, PreviewMerge, preview_merge
from packhouse.repository.merge_trees import (
    MergeSide,
    merge_trees,
)
from packhouse.repository.view import RepoView
from packhouse.repository.write import Write
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


ABORTING_SEED = 4054328481  # git 2.39.5 aborts on one of its merges


@pytest.fixture(params=["mixed", "text", "aborting"])
def history(request: pytest.FixtureRequest, tmp_path: Path, node: Node, caller: Principal) -> History:
    """A random history, in the node's repository r; each commit is a branch of its own."""
    make = make_text_history if request.param == "text" else make_history
    seed = ABORTING_SEED if request.param == "aborting" else seed_of(request)
    history = make(Git(tmp_path / "home"), tmp_path / "src.git", seed)
    for number, commit in enumerate(history.commits()):
        history.run("branch", f"at/{number}", commit)
    load_history(node, caller, history, "r")
    return history


def preview(
    node: Node,
    caller: Principal,
    source: str,
    target: str,
    *,
    repo: str = "r",
    include_content: bool = True,
) -> MergePreview:
    """Ask for a preview."""
    command = PreviewMerge(repo=repo, source=source, target=target, include_content=include_content)
    return preview_merge(node, caller, command)


def git_merge(history: History, target: str, source: str) -> tuple[int, str, dict[bytes, dict[int, str]]]:
    """Return git's exit code, the tree, and stages by conflicted path."""
    done = history.git.try_run(
        "merge-tree", "--write-tree", "--no-messages", "-z", target, source, cwd=history.folder
    )
    if done.returncode not in (0, 1):
        return done.returncode, "", {}
    tree, *rows = done.stdout.rstrip(b"\0").split(b"\0")
    stages: dict[bytes, dict[int, str]] = {}
    for row in rows:
        facts, _, path = row.partition(b"\t")
        _, oid, stage = facts.decode().split()
        stages.setdefault(path, {})[int(stage)] = oid
    return done.returncode, tree.decode(), stages


def paths_of(history: History, name: str) -> set[bytes]:
    """Return every path of a commit, folders included."""
    listed = history.git.try_run("ls-tree", "-r", "-t", "-z", "--name-only", name, cwd=history.folder)
    return set(listed.stdout.split(b"\0")[:-1])


def blob(history: History, name: str) -> bytes:
    """Return a blob's bytes."""
    return history.git.try_run("cat-file", "blob", name, cwd=history.folder).stdout


def leftovers(node: Node) -> list[Path]:
    """Return every quarantine that is there, and what is in the one that the process keeps for its new packs."""
    node.store.skeleton()  # it is made once, by the first who needs it
    return sorted([*(node.config.data / "quarantine").iterdir(), *node.store.scratch_dir().iterdir()])


def test_previews_agree_with_git(node: Node, caller: Principal, history: History) -> None:
    rng = random.Random(history.seed)
    branches = [f"at/{number}" for number in range(len(history.commits()))]
    before = leftovers(node)
    for _ in range(12):
        target, source = rng.sample(branches, 2)
        code, tree, stages = git_merge(history, target, source)
        if code not in (0, 1):
            with pytest.raises(MergeImpossible if code == -signal.SIGABRT else UnrelatedHistories):
                preview(node, caller, source, target)
            continue
        found = preview(node, caller, source, target)
        base = history.run("merge-base", target, source).split()[0]
        tips = [history.run("rev-parse", name) for name in (source, target)]
        kinds = {tips[0]: MergeResult.NO_OP, tips[1]: MergeResult.FAST_FORWARD}
        kind = kinds.get(base, MergeResult.MERGE_COMMIT)
        assert (found.result, found.merge_base, found.is_clean) == (kind, base, code == 0)
        held = paths_of(history, target) | paths_of(history, source)
        assert set(stages) & held <= set(found.conflict_paths) <= held
        assert len(set(found.conflict_paths)) == len(found.conflict_paths)
        assert {conflict.merged_path for conflict in found.conflicts} <= set(stages)
        for conflict in found.conflicts:
            sides = (conflict.base, conflict.ours, conflict.theirs)
            told = [side.oid for side in sides]
            if set(stages) <= held:  # git gave each conflict the name that a side has
                assert told == [stages[conflict.path].get(n) for n in (1, 2, 3)]
            else:
                assert set(told) <= {None, *(oid for staged in stages.values() for oid in staged.values())}
            name = conflict.merged_path.decode("utf-8", "surrogateescape")
            if conflict.result.content is not None:
                assert conflict.result.content == blob(history, f"{tree}:{name}")
    assert leftovers(node) == before


@pytest.fixture
def two_branches(tmp_path: Path, node: Node, caller: Principal) -> History:
    """Branches main and feature/cart of repository r that changed the same files."""
    git = Git(tmp_path / "home")
    work = git.init(tmp_path / "work")
    files: dict[str, bytes | None] = {f"f{n:02}": b"0\n" for n in range(55)}
    git.commit(work, {**files, "binary": b"\0a", "long": b"", "gone": b"x\n"})
    git.run("checkout", "-q", "-b", "feature/cart", cwd=work)
    git.commit(
        work,
        {**dict.fromkeys(files, b"2\n"), "binary": b"\0b", "long": "é".encode() * 200_000, "gone": b"y\n"},
    )
    git.run("checkout", "-q", "main", cwd=work)
    git.commit(work, {**dict.fromkeys(files, b"1\n"), "binary": b"\0c", "long": b"l\n", "gone": None})
    history = History(git, work / ".git", 0)
    load_history(node, caller, history, "r")
    return history


def test_contents_are_bounded_and_marked_if_they_are_left_out(
    node: Node, caller: Principal, two_branches: History
) -> None:
    found = preview(node, caller, "feature/cart", "main")
    assert len(found.conflict_paths) == 58
    assert len(found.conflicts) == node.limits.merge_conflict_files_max == 50
    assert found.omitted_paths == found.conflict_paths[50:]
    node = replace(node, limits=Limits(merge_conflict_files_max=100))
    conflicts = {c.path: c for c in preview(node, caller, "feature/cart", "main").conflicts}
    text = conflicts[b"f00"]
    assert text.result.content == b"<<<<<<< main\n1\n=======\n2\n>>>>>>> feature/cart\n"
    assert (text.base.content, text.ours.content, text.theirs.content) == (b"0\n", b"1\n", b"2\n")
    assert conflicts[b"binary"].ours.is_binary and conflicts[b"binary"].ours.content is None
    long = conflicts[b"long"].theirs
    assert long.is_truncated and long.content == "é".encode() * (256 * 1024 // 2)
    gone = conflicts[b"gone"]
    assert (gone.ours.oid, gone.ours.content, gone.theirs.content) == (None, None, b"y\n")
    assert preview(node, caller, "feature/cart", "main", include_content=False).conflicts == []


@pytest.mark.parametrize(
    ("label", "shown"),
    [
        ("-x", "heads/-x"),
        ("HEAD", "heads/HEAD"),
        ("lock", "heads/lock"),
        ("refs/x", "heads/refs/x"),
        ("heads/main", "heads/heads/main"),
        ("AB" * 20, None),
        ("f00d", "f00d"),
        ("a/b", "a/b"),
        ("main/x", "main/x"),
        ("größe", "größe"),
        ("main~2", None),
        ("main", "source/main"),
    ],
)
def test_conflict_markers_show_any_names_of_the_sides(
    node: Node, caller: Principal, two_branches: History, label: str, shown: str | None
) -> None:
    repo = lookup_repo(node, caller, "r")
    ours, theirs = (Oid(two_branches.run("rev-parse", name)) for name in ("main", "feature/cart"))
    with RepoView(node, repo) as view, Write(view) as write:
        merged = merge_trees(write, ours=MergeSide("main", ours), theirs=MergeSide(label, theirs))
        objects = [content for kind, content in write.iter_loose() if kind == "blob"]
    assert not merged.is_clean
    name = (shown or theirs).encode()
    assert b"<<<<<<< main\n1\n=======\n2\n>>>>>>> " + name + b"\n" in objects


def test_the_caller_of_a_clean_merge_gets_its_new_objects(
    node: Node, caller: Principal, two_branches: History
) -> None:
    git, bare = two_branches.git, two_branches.folder
    tree = {"x": b"1\n", "dir/y": b"2\n"}
    work = bare.parent
    git.run("checkout", "-q", "-b", "one", "main", cwd=work)
    one = git.commit(work, {"x": tree["x"]})
    git.run("checkout", "-q", "-b", "two", "main", cwd=work)
    two = git.commit(work, {"dir/y": tree["dir/y"]})
    load_history(node, caller, two_branches, "clean")
    repo = lookup_repo(node, caller, "clean")
    with RepoView(node, repo) as view, Write(view) as write:
        merged = merge_trees(write, ours=MergeSide("one", Oid(one)), theirs=MergeSide("two", Oid(two)))
        objects = {hash_object(kind, content): kind for kind, content in write.iter_loose()}
    assert merged.is_clean
    assert objects == {merged.tree: "tree"}
    assert merged.tree == git.run("merge-tree", "--write-tree", one, two, cwd=work)


def test_a_merge_of_a_million_paths_is_refused_before_it_fills_the_memory(
    node: Node, caller: Principal, tmp_path: Path
) -> None:
    """Trees that hold each other many times make them of a few hundred bytes."""
    node = replace(node, limits=Limits(merge_memory_max_bytes=256 * MIB))
    git, folder = Git(tmp_path / "home"), tmp_path / "bomb.git"
    git.run("init", "--quiet", "--bare", folder)

    def commit(text: bytes, *parents: str) -> str:
        entry = "100644 blob " + git.run("hash-object", "-w", "--stdin", cwd=folder, stdin=text)
        for _ in range(6):
            rows = "".join(f"{entry}\tf{number}\n" for number in range(10))
            entry = "040000 tree " + git.run("mktree", cwd=folder, stdin=rows.encode())
        options = [option for parent in parents for option in ("-p", parent)]
        return git.run("commit-tree", "-m", "bomb", *options, entry.removeprefix("040000 tree "), cwd=folder)

    base = commit(b"1\n2\n3\n")
    for branch, text in (("main", b"one\n2\n3\n"), ("topic", b"1\n2\nthree\n")):
        git.run("update-ref", f"refs/heads/{branch}", commit(text, base), cwd=folder)
    load_history(node, caller, History(git, folder, 0, ["main", "topic"]), "bombs")
    with pytest.raises(LimitExceeded):
        preview(node, caller, "topic", "main", repo="bombs")
