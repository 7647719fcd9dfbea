"""Operations refuse what a tree must not hold by themselves, also from a caller that has checked nothing."""

from typing import cast

import pytest

from packhouse.auth.principal import Principal
from packhouse.db.refs import list_refs
from packhouse.errors import Invalid
from packhouse.git.objects.codec import MODE_FILE, MODE_GITLINK, MODE_SYMLINK, MODE_TREE
from packhouse.git.objects.tree_path import TreePath
from packhouse.git.oid import Oid
from packhouse.git.refname import PERSISTENT, RefName
from packhouse.node.node import Node
from packhouse.operations.catalog.lookup import lookup_repo
from packhouse.operations.commits.add_commit import AddCommit, CommitFacts, NewCommit, add_commit
from packhouse.operations.commits.commit_target import CommitTarget, read_target
from packhouse.operations.commits.merge import Merge, Merged, MergeStrategy, merge
from packhouse.operations.commits.start_commit import FileChange, StartCommit, start_commit
from packhouse.operations.commits.start_patch_commit import StartPatchCommit, start_patch_commit
from packhouse.operations.repos.create_repo import CreateRepo, create_repo
from packhouse.repository.tree_maker import TreeMaker
from packhouse.repository.view import open_view
from packhouse.repository.write import Write
from tests.support.builders.node_writes import ADA

FACTS = CommitFacts(b"m\n", ADA, ADA)
MAIN = CommitTarget(PERSISTENT, RefName(b"refs/heads/main"))

HOSTILE = [
    b".git/hooks/x",
    b".GIT/config",
    b"a/git~1",
    b".g\xe2\x80\x8cit/config",
    b"a\\.git",
    b"../up",
    b"a/../up",
    b"a/./b",
    b"..",
    b"/etc/passwd",
    b"a//b",
    b"a/",
    b"",
    b"a\0b",
    b"a/" * 2048 + b"b",
]


@pytest.fixture
def made(node: Node, caller: Principal) -> None:
    """Make the repository `r`."""
    create_repo(node, caller, CreateRepo("r"))


def commit_pack(node: Node, caller: Principal, path: bytes, mode: int, content: bytes = b"x") -> NewCommit:
    """Commit one file whose path nobody has parsed."""
    change = FileChange(cast(TreePath, path), "c", mode)
    with start_commit(node, caller, StartCommit("r", MAIN, FACTS, [change])) as making:
        making.add_chunk("c", content, eof=True)
        return making.commit()


def is_committed(node: Node, caller: Principal) -> bool:
    """Tell whether the branch exists."""
    return read_target(node, lookup_repo(node, caller, "r"), MAIN).tip is not None


@pytest.mark.usefixtures("made")
def test_a_commit_of_a_hostile_path_is_refused_by_the_operation(node: Node, caller: Principal) -> None:
    for path in HOSTILE:
        with pytest.raises(Invalid):
            commit_pack(node, caller, path, MODE_FILE)
        assert not is_committed(node, caller), path


@pytest.mark.usefixtures("made")
def test_a_commit_of_a_hostile_kind_is_refused_by_the_operation(node: Node, caller: Principal) -> None:
    refused = [
        (b".gitmodules", MODE_SYMLINK, b"target"),
        (b"a/GITMOD~1", MODE_SYMLINK, b"target"),
        (b".gitmodules/a", MODE_FILE, b""),
        (b".gitattributes", MODE_GITLINK, b"1" * 40),
        (b"sub", MODE_GITLINK, b"0" * 40),
        (b"folder", MODE_TREE, b""),
        (b"odd", 0o100664, b""),
    ]
    for path, mode, content in refused:
        with pytest.raises(Invalid):
            commit_pack(node, caller, path, mode, content)
        assert not is_committed(node, caller), path


@pytest.mark.usefixtures("made")
def test_a_patch_that_makes_a_hostile_path_is_refused_by_the_operation(node: Node, caller: Principal) -> None:
    for path in (b".git/hooks/x", b"../up", b"a/.GIT", b".g\xe2\x80\x8cit/x"):
        head = b"diff --git a/%s b/%s\nnew file mode 100644\n--- /dev/null\n+++ b/%s\n" % (path, path, path)
        with start_patch_commit(node, caller, StartPatchCommit("r", MAIN, FACTS)) as making:
            making.add_chunk(head + b"@@ -0,0 +1 @@\n+x\n", eof=True)
            with pytest.raises(Invalid):
                making.commit()
        assert not is_committed(node, caller), path


@pytest.mark.usefixtures("made")
def test_a_commit_of_a_path_that_a_tree_may_hold_is_made(node: Node, caller: Principal) -> None:
    new = commit_pack(node, caller, TreePath(b".github/a b/x.git"), MODE_FILE)
    assert new.old_oid is None
    assert is_committed(node, caller)


def change_files(
    node: Node, caller: Principal, branch: bytes, files: dict[bytes, bytes | None], mode: int = MODE_FILE
) -> NewCommit:
    """Commit these files on a branch (None: delete), which starts from main."""
    target = CommitTarget(PERSISTENT, RefName(b"refs/heads/" + branch), base_refname=MAIN.refname)
    changes = [
        FileChange(TreePath(path), path.decode(), None if content is None else mode)
        for path, content in files.items()
    ]
    with start_commit(node, caller, StartCommit("r", target, FACTS, changes)) as making:
        for path, content in files.items():
            if content is not None:
                making.add_chunk(path.decode(), content, eof=True)
        return making.commit()


def merge_side(node: Node, caller: Principal) -> Merged:
    """Merge the branch `side` into main."""
    return merge(node, caller, Merge("r", "side", False, MAIN.refname, False, MergeStrategy.MERGE))


HONEST = b"".join(
    b'[submodule "%d"]\n\tpath = p%d\n\turl = https://host.example/%d\n' % (number, number, number)
    for number in range(20)
)


@pytest.mark.usefixtures("made")
def test_a_merge_that_renames_a_hostile_file_to_gitmodules_is_refused(node: Node, caller: Principal) -> None:
    commit_pack(node, caller, b"plain.txt", MODE_FILE, HONEST)
    change_files(node, caller, b"side", {b"plain.txt": None, b".gitmodules": HONEST})
    hostile = HONEST + b'[submodule "x"]\n\tpath = x\n\turl = --upload-pack=evil\n'
    tip = change_files(node, caller, b"main", {b"plain.txt": hostile}).commit
    with pytest.raises(Invalid):
        merge_side(node, caller)
    assert read_target(node, lookup_repo(node, caller, "r"), MAIN).tip == tip


@pytest.mark.usefixtures("made")
def test_a_merge_that_renames_an_honest_file_to_gitmodules_is_made(node: Node, caller: Principal) -> None:
    commit_pack(node, caller, b"plain.txt", MODE_FILE, HONEST)
    change_files(node, caller, b"side", {b"plain.txt": None, b".gitmodules": HONEST})
    change_files(node, caller, b"main", {b"plain.txt": HONEST + b"# more\n"})
    merge_side(node, caller)


@pytest.mark.usefixtures("made")
def test_a_commit_on_a_hostile_branch_name_is_refused_by_the_operation(node: Node, caller: Principal) -> None:
    for name in (b"refs/heads/../x", b"refs/heads/x.lock", b"refs/heads/x\nrefs/heads/y", b"HEAD", b"x"):
        target = CommitTarget(PERSISTENT, cast(RefName, name))
        with (
            start_commit(node, caller, StartCommit("r", target, FACTS, [])) as making,
            pytest.raises(Invalid),
        ):
            making.commit()
    with node.database.read() as session:
        assert list_refs(session, lookup_repo(node, caller, "r").id) == []


@pytest.mark.usefixtures("made")
def test_git_always_checks_the_gitmodules_of_a_commit(node: Node, caller: Principal) -> None:
    for url, is_hostile in ((b"--upload-pack=evil", True), (b"https://host.example/x", False)):
        content = b'[submodule "x"]\n\tpath = x\n\turl = %s\n' % url
        with open_view(node, lookup_repo(node, caller, "r")) as view, Write(view) as write:
            blob = write.writer.add_object("blob", content)

            def make_tree(maker: TreeMaker, blob: Oid = blob) -> Oid:
                editor = maker.edit()
                editor.upsert(TreePath(b".gitmodules"), MODE_FILE, blob)
                return editor.write(maker.emit)

            command = AddCommit(write, MAIN, FACTS, make_tree, action="test")
            if is_hostile:
                with pytest.raises(Invalid):
                    add_commit(node, caller, command)
                assert not is_committed(node, caller)
            else:
                add_commit(node, caller, command)
    assert is_committed(node, caller)
