"""Patches as `git apply` takes them: the trees that they make, and objects that they must not reach."""

from dataclasses import dataclass

import pytest

from packhouse.db.repos import Repo
from packhouse.errors import Invalid
from packhouse.git.objects.codec import MODE_FILE
from packhouse.git.oid import hash_object
from packhouse.git.wire.patch_hunks import HunkHeaderUnreadable
from packhouse.node.node import Node
from packhouse.repository.apply_patch import (
    PatchDoesNotApply,
    PatchedFile,
    PatchRefused,
    PathNotRelative,
    apply_patch,
)
from packhouse.repository.tree_maker import TreeMaker
from packhouse.repository.view import RepoView
from packhouse.repository.write import Write
from tests.unit.repository.trees import EXECUTABLE, SYMLINK, Files, add_tree, read_files, read_modes, store

pytestmark = pytest.mark.quick

FILES: Files = {
    "README.md": b"# Shop\n\nhello\n",
    "src/main.py": b"one\ntwo\nthree\n",
    "src/util.py": b"x = 1\n",
}


class Tree:
    """Files that patches are applied to, each time anew."""

    def __init__(self, node: Node, repo: Repo) -> None:
        self.node, self.repo = node, repo

    def patch(self, patch: bytes, files: Files | None = FILES) -> "Patched":
        """Apply a patch; None as `files` means a repository without a tree."""
        parent = None if files is None else store(self.node, self.repo, lambda write: add_tree(write, files))
        with RepoView(self.node, self.repo) as view, Write(view) as write:
            spill = write.new_spill()
            spill.append([patch])
            maker = TreeMaker(parent, view.read_tree, write.writer)
            tree, changed = apply_patch(write, spill, maker)
            reader = write.reader()
            return Patched(read_files(reader, tree), read_modes(reader, tree), changed, maker.needs_git_fsck)


@dataclass
class Patched:
    """The result of a patch: contents and modes by path, and the reported changes."""

    files: dict[str, bytes]
    modes: dict[str, int]
    changed: list[PatchedFile]
    needs_git_fsck: bool


@pytest.fixture
def tree(node: Node, repo: Repo) -> Tree:
    return Tree(node, repo)


def replacing(path: str, *hunks: str) -> bytes:
    return f"--- a/{path}\n+++ b/{path}\n{''.join(hunks)}".encode()


HELLO = "@@ -1,3 +1,3 @@\n # Shop\n \n-hello\n+goodbye\n"


# Results of patches


def test_a_hunk_changes_its_file_and_no_other(tree: Tree) -> None:
    made = tree.patch(replacing("README.md", HELLO))
    assert made.files == {**FILES, "README.md": b"# Shop\n\ngoodbye\n"}
    assert [(file.path, file.mode) for file in made.changed] == [(b"README.md", MODE_FILE)]
    assert made.changed[0].oid == hash_object("blob", b"# Shop\n\ngoodbye\n")


def test_a_file_below_folders_is_changed_in_place(tree: Tree) -> None:
    made = tree.patch(replacing("src/main.py", "@@ -1,3 +1,4 @@\n one\n two\n+two and a half\n three\n"))
    assert made.files["src/main.py"] == b"one\ntwo\ntwo and a half\nthree\n"
    assert made.files["src/util.py"] == FILES["src/util.py"]


def test_files_are_added_deleted_and_renamed(tree: Tree) -> None:
    patch = (
        b"diff --git a/docs/new.md b/docs/new.md\nnew file mode 100644\n--- /dev/null\n+++ b/docs/new.md\n"
        b"@@ -0,0 +1 @@\n+new\n"
        b"diff --git a/src/util.py b/src/util.py\ndeleted file mode 100644\n--- a/src/util.py\n+++ /dev/null\n"
        b"@@ -1 +0,0 @@\n-x = 1\n"
        b"diff --git a/README.md b/READ.me\nsimilarity index 100%\nrename from README.md\nrename to READ.me\n"
    )
    made = tree.patch(patch)
    assert set(made.files) == {"docs/new.md", "READ.me", "src/main.py"}
    assert made.files["READ.me"] == FILES["README.md"]
    assert {(file.path, file.mode) for file in made.changed} == {
        (b"docs/new.md", MODE_FILE),
        (b"READ.me", MODE_FILE),
        (b"README.md", None),
        (b"src/util.py", None),
    }


def test_modes_change_without_content(tree: Tree) -> None:
    made = tree.patch(b"diff --git a/src/main.py b/src/main.py\nold mode 100644\nnew mode 100755\n")
    assert made.modes["src/main.py"] == EXECUTABLE
    assert made.files["src/main.py"] == FILES["src/main.py"]


def test_a_link_is_a_file_of_its_own_mode(tree: Tree) -> None:
    made = tree.patch(
        b"diff --git a/link b/link\nnew file mode 120000\n--- /dev/null\n+++ b/link\n"
        b"@@ -0,0 +1 @@\n+src/main.py\n\\ No newline at end of file\n"
    )
    assert (made.modes["link"], made.files["link"]) == (SYMLINK, b"src/main.py")


def test_a_file_makes_room_for_a_folder_of_its_name_and_the_other_way_round(tree: Tree) -> None:
    patch = (
        b"diff --git a/src/main.py b/src/main.py\ndeleted file mode 100644\n--- a/src/main.py\n+++ /dev/null\n"
        b"@@ -1,3 +0,0 @@\n-one\n-two\n-three\n"
        b"diff --git a/src/main.py/inner b/src/main.py/inner\nnew file mode 100644\n--- /dev/null\n"
        b"+++ b/src/main.py/inner\n@@ -0,0 +1 @@\n+x\n"
    )
    assert set(tree.patch(patch).files) == {"README.md", "src/main.py/inner", "src/util.py"}


def test_the_first_files_of_a_repository_may_come_by_a_patch(tree: Tree) -> None:
    patch = b"--- /dev/null\n+++ b/first\n@@ -0,0 +1 @@\n+1\n"
    assert tree.patch(patch, None).files == {"first": b"1\n"}


def test_binary_content_is_taken_as_git_writes_it(tree: Tree) -> None:
    patch = (
        b"diff --git a/data.bin b/data.bin\nnew file mode 100644\nindex "
        + b"0" * 40
        + b".."
        + hash_object("blob", b"\x00\x01\x02\x03").encode()
        + b"\nGIT binary patch\nliteral 4\nLcmZQzWMT#Y01f~L\n\nliteral 0\nHcmV?d00001\n\n"
    )
    assert tree.patch(patch).files["data.bin"] == b"\x00\x01\x02\x03"


def test_a_patch_that_lost_its_last_line_feed_is_complete(tree: Tree) -> None:
    assert (
        tree.patch(replacing("README.md", HELLO.removesuffix("\n"))).files["README.md"].endswith(b"goodbye\n")
    )


def test_a_hunk_that_counts_its_lines_wrongly_is_read_as_it_stands(tree: Tree) -> None:
    """Models write patches, and cannot count."""
    wrong = HELLO.replace("-1,3 +1,3", "-1,7 +1,9")
    assert tree.patch(replacing("README.md", wrong)).files["README.md"] == b"# Shop\n\ngoodbye\n"


def test_prose_before_and_between_files_is_passed_over(tree: Tree) -> None:
    patch = b"From: Ada\nSubject: greet\n\nSome words.\n---\n" + replacing("README.md", HELLO) + b"--\n2.39\n"
    assert tree.patch(patch).files["README.md"] == b"# Shop\n\ngoodbye\n"


def test_content_that_git_has_rules_for_is_judged_later(tree: Tree) -> None:
    new = "--- /dev/null\n+++ b/{}\n@@ -0,0 +1 @@\n+x\n"
    assert not tree.patch(new.format("plain").encode()).needs_git_fsck
    assert tree.patch(new.format(".gitmodules").encode()).needs_git_fsck


# Refusals


@pytest.mark.parametrize(
    "patch",
    [
        replacing("README.md", "@@ -1,3 +1,3 @@\n # Other\n \n-hello\n+goodbye\n"),
        replacing("absent.md", "@@ -1 +1 @@\n-a\n+b\n"),
        b"diff --git a/README.md b/README.md\nnew file mode 100644\n--- /dev/null\n+++ b/README.md\n"
        b"@@ -0,0 +1 @@\n+x\n",
    ],
    ids=["other content", "absent file", "present file"],
)
def test_a_patch_for_another_tree_does_not_apply(tree: Tree, patch: bytes) -> None:
    with pytest.raises(PatchDoesNotApply):
        tree.patch(patch)


@pytest.mark.parametrize(
    "patch",
    [
        b"just words\n",
        b"\x00\xff\xfe" * 100,
        replacing("README.md", "@@ nonsense @@\n-a\n+b\n"),
        b"diff --git a/x b/x\n",
    ],
    ids=["words", "bytes", "no counts", "header alone"],
)
def test_text_that_is_not_a_patch_is_refused(tree: Tree, patch: bytes) -> None:
    with pytest.raises((PatchRefused, HunkHeaderUnreadable)):
        tree.patch(patch)


@pytest.mark.parametrize(
    "path", [".git/config", "a/.GIT/x", "../outside", "a/../b", ".git\u200c/config", "git~1/x"]
)
def test_a_path_that_no_checkout_may_have_is_refused(tree: Tree, path: str) -> None:
    with pytest.raises(Invalid):
        tree.patch(f"--- /dev/null\n+++ b/{path}\n@@ -0,0 +1 @@\n+x\n".encode())


def test_an_absolute_path_is_refused(tree: Tree) -> None:
    patch = (
        b"diff --git /etc/passwd /etc/passwd\nnew file mode 100644\n"
        b"--- /dev/null\n+++ //etc/passwd\n@@ -0,0 +1 @@\n+x\n"
    )
    with pytest.raises((PathNotRelative, PatchRefused, PatchDoesNotApply)):
        tree.patch(patch)


def test_a_file_behind_a_link_is_not_reached(tree: Tree) -> None:
    files: Files = {"link": (SYMLINK, b"/etc")}
    with pytest.raises(Invalid):
        tree.patch(b"--- /dev/null\n+++ b/link/passwd\n@@ -0,0 +1 @@\n+x\n", files)


def test_a_patch_reads_only_the_objects_at_its_paths(tree: Tree, node: Node, repo: Repo) -> None:
    """The `index` line of a binary patch names objects. A delta against one of them would reveal its content."""
    secret = store(node, repo, lambda write: write.writer.add_object("blob", b"secret of another file\n"))
    patch = (
        f"diff --git a/README.md b/README.md\nindex {secret}..{'1' * 40} 100644\n"
        "GIT binary patch\ndelta 6\nNcmV+s0PX+a2><{9\n\ndelta 6\nNcmV+s0PX+a2><{9\n\n"
    ).encode()
    with pytest.raises(Invalid):
        tree.patch(patch)


def test_the_scratch_folders_are_removed(tree: Tree, node: Node) -> None:
    def quarantines() -> list[str]:
        return sorted(path.name for path in node.store.scratch_dir().parent.iterdir())

    before = quarantines()
    tree.patch(replacing("README.md", HELLO))
    with pytest.raises(PatchDoesNotApply):
        tree.patch(replacing("absent.md", "@@ -1 +1 @@\n-a\n+b\n"))
    assert quarantines() == before
