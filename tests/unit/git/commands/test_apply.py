"""Patches applied to an index, and the reasons for which git refuses one."""

from pathlib import Path

import pytest

from packhouse.git.commands.apply import PatchNotTaken, ScratchIndex
from packhouse.git.commands.cat_file import iter_blob
from packhouse.git.objects.tree_walk import PathEntry
from packhouse.git.oid import Oid, hash_object
from tests.support.clients.git import Git
from tests.support.clients.git_runner import FakeGit, WorkTree

pytestmark = pytest.mark.quick

UNKNOWN = Oid("1" * 40)


class Scratch:
    """A bare repository with an index of some files, and patches to apply to it."""

    def __init__(self, git: Git, folder: Path) -> None:
        self.git = git
        self.folder = folder
        git.run("init", "--quiet", "--bare", folder)
        self.index = ScratchIndex(folder)

    def hold(self, files: dict[bytes, bytes], *, mode: int = 0o100644) -> list[PathEntry]:
        """Store files and put them into the index."""
        entries = []
        for path, content in files.items():
            oid = self.git.run("hash-object", "-w", "--stdin", cwd=self.folder, stdin=content)
            entries.append(PathEntry(path, mode, Oid(oid)))
        self.index.fill(entries)
        return entries

    def apply(self, patch: bytes) -> dict[bytes, tuple[int, bytes]]:
        """Apply a patch; return mode and content by path."""
        file = self.folder / "some.patch"
        file.write_bytes(patch)
        self.index.apply(file)
        return {
            path: (entry.mode, b"".join(iter_blob(self.index.runner, entry.oid)))
            for path, entry in self.index.read().items()
        }

    def refuse(self, patch: bytes) -> PatchNotTaken:
        """Apply a patch that git refuses, and return the error. The index must be unchanged."""
        before = self.index.read()
        with pytest.raises(PatchNotTaken) as refused:
            self.apply(patch)
        assert self.index.read() == before
        return refused.value


@pytest.fixture
def scratch(tmp_path: Path) -> Scratch:
    return Scratch(Git(tmp_path / "home"), tmp_path / "scratch")


def hunk(old: bytes, new: bytes, name: bytes = b"a") -> bytes:
    """Return a patch that replaces the one line of a file."""
    return b"--- a/%s\n+++ b/%s\n@@ -1 +1 @@\n-%s\n+%s\n" % (name, name, old, new)


NEW = b"diff --git a/new b/new\nnew file mode 100755\n--- /dev/null\n+++ b/new\n@@ -0,0 +1 @@\n+new\n"


def test_an_index_holds_the_given_files(scratch: Scratch) -> None:
    entries = scratch.hold({b"a": b"1\n", b"sub/n\nl\t": b"2\n", b"\xff": b"3\n"})
    assert scratch.index.read() == {entry.path: entry for entry in entries}
    link = PathEntry(b"link", 0o120000, hash_object("blob", b"1\n"))
    module = PathEntry(b"module", 0o160000, UNKNOWN)
    scratch.index.fill([link, module])
    assert {b"link", b"module"} <= scratch.index.read().keys()
    assert scratch.index.read()[b"module"] == module


def test_an_empty_index_reads_empty(scratch: Scratch) -> None:
    scratch.index.fill([])
    assert scratch.index.read() == {}


def test_a_patch_changes_makes_and_deletes_files(scratch: Scratch) -> None:
    scratch.hold({b"a": b"old\n", b"b": b"gone\n"})
    gone = b"diff --git a/b b/b\ndeleted file mode 100644\n--- a/b\n+++ /dev/null\n@@ -1 +0,0 @@\n-gone\n"
    assert scratch.apply(hunk(b"old", b"new") + gone + NEW) == {
        b"a": (0o100644, b"new\n"),
        b"new": (0o100755, b"new\n"),
    }


def test_a_patch_of_git_applies_to_the_files_that_it_names(scratch: Scratch, work: WorkTree) -> None:
    work.commit({"a": b"1\n2\n3\n", "bin": bytes(range(256)), "moved": b"m\n" * 30})
    work.run("mv", "moved", "there")
    work.commit({"a": b"1\n2\n4\n", "bin": bytes(reversed(range(256)))})
    patch = work.git.try_run("diff", "--binary", "-M", "HEAD~", "HEAD", cwd=work.folder).stdout
    scratch.hold({b"a": b"1\n2\n3\n", b"bin": bytes(range(256)), b"moved": b"m\n" * 30})
    assert scratch.apply(patch) == {
        b"a": (0o100644, b"1\n2\n4\n"),
        b"bin": (0o100644, bytes(reversed(range(256)))),
        b"there": (0o100644, b"m\n" * 30),
    }


def test_the_ids_in_a_binary_patch_give_no_access_to_objects(scratch: Scratch) -> None:
    """The object is at no path of the index, so its content stays secret."""
    secret = scratch.git.run("hash-object", "--stdin", cwd=scratch.folder, stdin=b"secret\n")
    patch = f"diff --git a/x b/x\nindex {'0' * 40}..{secret} 100644\nBinary files differ\n".encode()
    refused = scratch.refuse(patch)
    assert b"x" not in scratch.index.read()
    assert "secret\n" not in refused.reason


@pytest.mark.parametrize(
    ("patch", "reason", "path"),
    [
        (hunk(b"other", b"new"), "a: patch does not apply", "a"),
        (hunk(b"old", b"new", b"missing"), "missing: does not exist in index", "missing"),
        (NEW.replace(b"new b/new", b"a b/a").replace(b"b/new", b"b/a"), "a: already exists in index", "a"),
    ],
)
def test_a_patch_for_another_tree_is_reported_as_not_applying(
    scratch: Scratch, patch: bytes, reason: str, path: str
) -> None:
    scratch.hold({b"a": b"old\n"})
    refused = scratch.refuse(patch)
    assert reason in refused.reason
    assert not refused.is_malformed
    assert path in refused.paths


@pytest.mark.parametrize(
    "patch",
    [
        b"",
        b"no patch at all\n",
        b"--- a/a\n+++ b/a\n@@ -1,5 +1,5 @@\n-old\n+new\n",
        b"--- a/a\n+++ b/a\n@@ -1 +1 @@\nnonsense\n",
        NEW.replace(b"100755", b"nonsense"),
        NEW.replace(b"b/new", b"b/../new").replace(b"a/new", b"a/../new"),
        NEW.replace(b"b/new", b"b/.git/config").replace(b"a/new", b"a/.git/config"),
    ],
)
def test_a_patch_that_cannot_fit_any_tree_is_malformed(scratch: Scratch, patch: bytes) -> None:
    scratch.hold({b"a": b"old\n"})
    assert scratch.refuse(patch).is_malformed


def test_the_line_that_git_complains_about_is_given(scratch: Scratch) -> None:
    scratch.hold({b"a": b"old\n"})
    refused = scratch.refuse(b"--- a/a\n+++ b/a\n@@ -1,3 +1,3 @@\n-old\n+new\nnonsense\n")
    assert (refused.is_malformed, refused.line) == (True, 6)
    assert "corrupt patch at line 6" in refused.reason
    assert scratch.refuse(hunk(b"other", b"new")).line is None


def test_a_reason_names_no_file_of_the_server_and_is_bounded(scratch: Scratch) -> None:
    scratch.hold({b"a": b"old\n"})
    many = b"".join(hunk(b"old", b"new", b"missing-%03d" % number) for number in range(200))
    refused = scratch.refuse(many)
    assert str(scratch.folder) not in refused.reason
    assert len(refused.reason) <= 300
    assert len(refused.paths) == 200


def test_a_patch_is_applied_as_a_whole_or_not_at_all(scratch: Scratch) -> None:
    scratch.hold({b"a": b"old\n"})
    assert scratch.refuse(hunk(b"old", b"new") + hunk(b"x", b"y", b"missing")).paths == ("missing",)


@pytest.mark.parametrize("signal_name", ["ABRT", "SEGV"])
def test_a_patch_that_crashes_git_is_malformed(
    scratch: Scratch, tmp_path: Path, signal_name: str, fake_git: FakeGit
) -> None:
    fake_git(f"kill -{signal_name} $$")
    with pytest.raises(PatchNotTaken) as refused:
        scratch.index.apply(tmp_path / "some.patch")
    assert refused.value.is_malformed
    assert refused.value.reason == "git cannot make sense of its headers"
