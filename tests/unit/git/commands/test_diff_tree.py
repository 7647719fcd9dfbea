"""Git's output is read alike in pieces of any size."""

import random
from pathlib import Path

import pytest

from packhouse import limits
from packhouse.errors import Corrupt
from packhouse.git.commands.diff_tree import (
    DiffTooLarge,
    FilePatch,
    diff_arguments,
    diff_trees,
    iter_patches,
    read_first_parent_changes,
)
from packhouse.git.commands.grep import GrepQuery, grep_arguments, iter_grep_lines
from packhouse.git.commands.quoting import quote_path, unquote_path
from packhouse.git.commands.rev_list import list_history
from packhouse.git.commands.run import GitFailed
from packhouse.git.objects.tree_walk import TreeTooLarge
from packhouse.git.oid import EMPTY_TREE_OID, Oid
from tests.support.builders.seeds import seed_of
from tests.support.clients.git import Git
from tests.support.clients.git_runner import WorkTree

pytestmark = pytest.mark.quick


def cut(output: bytes, rng: random.Random) -> list[bytes]:
    """Return the output in pieces of random sizes, some of one byte."""
    pieces = []
    while output:
        size = rng.choice([1, 2, 11, 100, 5000])
        pieces.append(output[:size])
        output = output[size:]
    return pieces


@pytest.fixture
def diff_output(tmp_path: Path) -> bytes:
    """A diff with every sort of change."""
    git = Git(tmp_path / "home")
    work = git.init(tmp_path / "work")
    git.commit(
        work, {"a": b"1\n" * 30, "b": b"x\n", 'q"\t': b"y\n", "type": b"z\n", "bin": b"\0", "w": b"a b\n"}
    )
    (work / "type").unlink()
    (work / "type").symlink_to("a")
    (work / "b").chmod(0o755)
    files: dict[str, bytes | None] = {
        "a": None,
        "c": b"1\n" * 29 + b"2\n",
        'q"\t': b"+y\n-z\n",
        "w": b"a  b\n",
    }
    git.commit(work, {**files, "bin": b"\0\0", "empty": b"", "big": b"diff --git a/x b/x\n@@ \n" * 500})
    old, new = (Oid(git.run("rev-parse", name, cwd=work)) for name in ("HEAD^", "HEAD"))
    arguments = diff_arguments(old=old, new=new, paths=[], ignore_space_change=True)
    return git.try_run(*arguments, cwd=work).stdout


def test_patches_are_the_same_however_the_output_is_cut(
    diff_output: bytes, request: pytest.FixtureRequest
) -> None:
    rng = random.Random(seed_of(request))
    whole = list(iter_patches([diff_output], lambda _: 10**9))
    found = {patch.entry.path: patch for patch in whole}
    assert {path: p.entry.status for path, p in found.items()} == {
        **{b"c": "R", b"b": "M", b'q"\t': "M", b"type": "T", b"bin": "M", b"w": "M", b"empty": "A"},
        b"big": "A",
    }
    assert found[b"w"] == FilePatch(found[b"w"].entry, b"", 0, 0, 0, False)
    assert found[b"bin"].is_binary
    assert (found[b"type"].additions, found[b"type"].deletions) == (1, 1)
    assert (found[b"big"].additions, found[b'q"\t'].additions, found[b'q"\t'].deletions) == (1000, 2, 1)
    for _ in range(30):
        assert list(iter_patches(cut(diff_output, rng), lambda _: 10**9)) == whole
    counted = list(iter_patches(cut(diff_output, rng), lambda _: 0))
    assert [(p.size_bytes, p.additions) for p in counted] == [(p.size_bytes, p.additions) for p in whole]
    assert all(patch.raw is None or not patch.size_bytes for patch in counted)


def test_truncated_output_is_refused(diff_output: bytes) -> None:
    with pytest.raises(Corrupt):
        list(iter_patches([diff_output[:120]], lambda _: 0))
    with pytest.raises(Corrupt):
        list(iter_patches([b"\0diff --git a/x b/x\n"], lambda _: 0))


def test_long_lines_of_a_search_are_cut_and_nothing_else_changes(tmp_path: Path) -> None:
    git = Git(tmp_path / "home")
    work = git.init(tmp_path / "work")
    git.commit(work, {"a\nb": b"x\n", "long": b"x" * 100_000 + b"\nlast x\n", "dash-1-x": b"y\nx\n"})
    tree = Oid(git.run("rev-parse", "HEAD", cwd=work))
    query = GrepQuery("x", True, 1, 0, 10)
    output = git.try_run(*grep_arguments(query, tree), cwd=work).stdout
    whole = list(iter_grep_lines([output], tree))
    assert [(line.path, line.number, len(line.text), line.is_match) for line in whole] == [
        (b"a\nb", 1, 1, True),
        (b"dash-1-x", 1, 1, False),
        (b"dash-1-x", 2, 1, True),
        (b"long", 1, 8192, True),
        (b"long", 2, 6, True),
    ]
    rng = random.Random(len(output))
    for _ in range(10):
        assert list(iter_grep_lines(cut(output, rng), tree)) == whole
    with pytest.raises(Corrupt):
        list(iter_grep_lines([b"1:x\n"], tree))


def test_quoted_names_match_gits_and_are_unquoted(tmp_path: Path) -> None:
    git = Git(tmp_path / "home")
    for path in [
        b"plain",
        b"sp ace",
        b'q"',
        b"\\",
        b"\t\n\r\a\b\v\f",
        b"\x01\x7f",
        b"\xff",
        "é".encode(),
        b"*?[",
    ]:
        assert unquote_path(quote_path(path)) == path
        oid = git.run("hash-object", "-w", "--stdin", cwd=git.init(tmp_path / "work"), stdin=b"")
        row = b"100644 blob %s\t%s\0" % (oid.encode(), path)
        tree = git.run("mktree", "-z", cwd=tmp_path / "work", stdin=row)
        listed = git.try_run("ls-tree", "--name-only", tree, cwd=tmp_path / "work").stdout
        assert listed == quote_path(path) + b"\n"


def changes_of(work: WorkTree, *commits: Oid) -> dict[Oid, list[bytes]]:
    history = dict(list_history(work, commits))
    return read_first_parent_changes(
        work, history.items(), memory_max_bytes=limits.git_memory_max_bytes, entries_max=7
    )


def test_the_changes_of_each_commit_are_those_against_its_first_parent(work: WorkTree) -> None:
    root = work.commit({"a": b"a\n" * 50, "sub/b": b"b\n"})
    edited = work.commit({"sub/b": b"changed\n", "n\nl": b"new\n"})
    moved = work.commit({"a": None, "z": b"a\n" * 50})
    same = work.commit({})
    assert changes_of(work, same) == {edited: [b"n\nl", b"sub/b"], moved: [b"a", b"z"]}
    assert root not in changes_of(work, same)


def test_a_merge_is_compared_with_its_first_parent_alone(work: WorkTree) -> None:
    work.commit({"a": b"a\n"})
    work.run("checkout", "--quiet", "-b", "side")
    work.commit({"side": b"side\n"})
    work.run("checkout", "--quiet", "main")
    work.commit({"ours": b"ours\n"})
    work.run("merge", "--quiet", "-m", "merge", "side")
    assert changes_of(work, work.oid())[work.oid()] == [b"side"]


def test_a_pass_over_no_commit_finds_nothing(work: WorkTree) -> None:
    root = work.commit({"a": b"a\n"})
    assert changes_of(work, root) == {}


def test_changes_that_exceed_the_memory_raise_tree_too_large(work: WorkTree) -> None:
    work.commit({"a": b"a\n"})
    tip = work.commit({"a": b"b\n"})
    with pytest.raises(TreeTooLarge) as refused:
        read_first_parent_changes(work, list_history(work, [tip]), memory_max_bytes=1_000_000, entries_max=7)
    assert refused.value.fields == {"entries_max": 7}


def test_a_tree_that_is_missing_is_a_failure(work: WorkTree) -> None:
    work.commit({"sub/a": b"a\n"})
    tip = work.commit({"sub/a": b"b\n"})
    tree = work.oid("HEAD:sub")
    work.remove(tree)
    with pytest.raises(GitFailed) as failed:
        changes_of(work, tip)
    assert failed.value.objects == [tree]


AMPLE = limits.git_memory_max_bytes


def diff(
    work: WorkTree,
    *paths: bytes,
    old: str = "HEAD~",
    ignore_space_change: bool = False,
    keep_max_bytes: int = 10**9,
    memory_max_bytes: int = AMPLE,
) -> list[FilePatch]:
    return list(
        diff_trees(
            work,
            old=work.oid(old),
            new=work.oid(),
            paths=paths,
            ignore_space_change=ignore_space_change,
            keep_max=lambda _: keep_max_bytes,
            memory_max_bytes=memory_max_bytes,
        )
    )


def test_each_path_that_differs_has_its_patch(work: WorkTree) -> None:
    work.commit({"a": b"1\n2\n", "b": b"b\n", "same": b"same\n"})
    work.commit({"a": b"1\n3\n4\n", "b": None, "c": b"no newline"})
    found = diff(work)
    assert [(p.entry.status, p.entry.path, p.additions, p.deletions) for p in found] == [
        ("M", b"a", 2, 1),
        ("D", b"b", 0, 1),
        ("A", b"c", 1, 0),
    ]
    assert found[0].raw is not None
    assert found[0].raw.endswith(b"@@ -1,2 +1,3 @@\n 1\n-2\n+3\n+4\n")
    assert (found[1].entry.new_oid, found[2].entry.old_oid) == (None, None)


def test_the_patches_together_make_the_new_tree(work: WorkTree) -> None:
    work.commit({"a": b"1\n2\n" * 50, "gone": b"gone\n", "type": b"t\n"})
    (work.folder / "type").unlink()
    (work.folder / "type").symlink_to("a")
    work.commit({"a": b"1\n2\n" * 49 + b"new\n", "gone": None, "sub/new": b"new\n", "empty": b""})
    patches = b"".join(patch.raw or b"" for patch in diff(work))
    tree = work.run("rev-parse", "HEAD^{tree}")
    work.run("read-tree", "HEAD~")
    work.run("apply", "--cached", "-", stdin=patches)
    assert work.run("write-tree") == tree


def test_paths_are_literal_and_name_folders_too(work: WorkTree) -> None:
    work.commit({"a": b"1\n"})
    work.commit({"a": b"2\n", "*": b"star\n", "sub/b": b"b\n", "sub/deep/c": b"c\n", "-x": b"x\n"})
    assert [p.entry.path for p in diff(work, b"*")] == [b"*"]
    assert [p.entry.path for p in diff(work, b"-x", b"sub")] == [b"-x", b"sub/b", b"sub/deep/c"]
    assert diff(work, b":(glob)**") == []


def test_changes_of_white_space_are_left_out_on_request(work: WorkTree) -> None:
    work.commit({"a": b"a b\n"})
    work.commit({"a": b"a   b\n"})
    (shown,) = diff(work)
    (hidden,) = diff(work, ignore_space_change=True)
    assert shown.additions == 1
    assert (hidden.entry, hidden.raw, hidden.additions) == (shown.entry, b"", 0)


def test_a_patch_beyond_the_bound_is_counted_and_not_kept(work: WorkTree) -> None:
    work.commit({"a": b"1\n"})
    work.commit({"a": b"x\n" * 1000})
    (patch,) = diff(work, keep_max_bytes=100)
    assert (patch.raw, patch.additions, patch.deletions) == (None, 1000, 1)
    assert patch.size_bytes > 3000


def test_a_tree_may_be_compared_with_the_empty_tree(work: WorkTree) -> None:
    work.commit({"a": b"1\n"})
    work.write("tree", b"")
    assert [p.entry.status for p in diff(work, old=EMPTY_TREE_OID)] == ["A"]


def test_attributes_and_drivers_of_the_repository_change_nothing(work: WorkTree) -> None:
    work.run("config", "diff.evil.command", "touch evil")
    work.run("config", "diff.evil.textconv", "touch evil")
    work.commit({".gitattributes": b"a diff=evil\nb -diff\n", "a": b"1\n", "b": b"1\n"})
    work.commit({"a": b"2\n", "b": b"2\n"})
    work.run("config", "core.bare", "true")
    assert [(p.entry.path, p.is_binary, p.additions) for p in diff(work)] == [
        (b"a", False, 1),
        (b"b", False, 1),
    ]
    assert not (work.folder / "evil").exists()


def test_a_diff_that_needs_too_much_memory_is_too_large(work: WorkTree) -> None:
    work.commit({"a": b"1\n"})
    work.commit({"a": b"x" * 10_000_000})
    with pytest.raises(DiffTooLarge):
        diff(work, memory_max_bytes=30_000_000)


def test_a_commit_that_is_missing_is_a_failure(work: WorkTree) -> None:
    work.commit({"a": b"1\n"})
    patches = diff_trees(
        work,
        old=Oid("1" * 40),
        new=work.oid(),
        paths=[],
        ignore_space_change=False,
        keep_max=lambda _: 0,
        memory_max_bytes=AMPLE,
    )
    with pytest.raises(GitFailed) as failed:
        next(patches)
    assert failed.value.objects == ["1" * 40]


def test_a_blob_that_is_missing_fails_the_diff(work: WorkTree) -> None:
    work.commit({"a": b"1\n"})
    work.commit({"a": b"2\n"})
    blob = work.oid("HEAD:a")
    work.remove(blob)
    with pytest.raises(GitFailed) as failed:
        diff(work)
    assert failed.value.objects == [blob]
