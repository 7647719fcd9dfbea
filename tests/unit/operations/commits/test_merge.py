"""Merges into a branch: what each strategy makes, when a merge is refused, and that a refused one leaves nothing."""

from dataclasses import replace

import pytest

from packhouse.auth import PolicyDenied, Principal
from packhouse.db import RepoNotFound
from packhouse.errors import Invalid
from packhouse.git import EPHEMERAL, ZERO_OID, Oid, RefName, branch_refname
from packhouse.git.commands.merge_tree import MergeTooLarge, UnrelatedHistories
from packhouse.git.objects import Person
from packhouse.limits import Limits
from packhouse.node import Node
from packhouse.operations.commits.merge import (
    Merge,
    MergeConflict,
    Merged,
    MergeResult,
    MergeStrategy,
    NotFastForward,
    TargetMoved,
    merge,
)
from packhouse.operations.refs.branches import BranchNotFound
from packhouse.operations.refs.create_branch import CreateBranch, create_branch
from packhouse.repository import Answer, Receipt, Ticket
from packhouse.repository.refs.receipts import KeyTaken
from packhouse.repository.refs.resolve import RefNotFound
from tests.support.builders.callers import with_policy
from tests.support.builders.node_writes import ADA, commit_files, put_commit
from tests.unit.operations.commits.stored import Stored

pytestmark = pytest.mark.quick

MAIN = branch_refname("main")
SIDE = branch_refname("side")
LIN = Person("Lin", "lin@example.test", 2000, "-0230")
ALL = list(MergeStrategy)

SIDE_INTO_MAIN = Merge(
    repo="r",
    source="side",
    source_is_ephemeral=False,
    target=MAIN,
    target_is_ephemeral=False,
    strategy=MergeStrategy.MERGE,
)


def with_strategy(strategy: MergeStrategy) -> Merge:
    """Return the merge of side into main by a strategy."""
    return replace(SIDE_INTO_MAIN, strategy=strategy)


@pytest.fixture
def ahead(node: Node, caller: Principal, root: Oid) -> Oid:
    """The tip of side: two commits after main, which can be fast-forwarded there."""
    commit_files(node, caller, "r", "side", {"s": b"1\n"}, base="main")
    return commit_files(node, caller, "r", "side", {"s": b"2\n"}).commit


@pytest.fixture
def ours(node: Node, caller: Principal, ahead: Oid) -> Oid:
    """The tip of main, which has a commit of its own beside the two of side."""
    return commit_files(node, caller, "r", "main", {"m": b"main\n"}).commit


@pytest.fixture
def torn(node: Node, caller: Principal, ours: Oid) -> Oid:
    """The tip of main once it has changed two files of side in another way."""
    files = {"s": b"other\n", "t/u": b"ours\n"}
    commit_files(node, caller, "r", "side", {"t/u": b"theirs\n"})
    return commit_files(node, caller, "r", "main", files).commit


def refuse(
    node: Node, caller: Principal, stored: Stored, error: type[Exception], command: Merge
) -> Exception:
    """Assert that the merge is refused and that nothing of it stays; return the error."""
    tips, packs = (stored.tip(), stored.tip("side")), stored.packs()
    with pytest.raises(error) as refused:
        merge(node, caller, command)
    assert (stored.tip(), stored.tip("side")) == tips
    assert (stored.packs(), stored.temporary_files()) == (packs, [])
    return refused.value


# What each strategy makes


@pytest.mark.parametrize("strategy", [MergeStrategy.MERGE, MergeStrategy.FF_PREFER])
def test_branches_that_have_parted_are_joined_by_a_commit_of_two_parents(
    node: Node, caller: Principal, stored: Stored, root: Oid, ahead: Oid, ours: Oid, strategy: MergeStrategy
) -> None:
    merged = merge(node, caller, with_strategy(strategy))
    made = stored.commit(merged.commit)
    assert (merged.result, made.parents) == (MergeResult.MERGE_COMMIT, (ours, ahead))
    assert (merged.old_oid, merged.merge_base, merged.promoted) == (ours, root, 2)
    assert (merged.source.label, merged.source.commit) == ("side", ahead)
    assert (stored.tip(), stored.tip("side")) == (merged.commit, ahead)
    assert made.tree == merged.tree
    files = {b"a": b"one\n", b"folder/b": b"two\n", b"s": b"2\n", b"m": b"main\n"}
    assert stored.files(merged.commit) == files
    assert stored.last_move().action == "merge"


def test_a_target_with_commits_of_its_own_cannot_be_fast_forwarded(
    node: Node, caller: Principal, stored: Stored, ours: Oid
) -> None:
    error = refuse(node, caller, stored, NotFastForward, with_strategy(MergeStrategy.FF_ONLY))
    assert isinstance(error, NotFastForward)
    assert (error.branch, error.source) == ("main", "side")


@pytest.mark.parametrize("strategy", [MergeStrategy.FF_ONLY, MergeStrategy.FF_PREFER])
def test_a_target_that_is_behind_goes_to_the_source_without_a_new_commit(
    node: Node, caller: Principal, stored: Stored, root: Oid, ahead: Oid, strategy: MergeStrategy
) -> None:
    packs = stored.packs()
    merged = merge(node, caller, with_strategy(strategy))
    assert (merged.result, merged.commit, merged.promoted) == (MergeResult.FAST_FORWARD, ahead, 2)
    assert (merged.old_oid, merged.merge_base, merged.tree) == (root, root, stored.commit(ahead).tree)
    assert (stored.tip(), stored.packs()) == (ahead, packs)


def test_the_merge_strategy_makes_a_commit_also_where_a_fast_forward_is_possible(
    node: Node, caller: Principal, stored: Stored, root: Oid, ahead: Oid
) -> None:
    merged = merge(node, caller, SIDE_INTO_MAIN)
    assert (merged.result, merged.tree) == (MergeResult.MERGE_COMMIT, stored.commit(ahead).tree)
    assert stored.commit(merged.commit).parents == (root, ahead)


@pytest.mark.parametrize("strategy", ALL)
@pytest.mark.parametrize("source", ["main", "main~1", "{root}"])
def test_a_source_that_the_target_has_already_changes_nothing(
    node: Node, caller: Principal, stored: Stored, root: Oid, strategy: MergeStrategy, source: str
) -> None:
    tip = commit_files(node, caller, "r", "main", {"m": b"main\n"}).commit
    packs, moves = stored.packs(), stored.last_move().id
    command = replace(with_strategy(strategy), source=source.format(root=root))
    merged = merge(node, caller, command)
    assert (merged.result, merged.commit, merged.old_oid) == (MergeResult.NO_OP, tip, tip)
    assert (merged.promoted, merged.tree) == (0, stored.commit(tip).tree)
    assert (stored.tip(), stored.packs(), stored.last_move().id) == (tip, packs, moves)


@pytest.mark.parametrize("strategy", [MergeStrategy.MERGE, MergeStrategy.FF_PREFER])
def test_a_squash_has_the_target_as_its_only_parent(
    node: Node, caller: Principal, stored: Stored, ours: Oid, strategy: MergeStrategy
) -> None:
    merged = merge(node, caller, replace(with_strategy(strategy), squash=True))
    assert (merged.result, merged.promoted) == (MergeResult.SQUASH, 2)
    assert stored.commit(merged.commit).parents == (ours,)
    assert stored.files(merged.commit)[b"s"] == b"2\n"


def test_a_squash_makes_a_commit_also_where_a_fast_forward_is_possible(
    node: Node, caller: Principal, stored: Stored, root: Oid, ahead: Oid
) -> None:
    merged = merge(node, caller, replace(with_strategy(MergeStrategy.FF_PREFER), squash=True))
    assert (merged.result, merged.tree) == (MergeResult.SQUASH, stored.commit(ahead).tree)
    assert stored.commit(merged.commit).parents == (root,)


# Message and persons


def test_the_usual_commit_is_the_servers_and_names_both_sides(
    node: Node, caller: Principal, stored: Stored, ours: Oid
) -> None:
    made = stored.commit(merge(node, caller, SIDE_INTO_MAIN).commit)
    assert made.message == "Merge side into main"
    assert (made.author.name, made.author.when) == ("Packhouse", 1000)
    assert made.committer == made.author


def test_the_committer_is_the_author_unless_given(
    node: Node, caller: Principal, stored: Stored, ours: Oid
) -> None:
    command = replace(SIDE_INTO_MAIN, message=b"joined\n", author=ADA)
    made = stored.commit(merge(node, caller, command).commit)
    assert (made.message, made.author, made.committer) == ("joined", ADA, ADA)
    commit_files(node, caller, "r", "side", {"s": b"3\n"})
    made = stored.commit(merge(node, caller, replace(command, committer=LIN)).commit)
    assert (made.author, made.committer) == (ADA, LIN)


@pytest.mark.parametrize(
    ("source", "label"), [("refs/heads/side", "side"), ("side~1", "side~1"), ("HEAD", "HEAD")]
)
def test_the_source_may_be_any_ref_input_and_is_named_as_given(
    node: Node, caller: Principal, stored: Stored, ours: Oid, source: str, label: str
) -> None:
    create_branch(node, caller, CreateBranch("r", branch_refname("old"), base_ref="main~1"))
    command = replace(SIDE_INTO_MAIN, source=source, target=branch_refname("old"))
    merged = merge(node, caller, command)
    assert merged.source.label == label
    assert stored.commit(merged.commit).message == f"Merge {label} into old"


# Conflicts


@pytest.mark.parametrize("squash", [False, True])
def test_a_conflict_names_its_paths_and_the_merge_base(
    node: Node, caller: Principal, stored: Stored, root: Oid, torn: Oid, squash: bool
) -> None:
    error = refuse(node, caller, stored, MergeConflict, replace(SIDE_INTO_MAIN, squash=squash))
    assert isinstance(error, MergeConflict)
    assert (error.paths, error.merge_base) == ([b"s", b"t/u"], root)


def test_a_file_that_one_side_deleted_and_the_other_changed_is_a_conflict(
    node: Node, caller: Principal, stored: Stored, ours: Oid
) -> None:
    commit_files(node, caller, "r", "side", {"a": None})
    commit_files(node, caller, "r", "main", {"a": b"changed\n"})
    error = refuse(node, caller, stored, MergeConflict, SIDE_INTO_MAIN)
    assert isinstance(error, MergeConflict)
    assert error.paths == [b"a"]


def test_a_deletion_on_one_side_alone_is_merged(
    node: Node, caller: Principal, stored: Stored, ours: Oid
) -> None:
    commit_files(node, caller, "r", "side", {"folder/b": None})
    merged = merge(node, caller, SIDE_INTO_MAIN)
    assert set(stored.files(merged.commit)) == {b"a", b"m", b"s"}


def test_unrelated_histories_are_merged_only_when_that_is_wanted(
    node: Node, caller: Principal, stored: Stored, root: Oid
) -> None:
    alone = put_commit(node, caller, stored.repo, refname=SIDE)
    refuse(node, caller, stored, UnrelatedHistories, SIDE_INTO_MAIN)
    command = replace(SIDE_INTO_MAIN, allow_unrelated=True)
    refuse(node, caller, stored, NotFastForward, replace(command, strategy=MergeStrategy.FF_ONLY))
    merged = merge(node, caller, command)
    assert (merged.merge_base, merged.promoted) == (None, 1)
    assert stored.commit(merged.commit).parents == (root, alone)
    assert stored.files(merged.commit) == stored.files(root)


def test_a_merge_that_needs_more_memory_than_it_may_is_too_large(
    node: Node, caller: Principal, stored: Stored, ours: Oid
) -> None:
    large = b"x" * 20_000_000
    commit_files(node, caller, "r", "side", {"large": large + b"\ntheirs\n"})
    commit_files(node, caller, "r", "main", {"large": large + b"\nours\n"})
    small = replace(node, limits=Limits(merge_memory_max_bytes=40_000_000))
    refuse(small, caller, stored, MergeTooLarge, SIDE_INTO_MAIN)
    refuse(node, caller, stored, MergeConflict, SIDE_INTO_MAIN)


# Guards and names


@pytest.mark.parametrize("expected", ["{id}", "{id:.10}", "main", "refs/heads/main"])
def test_a_merge_is_made_under_a_guard_that_holds(
    node: Node, caller: Principal, ours: Oid, expected: str
) -> None:
    command = replace(SIDE_INTO_MAIN, expected=expected.format(id=ours))
    assert merge(node, caller, command).old_oid == ours


@pytest.mark.parametrize("expected", [ZERO_OID, "1" * 40, "side", "main~1", "nowhere", "a..b"])
def test_a_failed_guard_names_the_tip_of_the_target(
    node: Node, caller: Principal, stored: Stored, ours: Oid, expected: str
) -> None:
    error = refuse(node, caller, stored, TargetMoved, replace(SIDE_INTO_MAIN, expected=expected))
    assert isinstance(error, TargetMoved)
    assert (error.branch, error.actual) == ("main", ours)


@pytest.mark.parametrize("expected", [None, ZERO_OID, "main"])
@pytest.mark.parametrize("name", ["nowhere", "HEAD"])
def test_a_merge_makes_no_branch(
    node: Node, caller: Principal, stored: Stored, ours: Oid, expected: str | None, name: str
) -> None:
    command = replace(SIDE_INTO_MAIN, target=RefName(b"refs/heads/" + name.encode()), expected=expected)
    error = refuse(node, caller, stored, BranchNotFound, command)
    assert isinstance(error, BranchNotFound)
    assert error.branch == name
    assert stored.tip("nowhere") is None


@pytest.mark.parametrize(
    ("source", "error"),
    [("nowhere", RefNotFound), ("1" * 40, RefNotFound), ("side~9", RefNotFound), ("a..b", Invalid)],
)
def test_a_source_that_does_not_exist_cannot_be_merged(
    node: Node, caller: Principal, stored: Stored, ours: Oid, source: str, error: type[Exception]
) -> None:
    refuse(node, caller, stored, error, replace(SIDE_INTO_MAIN, source=source))


def test_a_repository_of_another_organisation_is_not_found(
    node: Node, caller: Principal, stranger: Principal, ours: Oid
) -> None:
    with pytest.raises(RepoNotFound):
        merge(node, stranger, SIDE_INTO_MAIN)
    with pytest.raises(RepoNotFound):
        merge(node, caller, replace(SIDE_INTO_MAIN, repo="other"))


def test_each_side_is_resolved_in_its_own_namespace(
    node: Node, caller: Principal, stored: Stored, root: Oid, ahead: Oid
) -> None:
    create_branch(node, caller, CreateBranch("r", MAIN, ephemeral=True, base_ref="main"))
    refuse(node, caller, stored, RefNotFound, replace(SIDE_INTO_MAIN, source_is_ephemeral=True))
    merged = merge(node, caller, replace(with_strategy(MergeStrategy.FF_ONLY), target_is_ephemeral=True))
    assert (stored.tip(namespace=EPHEMERAL), stored.tip()) == (merged.commit, root)
    back = replace(with_strategy(MergeStrategy.FF_ONLY), source="main", source_is_ephemeral=True)
    assert merge(node, caller, back).commit == stored.tip() == ahead


# Policies and receipts


@pytest.mark.parametrize("strategy", ALL)
def test_a_policy_refuses_a_merge_into_its_branch_alone(
    node: Node, caller: Principal, stored: Stored, ahead: Oid, strategy: MergeStrategy
) -> None:
    bound = with_policy(caller, ["refs/heads/main", ["no-push"]])
    refuse(node, bound, stored, PolicyDenied, with_strategy(strategy))
    refuse(node, bound, stored, PolicyDenied, replace(with_strategy(strategy), source="main"))
    create_branch(node, caller, CreateBranch("r", branch_refname("old"), base_ref="main"))
    merge(node, bound, replace(with_strategy(strategy), target=branch_refname("old")))


def test_a_merge_is_no_forced_push(node: Node, caller: Principal, ours: Oid) -> None:
    merge(node, with_policy(caller, ["*", ["no-force-push"]]), SIDE_INTO_MAIN)


@pytest.mark.parametrize("strategy", ALL)
def test_no_strategy_brings_unsigned_commits_where_a_policy_asks_for_signatures(
    node: Node, caller: Principal, stored: Stored, ahead: Oid, strategy: MergeStrategy
) -> None:
    bound = with_policy(caller, ["*", ["verify-sig"]])
    refuse(node, bound, stored, PolicyDenied, with_strategy(strategy))
    same = replace(with_strategy(strategy), source="main")
    assert merge(node, bound, same).result is MergeResult.NO_OP


@pytest.mark.parametrize("strategy", [MergeStrategy.MERGE, MergeStrategy.FF_ONLY])
def test_the_answer_is_kept_with_the_merge_and_a_second_one_moves_nothing(
    node: Node, caller: Principal, stored: Stored, ahead: Oid, strategy: MergeStrategy
) -> None:
    seen: list[Merged] = []

    def as_answer(merged: Merged) -> Answer:
        seen.append(merged)
        return Answer(200, (), b"{}")

    receipt = Receipt(Ticket("k", "f"), as_answer)
    merged = merge(node, caller, with_strategy(strategy), receipt=receipt)
    assert (receipt.ticket.is_kept, seen) == (True, [merged])
    commit_files(node, caller, "r", "side", {"s": b"3\n"})
    packs = stored.packs()
    with pytest.raises(KeyTaken):
        merge(node, caller, with_strategy(strategy), receipt=Receipt(Ticket("k", "f"), as_answer))
    assert (stored.tip(), stored.packs()) == (merged.commit, packs)


def test_a_merge_that_changes_nothing_keeps_no_answer(node: Node, caller: Principal, root: Oid) -> None:
    """The pipeline keeps the answer, because there is no transaction to keep it in."""
    receipt: Receipt[Merged] = Receipt(Ticket("k", "f"), lambda _: Answer(200, (), b"{}"))
    merge(node, caller, replace(SIDE_INTO_MAIN, source="main"), receipt=receipt)
    assert not receipt.ticket.is_kept
