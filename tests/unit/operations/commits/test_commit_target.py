"""Where a commit goes: the tip of its branch, or else its base, or else nothing."""

from dataclasses import replace

import pytest

from packhouse.auth import Principal
from packhouse.git import EPHEMERAL, PERSISTENT, ZERO_OID, Oid, branch_refname, tag_refname
from packhouse.node import Node
from packhouse.operations.commits.add_commit import CommitFacts
from packhouse.operations.commits.commit_target import (
    CommitTarget,
    GuardMismatch,
    TargetState,
    read_target,
)
from packhouse.operations.commits.start_commit import StartCommit, start_commit
from packhouse.operations.refs.branches import BranchNotFound
from packhouse.operations.refs.create_branch import CreateBranch, create_branch
from packhouse.operations.refs.create_tag import CreateTag, create_tag
from packhouse.operations.refs.delete_branch import DeleteBranch, delete_branch
from tests.support.builders.node_writes import ADA
from tests.unit.operations.commits.stored import Stored

pytestmark = pytest.mark.quick

MAIN = branch_refname("main")
ON_MAIN = CommitTarget(PERSISTENT, MAIN)
ON_SIDE = CommitTarget(PERSISTENT, branch_refname("side"), base_refname=MAIN)


def test_a_branch_that_exists_is_built_on(node: Node, stored: Stored, root: Oid) -> None:
    assert read_target(node, stored.repo, ON_MAIN) == TargetState(root, root)


def test_a_new_branch_is_built_on_its_base(node: Node, stored: Stored, root: Oid) -> None:
    assert read_target(node, stored.repo, ON_SIDE) == TargetState(None, root)


@pytest.mark.parametrize("namespace", [PERSISTENT, EPHEMERAL])
@pytest.mark.parametrize("expected", [None, ZERO_OID])
def test_the_first_branch_of_a_repository_starts_a_history(
    node: Node, stored: Stored, namespace: str, expected: str | None
) -> None:
    target = CommitTarget(namespace, MAIN, expected=expected)
    assert read_target(node, stored.repo, target) == TargetState(None, None)


def test_a_second_branch_of_a_namespace_starts_no_history(
    node: Node, caller: Principal, stored: Stored
) -> None:
    """A persistent branch may start one beside ephemeral branches, and not the other way round."""
    facts = CommitFacts(b"m\n", ADA, ADA)
    draft, other = (CommitTarget(EPHEMERAL, branch_refname(name)) for name in ("draft", "other"))
    with start_commit(node, caller, StartCommit("r", draft, facts, [])) as pending:
        pending.commit()
    with pytest.raises(BranchNotFound):
        read_target(node, stored.repo, other)
    assert read_target(node, stored.repo, ON_MAIN) == TargetState(None, None)
    with start_commit(node, caller, StartCommit("r", ON_MAIN, facts, [])) as pending:
        pending.commit()
    delete_branch(node, caller, DeleteBranch("r", draft.refname, ephemeral=True))
    with pytest.raises(BranchNotFound):
        read_target(node, stored.repo, other)


def test_a_tag_counts_for_no_branch(node: Node, caller: Principal, stored: Stored, root: Oid) -> None:
    create_tag(node, caller, CreateTag("r", tag_refname("side"), root))
    assert read_target(node, stored.repo, ON_SIDE).tip is None
    with pytest.raises(GuardMismatch):
        read_target(node, stored.repo, replace(ON_MAIN, expected="nowhere"))
    assert read_target(node, stored.repo, replace(ON_MAIN, expected="refs/tags/side")).tip == root


def test_the_first_branch_holds_no_other_guard_than_zeros(node: Node, stored: Stored) -> None:
    for expected in ("1" * 40, "main"):
        with pytest.raises(GuardMismatch) as refused:
            read_target(node, stored.repo, replace(ON_MAIN, expected=expected))
        assert (refused.value.branch, refused.value.actual) == ("main", None)


def test_a_guard_is_resolved_in_the_namespace_of_what_it_guards(
    node: Node, caller: Principal, stored: Stored, root: Oid
) -> None:
    create_branch(node, caller, CreateBranch("r", branch_refname("draft"), ephemeral=True, base_ref=root))
    draft = CommitTarget(EPHEMERAL, branch_refname("draft"), expected="draft")
    assert read_target(node, stored.repo, draft).tip == root
    with pytest.raises(GuardMismatch):
        read_target(node, stored.repo, replace(ON_MAIN, expected="draft"))
    based = replace(ON_SIDE, base_namespace=EPHEMERAL, base_refname=draft.refname, expected="draft")
    assert read_target(node, stored.repo, based) == TargetState(None, root)
    with pytest.raises(GuardMismatch) as refused:
        read_target(node, stored.repo, replace(based, expected=ZERO_OID))
    assert (refused.value.branch, refused.value.actual) == ("draft", root)
