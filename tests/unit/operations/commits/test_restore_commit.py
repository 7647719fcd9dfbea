"""Earlier trees are brought back as new commits; nothing of the history is lost."""

from dataclasses import replace

import pytest

from packhouse.auth import PolicyDenied, Principal
from packhouse.db import RepoNotFound
from packhouse.errors import Invalid
from packhouse.git import EPHEMERAL, PERSISTENT, ZERO_OID, Oid, branch_refname, tag_refname
from packhouse.git.objects import Person
from packhouse.node import Node
from packhouse.operations.commits.add_commit import NewCommit
from packhouse.operations.commits.commit_target import CommitTarget, GuardMismatch
from packhouse.operations.commits.restore_commit import RestoreCommit, restore_commit
from packhouse.operations.refs.branches import BranchNotFound
from packhouse.operations.refs.create_branch import CreateBranch, create_branch
from packhouse.operations.refs.create_tag import CreateTag, create_tag
from packhouse.repository import Answer, Receipt, Ticket
from packhouse.repository.refs.receipts import KeyTaken
from packhouse.repository.refs.resolve import RefNotFound
from tests.support.builders.callers import with_policy
from tests.support.builders.node_writes import ADA, commit_files
from tests.unit.operations.commits.stored import Stored

pytestmark = pytest.mark.quick

MAIN = CommitTarget(PERSISTENT, branch_refname("main"))
LIN = Person("Lin", "lin@example.test", 2000, "-0230")


def restore(base_ref: str, *, target: CommitTarget = MAIN, message: str | None = None) -> RestoreCommit:
    """Return the command that brings a tree back."""
    return RestoreCommit("r", target, base_ref, message, ADA, LIN)


@pytest.fixture
def second(node: Node, caller: Principal, root: Oid) -> Oid:
    """The commit after the first one. It changes one file, deletes one and adds one."""
    files = {"a": b"changed\n", "folder/b": None, "c": b"c\n"}
    return commit_files(node, caller, "r", "main", files).commit


@pytest.mark.parametrize("base_ref", ["main~1", "HEAD~1", "{id}", "{id:.8}", "v1"])
def test_an_earlier_tree_comes_back_on_top_of_the_branch(
    node: Node, caller: Principal, stored: Stored, root: Oid, second: Oid, base_ref: str
) -> None:
    create_tag(node, caller, CreateTag("r", tag_refname("v1"), root))
    new = restore_commit(node, caller, restore(base_ref.format(id=root)))
    made = stored.commit(new.commit)
    assert (made.tree, made.parents, new.old_oid) == (stored.commit(root).tree, (second,), second)
    assert (made.author, made.committer) == (ADA, LIN)
    assert stored.tip() == new.commit
    assert stored.files(new.commit) == {b"a": b"one\n", b"folder/b": b"two\n"}
    assert stored.last_move().action == "restore-commit"


def test_the_usual_message_names_branch_and_restored_commit(
    node: Node, caller: Principal, stored: Stored, second: Oid
) -> None:
    new = restore_commit(node, caller, restore("main~1"))
    assert stored.commit(new.commit).message == 'Reset main to "message"'


def test_a_given_message_is_trimmed_and_not_blank(
    node: Node, caller: Principal, stored: Stored, second: Oid
) -> None:
    new = restore_commit(node, caller, restore("main~1", message="  back\n\nto it\n\n"))
    assert stored.commit(new.commit).message == "back\n\nto it"
    for message in (" \n", "a\0b"):
        with pytest.raises(Invalid):
            restore_commit(node, caller, restore("main~1", message=message))
    assert stored.tip() == new.commit


def test_the_tree_of_the_tip_itself_makes_a_commit_without_changes(
    node: Node, caller: Principal, stored: Stored, second: Oid
) -> None:
    new = restore_commit(node, caller, restore("main"))
    assert new.commit != second
    assert stored.commit(new.commit).parents == (second,)
    assert new.tree == stored.commit(second).tree


def test_a_tree_of_another_branch_may_be_brought_to_this_one(
    node: Node, caller: Principal, stored: Stored, root: Oid, second: Oid
) -> None:
    side = commit_files(node, caller, "r", "side", {"s": b"s\n"}, base="main").commit
    new = restore_commit(node, caller, restore("side"))
    assert stored.commit(new.commit).parents == (second,)
    assert new.tree == stored.commit(side).tree


def test_an_ephemeral_branch_is_restored_in_its_own_namespace(
    node: Node, caller: Principal, stored: Stored, root: Oid, second: Oid
) -> None:
    create_branch(node, caller, CreateBranch("r", MAIN.refname, ephemeral=True, base_ref="main"))
    new = restore_commit(node, caller, restore(root, target=replace(MAIN, namespace=EPHEMERAL)))
    assert stored.tip(namespace=EPHEMERAL) == new.commit
    assert stored.tip() == second


@pytest.mark.parametrize("base_ref", ["nowhere", "1" * 40, "main~2", "side"])
def test_a_commit_that_does_not_exist_cannot_be_restored(
    node: Node, caller: Principal, stored: Stored, second: Oid, base_ref: str
) -> None:
    with pytest.raises(RefNotFound):
        restore_commit(node, caller, restore(base_ref))
    with pytest.raises(Invalid):
        restore_commit(node, caller, restore("a..b"))
    assert stored.tip() == second


def test_a_restore_makes_no_branch(node: Node, caller: Principal, stored: Stored, second: Oid) -> None:
    for target in (
        replace(MAIN, refname=branch_refname("side")),
        replace(MAIN, refname=branch_refname("side"), base_refname=MAIN.refname),
        replace(MAIN, refname=branch_refname("side"), expected=ZERO_OID),
    ):
        with pytest.raises(BranchNotFound) as missing:
            restore_commit(node, caller, restore("main~1", target=target))
        assert missing.value.branch == "side"
    assert stored.tip("side") is None


def test_a_missing_branch_is_reported_before_a_missing_base(
    node: Node, caller: Principal, second: Oid
) -> None:
    with pytest.raises(BranchNotFound):
        restore_commit(node, caller, restore("nowhere", target=replace(MAIN, refname=branch_refname("side"))))


def test_a_repository_of_another_organisation_is_not_found(
    node: Node, caller: Principal, stranger: Principal, second: Oid
) -> None:
    with pytest.raises(RepoNotFound):
        restore_commit(node, stranger, restore("main~1"))
    with pytest.raises(RepoNotFound):
        restore_commit(node, caller, replace(restore("main~1"), repo="other"))


def test_a_restore_is_made_under_its_guard(
    node: Node, caller: Principal, stored: Stored, root: Oid, second: Oid
) -> None:
    packs = stored.packs()
    with pytest.raises(GuardMismatch) as refused:
        restore_commit(node, caller, restore("main~1", target=replace(MAIN, expected=root)))
    assert (refused.value.branch, refused.value.actual) == ("main", second)
    assert (stored.tip(), stored.packs()) == (second, packs)
    new = restore_commit(node, caller, restore("main~1", target=replace(MAIN, expected=second)))
    assert new.old_oid == second


@pytest.mark.parametrize("op", ["no-push", "verify-sig"])
def test_a_policy_refuses_the_commit(
    node: Node, caller: Principal, stored: Stored, second: Oid, op: str
) -> None:
    packs = stored.packs()
    with pytest.raises(PolicyDenied):
        restore_commit(node, with_policy(caller, ["refs/heads/*", [op]]), restore("main~1"))
    assert (stored.tip(), stored.packs()) == (second, packs)
    restore_commit(node, with_policy(caller, ["*", ["no-force-push"]]), restore("main~1"))


def test_the_answer_is_kept_with_the_commit(
    node: Node, caller: Principal, stored: Stored, second: Oid
) -> None:
    seen: list[NewCommit] = []

    def as_answer(new: NewCommit) -> Answer:
        seen.append(new)
        return Answer(201, (), b"{}")

    receipt = Receipt(Ticket("k", "f"), as_answer)
    new = restore_commit(node, caller, restore("main~1"), receipt=receipt)
    assert (receipt.ticket.is_kept, seen) == (True, [new])
    with pytest.raises(KeyTaken):
        restore_commit(node, caller, restore("main~2"), receipt=Receipt(Ticket("k", "f"), as_answer))
    assert stored.tip() == new.commit
