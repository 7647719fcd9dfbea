"""A commit on a branch that others move meanwhile."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from packhouse.auth import Principal
from packhouse.git import PERSISTENT, Oid, branch_refname
from packhouse.git.objects import MODE_FILE, TreePath
from packhouse.limits import guard_wait_max_s
from packhouse.node import Node
from packhouse.operations.commits.add_commit import AddCommit, CommitFacts, NewCommit, add_commit
from packhouse.operations.commits.commit_target import CommitTarget, GuardMismatch
from packhouse.operations.refs.branches import BranchKeptMoving
from packhouse.operations.refs.create_branch import CreateBranch, create_branch
from packhouse.repository import Write, open_view
from packhouse.repository.tree_maker import TreeMaker
from tests.support.builders.node_writes import ADA, MAIN, commit_files, put_commit
from tests.support.servers.steady_time import SteadyTime
from tests.unit.operations.commits.stored import Stored

pytestmark = pytest.mark.quick

ON_MAIN = CommitTarget(PERSISTENT, MAIN)


def commit(
    node: Node,
    caller: Principal,
    stored: Stored,
    meanwhile: Callable[[], object],
    *,
    target: CommitTarget = ON_MAIN,
) -> NewCommit:
    """Add the file `new`; `meanwhile` happens each time that the tree is made."""
    with open_view(node, stored.repo) as view, Write(view) as write:
        blob = write.writer.add_object("blob", b"new\n")

        def make_tree(maker: TreeMaker) -> Oid:
            meanwhile()
            editor = maker.edit()
            editor.upsert(TreePath(b"new"), MODE_FILE, blob)
            return editor.write(maker.emit)

        facts = CommitFacts(b"m\n", ADA, ADA)
        return add_commit(node, caller, AddCommit(write, target, facts, make_tree, action="test"))


class Rival:
    """Moves a branch as a push would, without the writer lock, for the first `times` that it is called."""

    def __init__(self, node: Node, caller: Principal, stored: Stored, *, times: int = 1) -> None:
        self._node, self._caller, self._stored = node, caller, stored
        self._left = times
        self.calls = 0
        self.tip: Oid | None = None

    def __call__(self) -> None:
        """Put an empty commit on main while any are left."""
        self.calls += 1
        if self._left:
            self._left -= 1
            message = b"rival %d\n" % self.calls
            tip = self._stored.tip()
            parents = [] if tip is None else [tip]
            self.tip = put_commit(self._node, self._caller, self._stored.repo, *parents, message=message)


def test_an_unguarded_commit_that_loses_is_made_again_on_the_new_tip(
    node: Node, caller: Principal, stored: Stored, root: Oid
) -> None:
    rival = Rival(node, caller, stored, times=2)
    new = commit(node, caller, stored, rival)
    assert rival.calls == 3
    assert new.old_oid == rival.tip
    assert stored.commit(new.commit).parents == (rival.tip,)
    assert stored.files(new.commit) == {b"new": b"new\n"}, "the rival's tree is empty"


def test_a_guarded_commit_that_loses_is_refused_with_the_tip_that_won(
    node: Node, caller: Principal, stored: Stored, root: Oid
) -> None:
    rival = Rival(node, caller, stored)
    with pytest.raises(GuardMismatch) as refused:
        commit(node, caller, stored, rival, target=replace(ON_MAIN, expected=root))
    assert (refused.value.branch, refused.value.expected) == ("main", root)
    assert refused.value.actual == rival.tip == stored.tip()
    assert rival.calls == 1
    assert stored.temporary_files() == []


def test_a_commit_that_loses_every_race_gives_up_in_the_end(
    node: Node, caller: Principal, stored: Stored, root: Oid
) -> None:
    time = SteadyTime(node)
    rival = Rival(node, caller, stored, times=1000)

    def lose() -> None:
        time.pass_by(guard_wait_max_s / 4)
        rival()

    with pytest.raises(BranchKeptMoving) as refused:
        commit(node, caller, stored, lose)
    assert refused.value.branch == "main"
    assert stored.tip() == rival.tip
    assert 4 <= rival.calls <= 6


def test_a_commit_for_a_branch_that_appears_meanwhile_goes_on_top_of_it(
    node: Node, caller: Principal, stored: Stored, root: Oid
) -> None:
    second = commit_files(node, caller, "r", "main", {"a": b"2\n"}).commit
    side = branch_refname("side")

    def appear() -> None:
        if stored.tip("side") is None:
            create_branch(node, caller, CreateBranch("r", side, base_ref=root))

    new = commit(node, caller, stored, appear, target=replace(ON_MAIN, refname=side, base_refname=MAIN))
    assert new.old_oid == root
    assert stored.commit(new.commit).parents == (root,)
    assert stored.tip() == second


def test_a_tree_that_cannot_be_made_stores_nothing(
    node: Node, caller: Principal, stored: Stored, root: Oid
) -> None:
    packs = stored.packs()

    def fail() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        commit(node, caller, stored, fail)
    assert (stored.tip(), stored.packs(), stored.temporary_files()) == (root, packs, [])
