"""Random edits give the tree that git makes of the same files."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from packhouse.errors import Invalid
from packhouse.git.objects.tree_edit import TreeEditor
from packhouse.git.objects.tree_path import TreePath
from packhouse.git.oid import Oid, hash_object
from tests.support.clients.git import Git

pytestmark = pytest.mark.quick

Files = dict[bytes, tuple[int, Oid]]

names = st.sampled_from(
    [
        b"a",
        b"b",
        b"a.b",
        b"a-b",
        b"a0",
        b"a b",
        b"a\\b",
        b"A",
        b"ab",
        b"~",
        b"\xc3\xbc",
        b"\xf0\x9f\x98\x80",
        b" ",
    ]
)
paths = st.lists(names, min_size=1, max_size=4).map(b"/".join)
upserts = st.tuples(
    st.just("upsert"),
    paths,
    st.sampled_from([0o100644, 0o100755, 0o120000, 0o160000]),
    st.integers(0, 5).map(lambda number: hash_object("blob", b"%d" % number)),
)
deletes = st.tuples(st.just("delete"), paths, st.just(0), st.just(Oid("")))
rounds = st.lists(st.lists(upserts | upserts | deletes, max_size=40), min_size=1, max_size=3)


@pytest.fixture(scope="module")
def git(tmp_path_factory: pytest.TempPathFactory) -> Git:
    return Git(tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="module")
def bare(git: Git, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bare")
    git.run("init", "--quiet", "--bare", folder)
    return folder


@settings(max_examples=80, deadline=None)
@given(rounds=rounds)
def test_random_edits_give_the_tree_that_git_writes(
    git: Git, bare: Path, rounds: list[list[tuple[str, bytes, int, Oid]]]
) -> None:
    files: Files = {}
    trees: dict[Oid, bytes] = {}
    root: Oid | None = None
    for edits in rounds:
        read: list[Oid] = []
        emitted: list[Oid] = []

        def read_tree(oid: Oid, read: list[Oid] = read) -> bytes:
            read.append(oid)
            return trees[oid]

        def emit(content: bytes, emitted: list[Oid] = emitted) -> Oid:
            oid = hash_object("tree", content)
            trees[oid] = content
            emitted.append(oid)
            return oid

        before = dict(files)
        editor = TreeEditor(read_tree, root)
        for edit in edits:
            apply(editor, files, edit)
        written = editor.write(emit)
        assert written == write_tree_with_git(git, bare, files)
        if files == before and root is not None and not any(is_folder(before, path) for _, path, *_ in edits):
            assert (written, emitted) == (root, [])  # what a deleted folder held may be written again
        assert len(read) <= 1 + len({parent for _, path, *_ in edits for parent in parents(path)}), (
            "read more than the way"
        )
        root = written


def is_folder(files: Files, path: bytes) -> bool:
    return any(known.startswith(path + b"/") for known in files)


def apply(editor: TreeEditor, files: Files, edit: tuple[str, bytes, int, Oid]) -> None:
    """Apply one edit to both; both refuse it, or none does."""
    kind, path, mode, oid = edit
    if kind == "delete":
        editor.delete(path)
        for known in [known for known in files if known == path or known.startswith(path + b"/")]:
            del files[known]
    elif any(parent in files for parent in parents(path)) or is_folder(files, path):
        with pytest.raises(Invalid):
            editor.upsert(TreePath(path), mode, oid)
    else:
        editor.upsert(TreePath(path), mode, oid)
        files[path] = (mode, oid)


def parents(path: bytes) -> Iterator[bytes]:
    while b"/" in path:
        path = path.rpartition(b"/")[0]
        yield path


def write_tree_with_git(git: Git, bare: Path, files: Files) -> str:
    index = bare / "test-index"
    index.unlink(missing_ok=True)
    environment = {"GIT_INDEX_FILE": str(index)}
    lines = b"".join(b"%o %s\t%s\0" % (mode, oid.encode(), path) for path, (mode, oid) in files.items())
    git.run("update-index", "-z", "--index-info", cwd=bare, stdin=lines, env=environment)
    return git.run("write-tree", "--missing-ok", cwd=bare, env=environment)
