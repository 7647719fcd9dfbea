"""A commit that loses a race for its branch while it is being made."""

from collections.abc import Callable

import pytest

from packhouse.auth.principal import Principal
from packhouse.git.objects.codec import MODE_FILE, parse_tree
from packhouse.git.objects.tree_path import TreePath
from packhouse.git.oid import Oid
from packhouse.git.refname import PERSISTENT, RefName
from packhouse.node.node import Node
from packhouse.operations.catalog.lookup import lookup_repo
from packhouse.operations.commits.add_commit import AddCommit, CommitFacts, NewCommit, add_commit
from packhouse.operations.commits.commit_target import CommitTarget, GuardMismatch
from packhouse.operations.refs.create_branch import CreateBranch, create_branch
from packhouse.operations.repos.create_repo import CreateRepo, create_repo
from packhouse.repository.tree_maker import TreeMaker
from packhouse.repository.view import RepoView
from packhouse.repository.write import Write
from tests.support.builders.node_writes import ADA, MAIN, journal_packs, pack_states, put_commit
from tests.support.builders.packs import list_packs, stored_names
from tests.support.limits import EITHER_WAY

NEW = RefName(b"refs/heads/new")


def commit(
    node: Node, caller: Principal, target: CommitTarget, content: bytes, meanwhile: Callable[[], None]
) -> NewCommit:
    """Commit one file named after its content; `meanwhile` happens once, while the tree is made."""
    waiting = [meanwhile]
    with RepoView(node, lookup_repo(node, caller, "r")) as view, Write(view) as write:
        blob = write.writer.add_object("blob", content)

        def make_tree(maker: TreeMaker) -> Oid:
            if waiting:
                waiting.pop()()
            editor = maker.edit()
            editor.upsert(TreePath(content), MODE_FILE, blob)
            return editor.write(maker.emit)

        facts = CommitFacts(b"m\n", ADA, ADA)
        return add_commit(node, caller, AddCommit(write, target, facts, make_tree, action="test"))


def put_new_on(node: Node, caller: Principal, base: Oid) -> None:
    """Create the branch `new`, as a writer would that does not take the writer lock."""
    create_branch(node, caller, CreateBranch("r", NEW, base_ref=base))


def read_files(node: Node, caller: Principal, tree: Oid) -> dict[bytes, bytes]:
    """Return name to content of the files in a folder, all from the repository's packs."""
    with RepoView(node, lookup_repo(node, caller, "r")) as view:
        entries = parse_tree(view.read(tree, kind="tree")[1])
        return {entry.name: view.read(entry.oid, kind="blob")[1] for entry in entries}


def test_a_commit_whose_new_branch_appears_meanwhile_keeps_its_files(node: Node, caller: Principal) -> None:
    create_repo(node, caller, CreateRepo("r"))
    first = commit(node, caller, CommitTarget(PERSISTENT, MAIN), b"first", lambda: None)
    commit(node, caller, CommitTarget(PERSISTENT, MAIN), b"second", lambda: None)
    target = CommitTarget(PERSISTENT, NEW, base_refname=MAIN)
    new = commit(node, caller, target, b"third", lambda: put_new_on(node, caller, first.commit))
    assert new.old_oid == first.commit
    assert read_files(node, caller, new.tree) == {b"first": b"first", b"third": b"third"}


def test_a_guard_on_a_base_refuses_when_the_branch_appears_meanwhile(node: Node, caller: Principal) -> None:
    create_repo(node, caller, CreateRepo("r"))
    first = commit(node, caller, CommitTarget(PERSISTENT, MAIN), b"first", lambda: None)
    second = commit(node, caller, CommitTarget(PERSISTENT, MAIN), b"second", lambda: None)
    target = CommitTarget(PERSISTENT, NEW, base_refname=MAIN, expected=second.commit)
    with pytest.raises(GuardMismatch) as refused:
        commit(node, caller, target, b"third", lambda: put_new_on(node, caller, first.commit))
    assert refused.value.actual == first.commit


@EITHER_WAY
def test_a_guarded_commit_that_loses_its_race_leaves_nothing(node: Node, caller: Principal) -> None:
    """The guard holds when the commit begins; its pack is published before the branch turns out to have moved."""
    create_repo(node, caller, CreateRepo("r"))
    first = commit(node, caller, CommitTarget(PERSISTENT, MAIN), b"first", lambda: None)
    repo = lookup_repo(node, caller, "r")
    is_stored = not node.limits.journal_pack_max_bytes
    before = set(pack_states(node, repo)) if is_stored else set(journal_packs(node, repo))
    assert len(before) == 1
    target = CommitTarget(PERSISTENT, MAIN, expected=first.commit)

    def win() -> None:
        put_commit(node, caller, repo, first.commit)

    with pytest.raises(GuardMismatch):
        commit(node, caller, target, b"second", win)
    stored, journaled = {pack.name for pack in list_packs(node, repo)}, journal_packs(node, repo)
    kept = stored | set(journaled)
    assert len(kept - before) == 1, "that of the winner came"
    assert kept > before
    assert stored_names(node, repo) == stored == (kept if is_stored else set())
    assert pack_states(node, repo) == dict.fromkeys(stored, "live")
