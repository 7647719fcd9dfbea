"""Notes trees are the ones that git writes, whatever was written before."""

import random
from collections.abc import Iterable
from pathlib import Path

import pygit2
import pytest
from pygit2.enums import ObjectType

from packhouse.git.objects.notes_tree import NotesTree
from packhouse.git.oid import Oid, hash_object
from tests.support.clients.git import Git

pytestmark = pytest.mark.quick

NOTES_REF = "refs/notes/commits"


class Bench:
    """One bare repository in which git and NotesTree do the same."""

    def __init__(self, git: Git, folder: Path) -> None:
        git.run("init", "--quiet", "--bare", folder)
        self.git = git
        self.folder = folder
        self.odb = pygit2.Repository(str(folder)).odb
        self.note = self.blob(b"note\n")
        self.source = Oid("0" * 39 + "1")
        listed = f"100644 blob {self.note}\t{self.source}\n".encode()
        self.start(Oid(git.run("mktree", cwd=folder, stdin=listed)))

    def blob(self, content: bytes) -> Oid:
        """Store a blob."""
        return Oid(str(self.odb.write(ObjectType.BLOB, content)))

    def start(self, tree: Oid) -> None:
        """Put the notes ref on a tree."""
        commit = self.git.run("commit-tree", "-m", "start", tree, cwd=self.folder)
        self.git.run("update-ref", NOTES_REF, commit, cwd=self.folder)

    def root(self) -> Oid:
        """Return the tree of the notes ref."""
        return Oid(self.git.run("rev-parse", f"{NOTES_REF}^{{tree}}", cwd=self.folder))

    def by_git(self, adds: Iterable[Oid], removes: Iterable[Oid]) -> list[Oid]:
        """Let git add notes, then remove some; return its trees."""
        pairs = "".join(f"{self.source} {target}\n" for target in adds).encode()
        self.git.run("notes", "copy", "--force", "--stdin", cwd=self.folder, stdin=pairs)
        roots = [self.root()]
        lines = "".join(f"{target}\n" for target in removes).encode()
        if lines:
            self.git.run("notes", "remove", "--stdin", cwd=self.folder, stdin=lines)
            roots.append(self.root())
        return roots

    def by_us(self, root: Oid, adds: Iterable[Oid], removes: Iterable[Oid]) -> list[Oid]:
        """Do the same from the tree `root`."""
        roots = [self._edit(root, adds, ())]
        if removes := list(removes):
            roots.append(self._edit(roots[0], (), removes))
        return roots

    def _edit(self, root: Oid, adds: Iterable[Oid], removes: Iterable[Oid]) -> Oid:
        notes = NotesTree(self.read_tree, root, self.combine)
        for target in adds:
            notes.set(target, self.note)
            assert notes.find(target) == self.note
        for target in removes:
            notes.remove(target)
            assert notes.find(target) is None
        return notes.write(lambda content: Oid(str(self.odb.write(ObjectType.TREE, content))))

    def read_tree(self, oid: Oid) -> bytes:
        """Return the content of a tree."""
        content: bytes = self.odb.read(oid)[1]
        return content

    def combine(self, first: Oid, second: Oid) -> Oid:
        """Join two notes as git does."""
        return self.blob(self.odb.read(first)[1].removesuffix(b"\n") + b"\n\n" + self.odb.read(second)[1])


@pytest.fixture
def bench(git: Git, tmp_path: Path) -> Bench:
    """An empty bench."""
    return Bench(git, tmp_path / "notes.git")


@pytest.mark.parametrize(("seed", "size"), [(1, 3), (2, 60), (3, 150), (4, 600), (5, 9000)])
def test_adding_and_removing_gives_gits_own_trees(seed: int, size: int, bench: Bench) -> None:
    rng = random.Random(seed)
    targets = [hash_object("blob", rng.randbytes(12)) for _ in range(size)]
    present: list[Oid] = []
    for share in (1.0, 0.1, 0.0, 0.3):
        root = bench.root()
        adds = rng.sample(targets, int(size * share))
        present = sorted({*present, *adds})
        removes = rng.sample(present, rng.choice([1, len(present) // 2, len(present) * 9 // 10]))
        ours = bench.by_us(root, adds, removes)
        assert ours == bench.by_git(adds, removes)
        present = [target for target in present if target not in set(removes)]


def test_one_note_more_or_less_in_a_tree_of_folders_is_as_in_git(bench: Bench) -> None:
    rng = random.Random(7)
    targets = [hash_object("blob", rng.randbytes(12)) for _ in range(700)]
    bench.by_git(targets[:400], [])
    for step in range(15):
        root = bench.root()
        adds, removes = targets[400 + step : 401 + step], targets[step * 20 : step * 20 + 18]
        assert bench.by_us(root, adds, removes) == bench.by_git(adds, removes)


def test_files_that_are_no_notes_and_mixed_layouts_are_kept_as_git_keeps_them(bench: Bench) -> None:
    git, folder = bench.git, bench.folder
    target = Oid("ab" + "cd" * 19)
    other = bench.blob(b"other\n")

    def mktree(*rows: str) -> Oid:
        return Oid(git.run("mktree", cwd=folder, stdin="".join(f"{row}\n" for row in rows).encode()))

    inner = mktree(f"100644 blob {other}\t{target[2:]}", f"100644 blob {other}\tREADME")
    plain = mktree(f"100755 blob {other}\tfile")
    root = mktree(
        f"100644 blob {bench.note}\t{bench.source}",
        f"100644 blob {bench.note}\t{target}",
        f"040000 tree {inner}\tab",
        f"040000 tree {plain}\tcd",
        f"040000 tree {plain}\tfolder",
        f"120000 blob {other}\t{'e' * 40}",
        f"100644 blob {other}\t{'g' * 40}",
        f"100644 blob {other}\tREADME",
    )
    bench.start(root)
    notes = NotesTree(bench.read_tree, root, bench.combine)
    joined = notes.find(target)
    blob = git.run("notes", "list", target, cwd=folder)
    assert joined == blob
    assert bench.odb.read(blob)[1] == b"other\n\nnote\n"
    assert notes.find(Oid("e" * 40)) is None
    adds = [Oid("cd" + "12" * 19), Oid("99" * 20)]
    ours = bench.by_us(root, adds, [target])
    assert ours == bench.by_git(adds, [target])
    listed = git.run("ls-tree", "-r", "--name-only", ours[-1], cwd=folder).splitlines()
    assert {"README", "ab/README", "cd/file", "folder/file", "g" * 40} <= set(listed)


def test_the_last_note_leaves_an_empty_tree(bench: Bench) -> None:
    assert bench.by_us(bench.root(), [], [bench.source])[-1] == Oid(
        "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
    )


def test_a_folder_where_a_note_would_be_is_no_folder_of_notes(bench: Bench) -> None:
    git, folder = bench.git, bench.folder
    target = Oid("ab" * 20)

    def mktree(*rows: str) -> str:
        return git.run("mktree", cwd=folder, stdin="".join(f"{row}\n" for row in rows).encode())

    tree = mktree(f"100644 blob {bench.note}\tREADME")
    for name in ("cd", *["ab"] * 19):
        tree = mktree(f"040000 tree {tree}\t{name}")
    rows = [f"100644 blob {bench.note}\t{name}" for name in (bench.source, target)]
    root = Oid(mktree(f"040000 tree {tree}\tab", *rows))
    assert NotesTree(bench.read_tree, root, bench.combine).find(target) == bench.note
    removed = bench.by_us(root, [], [target])[-1]  # git 2.39 itself smashes its stack on such a tree
    listed = git.run("ls-tree", "-r", "--name-only", removed, cwd=folder).splitlines()
    assert listed == [bench.source, "/".join(["ab"] * 20) + "/cd/README"]


def test_a_file_makes_room_for_a_folder_of_notes(bench: Bench) -> None:
    listed = f"100644 blob {bench.note}\tab\n100644 blob {bench.note}\tREADME\n".encode()
    root = Oid(bench.git.run("mktree", cwd=bench.folder, stdin=listed))
    rng = random.Random(3)
    targets = [hash_object("blob", rng.randbytes(12)) for _ in range(400)]
    (grown,) = bench.by_us(root, targets, [])
    bench.git.run("fsck", "--strict", "--no-dangling", grown, cwd=bench.folder)
    notes = NotesTree(bench.read_tree, grown, bench.combine)
    assert all(notes.find(target) == bench.note for target in targets)
    names = bench.git.run("ls-tree", "--name-only", grown, cwd=bench.folder).split()
    assert "README" in names
    assert "ab" in names
