"""Output of git's that comes in pieces of any size is read the same."""

import random
from pathlib import Path

import pytest

from packhouse.errors import Corrupt
from packhouse.git.commands.diff_tree import FilePatch, diff_arguments, iter_patches
from packhouse.git.commands.grep import GrepQuery, grep_arguments, iter_grep_lines
from packhouse.git.commands.quoting import quote_path, unquote_path
from packhouse.git.oid import Oid
from tests.support.builders.seeds import seed_of
from tests.support.clients.git import Git

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


def test_output_that_is_cut_short_is_not_taken_for_whole(diff_output: bytes) -> None:
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


def test_quoted_names_are_gits_and_come_back(tmp_path: Path) -> None:
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
