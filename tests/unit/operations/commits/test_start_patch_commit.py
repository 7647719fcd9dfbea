"""Commits from patches: what they write, when they are refused, and that a refused one leaves nothing."""

from dataclasses import replace

import pytest

from packhouse.auth import PolicyDenied, Principal
from packhouse.db import RepoNotFound
from packhouse.errors import Invalid
from packhouse.git import EPHEMERAL, PERSISTENT, Oid, branch_refname
from packhouse.git.objects import MODE_EXECUTABLE, MODE_FILE
from packhouse.limits import Limits
from packhouse.node import Node
from packhouse.operations.commits.add_commit import CommitFacts, NewCommit
from packhouse.operations.commits.commit_target import CommitTarget, GuardMismatch
from packhouse.operations.commits.start_patch_commit import (
    PatchChunkAfterLast,
    PatchEmpty,
    PatchTooLarge,
    PatchUnfinished,
    StartPatchCommit,
    start_patch_commit,
)
from packhouse.operations.refs.branches import BranchNotFound
from packhouse.repository import Answer, Receipt, Ticket
from packhouse.repository.apply_patch import PatchDoesNotApply, PatchRefused
from tests.support.builders.callers import with_policy
from tests.support.builders.node_writes import ADA
from tests.unit.operations.commits.stored import Stored

pytestmark = pytest.mark.quick

MAIN = CommitTarget(PERSISTENT, branch_refname("main"))
FACTS = CommitFacts(b"message\n", ADA, ADA)

CHANGE = b"--- a/a\n+++ b/a\n@@ -1 +1 @@\n-one\n+1\n"
REMOVE = (
    b"diff --git a/folder/b b/folder/b\ndeleted file mode 100644\n"
    b"--- a/folder/b\n+++ /dev/null\n@@ -1 +0,0 @@\n-two\n"
)
ADD = b"diff --git a/new b/new\nnew file mode 100755\n--- /dev/null\n+++ b/new\n@@ -0,0 +1 @@\n+new\n"
RENAME = b"diff --git a/a b/c\nsimilarity index 100%\nrename from a\nrename to c\n"
CHMOD = b"diff --git a/a b/a\nold mode 100644\nnew mode 100755\n"


def commit(
    node: Node,
    caller: Principal,
    patch: bytes,
    *,
    target: CommitTarget = MAIN,
    receipt: Receipt[NewCommit] | None = None,
) -> tuple[NewCommit, int]:
    """Make one commit of a patch that comes in one chunk; return it, and how many files it wrote."""
    with start_patch_commit(node, caller, StartPatchCommit("r", target, FACTS)) as pending:
        pending.add_chunk(patch, eof=True)
        return pending.commit(receipt=receipt), pending.blob_count


def refuse(
    node: Node,
    caller: Principal,
    stored: Stored,
    error: type[Exception],
    patch: bytes,
    *,
    target: CommitTarget = MAIN,
) -> None:
    """Assert that the commit is refused and that nothing of it stays."""
    tip, packs = stored.tip(), stored.packs()
    with pytest.raises(error):
        commit(node, caller, patch, target=target)
    assert (stored.tip(), stored.packs(), stored.temporary_files()) == (tip, packs, [])


# What is written


@pytest.mark.parametrize(
    ("patch", "files", "count"),
    [
        (CHANGE, {b"a": b"1\n", b"folder/b": b"two\n"}, 1),
        (REMOVE, {b"a": b"one\n"}, 0),
        (ADD, {b"a": b"one\n", b"folder/b": b"two\n", b"new": b"new\n"}, 1),
        (RENAME, {b"c": b"one\n", b"folder/b": b"two\n"}, 1),
        (CHMOD, {b"a": b"one\n", b"folder/b": b"two\n"}, 1),
        (CHANGE + REMOVE + ADD, {b"a": b"1\n", b"new": b"new\n"}, 2),
    ],
)
def test_a_patch_is_applied_to_the_tip(
    node: Node,
    caller: Principal,
    stored: Stored,
    root: Oid,
    patch: bytes,
    files: dict[bytes, bytes],
    count: int,
) -> None:
    new, written = commit(node, caller, patch)
    assert (stored.files(new.commit), written) == (files, count)
    assert stored.commit(new.commit).parents == (root,)
    assert (new.old_oid, stored.tip()) == (root, new.commit)
    assert stored.last_move().action == "diff-commit"


def test_a_patch_sets_modes(node: Node, caller: Principal, stored: Stored, root: Oid) -> None:
    new, _ = commit(node, caller, CHMOD + ADD)
    modes = stored.modes(new.commit)
    assert modes == {b"a": MODE_EXECUTABLE, b"folder/b": MODE_FILE, b"new": MODE_EXECUTABLE}


def test_a_patch_may_be_cut_at_every_byte(node: Node, caller: Principal, stored: Stored, root: Oid) -> None:
    with start_patch_commit(node, caller, StartPatchCommit("r", MAIN, FACTS)) as pending:
        for at in range(len(CHANGE)):
            pending.add_chunk(CHANGE[at : at + 1], eof=False)
        pending.add_chunk(b"", eof=True)
        new = pending.commit()
    assert stored.files(new.commit)[b"a"] == b"1\n"


def test_the_first_commit_of_a_repository_may_be_a_patch(
    node: Node, caller: Principal, stored: Stored
) -> None:
    new, count = commit(node, caller, ADD)
    assert (stored.commit(new.commit).parents, new.old_oid, count) == ((), None, 1)
    assert stored.files(new.commit) == {b"new": b"new\n"}


# Patches that do not fit


@pytest.mark.parametrize(
    ("patch", "error"),
    [
        (CHANGE.replace(b"-one", b"-two"), PatchDoesNotApply),
        (CHANGE.replace(b"a/a", b"a/missing").replace(b"b/a", b"b/missing"), PatchDoesNotApply),
        (ADD.replace(b"new b/new", b"a b/a").replace(b"b/new", b"b/a"), PatchDoesNotApply),
        (b"no patch at all\n", PatchRefused),
        (CHMOD.replace(b"100755", b"100644"), PatchRefused),
        (ADD.replace(b"b/new", b"b/.git/hooks/x").replace(b"a/new", b"a/.git/hooks/x"), Invalid),
        (ADD.replace(b"b/new", b"b/../x").replace(b"a/new", b"a/../x"), Invalid),
    ],
)
def test_a_patch_that_does_not_fit_leaves_nothing(
    node: Node, caller: Principal, stored: Stored, root: Oid, patch: bytes, error: type[Exception]
) -> None:
    refuse(node, caller, stored, error, patch)


def test_a_patch_for_an_older_tip_does_not_apply_to_the_new_one(
    node: Node, caller: Principal, stored: Stored, root: Oid
) -> None:
    commit(node, caller, CHANGE)
    refuse(node, caller, stored, PatchDoesNotApply, CHANGE)


def test_a_patch_that_breaks_off_or_is_empty_is_refused(node: Node, caller: Principal, repo: str) -> None:
    with start_patch_commit(node, caller, StartPatchCommit(repo, MAIN, FACTS)) as pending:
        with pytest.raises(PatchUnfinished):
            pending.commit()
        pending.add_chunk(b"", eof=False)
        with pytest.raises(PatchUnfinished):
            pending.commit()
        pending.add_chunk(b"", eof=True)
        with pytest.raises(PatchEmpty):
            pending.commit()
        with pytest.raises(PatchChunkAfterLast):
            pending.add_chunk(b"more", eof=True)


def test_a_patch_has_a_bound(node: Node, caller: Principal, stored: Stored, root: Oid) -> None:
    node = replace(node, limits=Limits(patch_max_bytes=len(CHANGE)))
    commit(node, caller, CHANGE)
    with start_patch_commit(node, caller, StartPatchCommit("r", MAIN, FACTS)) as pending:
        pending.add_chunk(CHANGE, eof=False)
        with pytest.raises(PatchTooLarge) as refused:
            pending.add_chunk(b"\n", eof=True)
    assert refused.value.max_bytes == len(CHANGE)


# Where the commit goes, and who may make it


def test_a_patch_commit_is_made_under_its_guard(
    node: Node, caller: Principal, stored: Stored, root: Oid
) -> None:
    refuse(node, caller, stored, GuardMismatch, CHANGE, target=replace(MAIN, expected="1" * 40))
    assert commit(node, caller, CHANGE, target=replace(MAIN, expected=root))[0].old_oid == root


def test_a_new_branch_gets_the_patch_on_top_of_its_base(
    node: Node, caller: Principal, stored: Stored, root: Oid
) -> None:
    side = CommitTarget(EPHEMERAL, branch_refname("side"), base_refname=MAIN.refname)
    new, _ = commit(node, caller, CHANGE, target=side)
    assert stored.commit(new.commit).parents == (root,)
    assert (stored.tip("side", namespace=EPHEMERAL), stored.tip()) == (new.commit, root)
    other = replace(side, refname=branch_refname("other"), base_refname=None)
    refuse(node, caller, stored, BranchNotFound, CHANGE, target=other)


def test_a_policy_and_a_missing_repository_refuse_a_patch_commit(
    node: Node, caller: Principal, stranger: Principal, stored: Stored, root: Oid
) -> None:
    refuse(node, with_policy(caller, ["*", ["no-push"]]), stored, PolicyDenied, CHANGE)
    with pytest.raises(RepoNotFound):
        start_patch_commit(node, stranger, StartPatchCommit("r", MAIN, FACTS))


def test_the_answer_is_kept_with_the_commit(node: Node, caller: Principal, root: Oid) -> None:
    seen: list[NewCommit] = []

    def as_answer(new: NewCommit) -> Answer:
        seen.append(new)
        return Answer(201, (), b"{}")

    receipt = Receipt(Ticket("k", "f"), as_answer)
    new, _ = commit(node, caller, CHANGE, receipt=receipt)
    assert (receipt.ticket.is_kept, seen) == (True, [new])


def test_a_patch_commit_that_is_closed_leaves_nothing(
    node: Node, caller: Principal, stored: Stored, root: Oid
) -> None:
    packs = stored.packs()
    pending = start_patch_commit(node, caller, StartPatchCommit("r", MAIN, FACTS))
    pending.add_chunk(CHANGE, eof=True)
    assert stored.temporary_files()
    pending.close()
    pending.close()
    assert (stored.tip(), stored.packs(), stored.temporary_files()) == (root, packs, [])
