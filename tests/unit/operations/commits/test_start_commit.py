"""Commits from files: what they write, when they are refused, and that a refused one leaves nothing."""

import random
from collections.abc import Sequence
from dataclasses import replace

import pytest

from packhouse.auth import PolicyDenied, Principal, RefPolicy
from packhouse.auth.policy import PolicyUnusable
from packhouse.db import RefNameConflict, RepoNotFound
from packhouse.errors import Invalid
from packhouse.git import (
    EPHEMERAL,
    PERSISTENT,
    ZERO_OID,
    NewNameRefused,
    Oid,
    RefName,
    branch_refname,
)
from packhouse.git.objects import (
    MODE_EXECUTABLE,
    MODE_FILE,
    MODE_GITLINK,
    MODE_SYMLINK,
    Person,
    TreePath,
)
from packhouse.limits import pack_buffer_max_bytes
from packhouse.node import Node
from packhouse.operations.answers.find_answer import FindAnswer, find_answer
from packhouse.operations.commits.add_commit import CommitFacts, NewCommit
from packhouse.operations.commits.blob_intake import (
    ChunkAfterLast,
    ChunkUnknown,
    ContentUnfinished,
    FileTooLarge,
    SubmoduleInvalid,
    SubmoduleZero,
)
from packhouse.operations.commits.commit_target import CommitTarget, GuardMismatch
from packhouse.operations.commits.start_commit import FileChange, NothingToDelete, StartCommit, start_commit
from packhouse.operations.refs.branches import BranchNotFound
from packhouse.operations.repos.delete_repo import DeleteRepo, delete_repo
from packhouse.repository import Answer, Receipt, Ticket
from packhouse.repository.refs.receipts import KeyTaken
from tests.support.builders.callers import named, with_policy
from tests.unit.operations.commits.stored import Stored

pytestmark = pytest.mark.quick

MAIN = CommitTarget(PERSISTENT, branch_refname("main"))
ADA = Person("Ada", "ada@example.test", 1000, "+0000")
LIN = Person("Lin", "lin@example.test", 2000, "-0230")
FACTS = CommitFacts(b"message\n", ADA, LIN)


def change(path: str, content: bytes | None, mode: int = MODE_FILE) -> tuple[FileChange, bytes]:
    """Return an entry of the file list, and its content; None deletes."""
    entry = FileChange(TreePath(path.encode()), path, None if content is None else mode)
    return entry, content or b""


def commit(
    node: Node,
    caller: Principal,
    *changes: tuple[FileChange, bytes],
    target: CommitTarget = MAIN,
    receipt: Receipt[NewCommit] | None = None,
) -> NewCommit:
    """Make one commit of these changes, each content in one chunk."""
    files = [entry for entry, _ in changes]
    with start_commit(node, caller, StartCommit("r", target, FACTS, files)) as pending:
        for entry, content in changes:
            if entry.mode is not None:
                pending.add_chunk(entry.content_id, content, eof=True)
        return pending.commit(receipt=receipt)


def as_answer(new: NewCommit) -> Answer:
    """Return an answer that names the commit."""
    return Answer(201, (), new.commit.encode())


def refuse(
    node: Node,
    caller: Principal,
    stored: Stored,
    error: type[Exception],
    changes: Sequence[tuple[FileChange, bytes]],
    *,
    target: CommitTarget = MAIN,
) -> Exception:
    """Assert that the commit is refused and that nothing of it stays; return the error."""
    tip, packs = stored.tip(), stored.packs()
    with pytest.raises(error) as refused:
        commit(node, caller, *changes, target=target)
    assert (stored.tip(), stored.packs(), stored.temporary_files()) == (tip, packs, [])
    return refused.value


# What is written


def test_the_first_commit_of_a_repository_has_no_parent(
    node: Node, caller: Principal, stored: Stored
) -> None:
    new = commit(node, caller, change("a", b"1\n"), change("folder/b", b""))
    assert (new.old_oid, stored.tip()) == (None, new.commit)
    made = stored.commit(new.commit)
    assert (made.parents, made.tree) == ((), new.tree)
    assert (made.author, made.committer, made.message) == (ADA, LIN, "message")
    assert stored.files(new.commit) == {b"a": b"1\n", b"folder/b": b""}


def test_a_commit_keeps_what_it_does_not_name(
    node: Node, caller: Principal, stored: Stored, root: Oid
) -> None:
    new = commit(node, caller, change("folder/b", b"new\n"), change("c", b"c\n"))
    assert (new.old_oid, stored.commit(new.commit).parents) == (root, (root,))
    assert stored.files(new.commit) == {b"a": b"one\n", b"folder/b": b"new\n", b"c": b"c\n"}
    assert stored.files(root) == {b"a": b"one\n", b"folder/b": b"two\n"}


def test_each_kind_of_file_has_its_mode(node: Node, caller: Principal, stored: Stored) -> None:
    new = commit(
        node,
        caller,
        change("plain", b"x"),
        change("run", b"#!/bin/sh\n", MODE_EXECUTABLE),
        change("link", b"plain", MODE_SYMLINK),
        change("module", b" " + b"1" * 40 + b"\n", MODE_GITLINK),
    )
    assert stored.modes(new.commit) == {
        b"plain": MODE_FILE,
        b"run": MODE_EXECUTABLE,
        b"link": MODE_SYMLINK,
        b"module": MODE_GITLINK,
    }
    assert stored.files(new.commit)[b"module"] == b"1" * 40


def test_the_chunks_of_several_files_may_come_in_turns(node: Node, caller: Principal, stored: Stored) -> None:
    files = [change("a", b"")[0], change("b", b"")[0]]
    with start_commit(node, caller, StartCommit("r", MAIN, FACTS, files)) as pending:
        for number, part in enumerate((b"1", b"2", b"3")):
            pending.add_chunk("a", part, eof=number == 2)
            pending.add_chunk("b", part * 2, eof=number == 2)
        new = pending.commit()
        assert pending.blob_count == 2
    assert stored.files(new.commit) == {b"a": b"123", b"b": b"112233"}


def test_one_content_may_be_a_file_under_two_paths_and_is_nothing_to_a_deleted_one(
    node: Node, caller: Principal, stored: Stored, root: Oid
) -> None:
    files = [FileChange(TreePath(path), "same", MODE_FILE) for path in (b"x", b"y/z")]
    files.append(FileChange(TreePath(b"a"), "same", None))
    with start_commit(node, caller, StartCommit("r", MAIN, FACTS, files)) as pending:
        pending.add_chunk("same", b"s", eof=True)
        new = pending.commit()
        assert pending.blob_count == 2
    assert stored.files(new.commit) == {b"x": b"s", b"y/z": b"s", b"folder/b": b"two\n"}


def test_a_commit_without_changes_repeats_the_tree(
    node: Node, caller: Principal, stored: Stored, root: Oid
) -> None:
    new = commit(node, caller)
    assert new.commit != root
    assert (new.tree, stored.commit(new.commit).parents) == (stored.commit(root).tree, (root,))
    same = commit(node, caller, change("a", b"one\n"))
    assert same.tree == new.tree


def test_the_ref_log_has_the_caller_and_the_move(
    node: Node, caller: Principal, stored: Stored, root: Oid
) -> None:
    new = commit(node, named(caller, "robot"), change("a", b"2\n"))
    move = stored.last_move()
    assert (move.action, move.actor, move.old_oid, move.new_oid) == ("commit-pack", "robot", root, new.commit)
    assert new.pack_bytes > 0


# Deletions


def test_a_deleted_file_is_gone_and_so_is_its_empty_folder(
    node: Node, caller: Principal, stored: Stored, root: Oid
) -> None:
    new = commit(node, caller, change("folder/b", None))
    assert stored.files(new.commit) == {b"a": b"one\n"}
    none = commit(node, caller, change("a", None))
    assert stored.files(none.commit) == {}


def test_a_path_that_is_not_there_may_be_deleted(
    node: Node, caller: Principal, stored: Stored, root: Oid
) -> None:
    new = commit(node, caller, change("nothing", None), change("a/b/c", None))
    assert new.tree == stored.commit(root).tree


def test_a_whole_folder_may_be_deleted_and_a_file_take_its_name(
    node: Node, caller: Principal, stored: Stored, root: Oid
) -> None:
    new = commit(node, caller, change("folder", None), change("folder", b"file\n"))
    assert stored.files(new.commit) == {b"a": b"one\n", b"folder": b"file\n"}


def test_the_last_entry_of_a_path_decides(node: Node, caller: Principal, stored: Stored, root: Oid) -> None:
    files = [
        FileChange(TreePath(b"a"), "1", None),
        FileChange(TreePath(b"a"), "2", MODE_FILE),
        FileChange(TreePath(b"b"), "2", MODE_FILE),
        FileChange(TreePath(b"b"), "3", None),
    ]
    with start_commit(node, caller, StartCommit("r", MAIN, FACTS, files)) as pending:
        pending.add_chunk("2", b"kept", eof=True)
        new = pending.commit()
    assert stored.files(new.commit) == {b"a": b"kept", b"folder/b": b"two\n"}


def test_a_name_as_listings_show_it_is_no_name_to_delete(
    node: Node, caller: Principal, stored: Stored, root: Oid
) -> None:
    error = refuse(node, caller, stored, NothingToDelete, [change("x\N{REPLACEMENT CHARACTER}", None)])
    assert isinstance(error, NothingToDelete)
    assert error.path == "x\N{REPLACEMENT CHARACTER}".encode()
    commit(node, caller, change("x\N{REPLACEMENT CHARACTER}", b"a real name"))
    new = commit(node, caller, change("x\N{REPLACEMENT CHARACTER}", None))
    assert stored.files(new.commit) == stored.files(root)


# Contents that do not fit


@pytest.mark.parametrize("chunks", [[], [("a", False)], [("a", True), ("b", False)]])
def test_a_content_without_its_last_chunk_commits_nothing(
    node: Node, caller: Principal, stored: Stored, root: Oid, chunks: list[tuple[str, bool]]
) -> None:
    packs = stored.packs()
    files = [change("a", b"")[0], change("b", b"")[0]]
    with start_commit(node, caller, StartCommit("r", MAIN, FACTS, files)) as pending:
        for content_id, eof in chunks:
            pending.add_chunk(content_id, b"x", eof=eof)
        with pytest.raises(ContentUnfinished) as refused:
            pending.commit()
    assert refused.value.content_id == ("b" if ("a", True) in chunks else "a")
    assert (stored.tip(), stored.packs()) == (root, packs)


def test_a_chunk_of_no_file_and_a_chunk_after_the_last_are_refused(
    node: Node, caller: Principal, repo: str
) -> None:
    with start_commit(node, caller, StartCommit(repo, MAIN, FACTS, [change("a", b"")[0]])) as pending:
        with pytest.raises(ChunkUnknown):
            pending.add_chunk("b", b"x", eof=True)
        pending.add_chunk("a", b"x", eof=True)
        with pytest.raises(ChunkAfterLast):
            pending.add_chunk("a", b"", eof=True)


def test_the_content_of_a_deleted_file_is_ignored(
    node: Node, caller: Principal, stored: Stored, root: Oid
) -> None:
    with start_commit(node, caller, StartCommit("r", MAIN, FACTS, [change("a", None)[0]])) as pending:
        for _ in range(2):
            pending.add_chunk("a", b"x" * 100, eof=True)
        new = pending.commit()
        assert pending.blob_count == 0
    assert stored.files(new.commit) == {b"folder/b": b"two\n"}


def test_a_file_may_be_as_large_as_the_setting_and_no_larger(
    node: Node, caller: Principal, stored: Stored
) -> None:
    node = replace(node, config=replace(node.config, blob_max_bytes=10))
    commit(node, caller, change("a", b"x" * 10))
    error = refuse(node, caller, stored, FileTooLarge, [change("b", b"x" * 11)])
    assert isinstance(error, FileTooLarge)
    assert error.max_bytes == 10


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (b"", SubmoduleInvalid),
        (b"1" * 39, SubmoduleInvalid),
        (b"g" * 40, SubmoduleInvalid),
        (b"\xff" * 40, SubmoduleInvalid),
        (b"1" * 300, SubmoduleInvalid),
        (b"0" * 40, SubmoduleZero),
    ],
)
def test_a_submodule_is_an_object_id(
    node: Node, caller: Principal, stored: Stored, content: bytes, error: type[Exception]
) -> None:
    refuse(node, caller, stored, error, [change("module", content, MODE_GITLINK)])


def test_a_hostile_gitmodules_is_refused(node: Node, caller: Principal, stored: Stored, root: Oid) -> None:
    url = b'[submodule "x"]\n\tpath = x\n\turl = --upload-pack=evil\n'
    refuse(node, caller, stored, Invalid, [change(".gitmodules", url)])


# Where the commit goes


def guarded(expected: str, *, branch: str = "main", base: str | None = None) -> CommitTarget:
    """Return a branch as target, with a guard."""
    base_refname = None if base is None else branch_refname(base)
    return CommitTarget(PERSISTENT, branch_refname(branch), base_refname=base_refname, expected=expected)


@pytest.mark.parametrize("expected", ["{id}", "{id:.10}", "main", "HEAD", "refs/heads/main"])
def test_a_guard_that_holds_lets_the_commit_through(
    node: Node, caller: Principal, root: Oid, expected: str
) -> None:
    target = guarded(expected.format(id=root).upper() if expected == "{id}" else expected.format(id=root))
    assert commit(node, caller, change("a", b"2\n"), target=target).old_oid == root


@pytest.mark.parametrize("expected", ["1" * 40, ZERO_OID, "nowhere", "main~1", "a..b"])
def test_a_failed_guard_names_the_tip_of_the_branch(
    node: Node, caller: Principal, stored: Stored, root: Oid, expected: str
) -> None:
    error = refuse(node, caller, stored, GuardMismatch, [change("a", b"2\n")], target=guarded(expected))
    assert isinstance(error, GuardMismatch)
    assert (error.branch, error.expected, error.actual) == ("main", expected, root)


def test_the_guard_of_a_new_branch_is_about_its_base(
    node: Node, caller: Principal, stored: Stored, root: Oid
) -> None:
    wrong = guarded("1" * 40, branch="side", base="main")
    error = refuse(node, caller, stored, GuardMismatch, [change("a", b"2\n")], target=wrong)
    assert isinstance(error, GuardMismatch)
    assert (error.branch, error.actual) == ("main", root)
    new = commit(node, caller, change("a", b"2\n"), target=guarded(root, branch="side", base="main"))
    assert (new.old_oid, stored.commit(new.commit).parents) == (None, (root,))
    assert (stored.tip("side"), stored.tip()) == (new.commit, root)


def test_a_base_is_ignored_once_the_branch_exists(
    node: Node, caller: Principal, stored: Stored, root: Oid
) -> None:
    target = replace(MAIN, refname=branch_refname("side"), base_refname=MAIN.refname)
    first = commit(node, caller, change("a", b"2\n"), target=target)
    second = commit(node, caller, change("a", b"3\n"), target=target)
    assert stored.commit(second.commit).parents == (first.commit,)
    nowhere = replace(target, base_refname=branch_refname("nowhere"))
    assert commit(node, caller, target=nowhere).old_oid == second.commit


def test_a_new_branch_needs_a_base_that_exists_once_there_is_a_branch(
    node: Node, caller: Principal, stored: Stored, root: Oid
) -> None:
    side = replace(MAIN, refname=branch_refname("side"))
    for target, missing in (
        (side, "side"),
        (replace(side, expected=ZERO_OID), "side"),
        (replace(side, base_refname=branch_refname("nowhere")), "nowhere"),
        (replace(side, base_refname=MAIN.refname, base_namespace=EPHEMERAL), "main"),
    ):
        error = refuse(node, caller, stored, BranchNotFound, [change("a", b"2\n")], target=target)
        assert isinstance(error, BranchNotFound)
        assert error.branch == missing


def test_an_ephemeral_branch_starts_at_a_persistent_one_and_leaves_it_alone(
    node: Node, caller: Principal, stored: Stored, root: Oid
) -> None:
    target = CommitTarget(EPHEMERAL, MAIN.refname, PERSISTENT, MAIN.refname)
    new = commit(node, caller, change("a", b"2\n"), target=target)
    assert stored.tip(namespace=EPHEMERAL) == new.commit
    assert stored.tip() == root
    assert stored.last_move().namespace == EPHEMERAL


@pytest.mark.parametrize("name", [b"HEAD", b"-x", b"refs/heads/x", b"a" * 40])
def test_a_new_branch_has_no_name_that_means_something_else(
    node: Node, caller: Principal, stored: Stored, root: Oid, name: bytes
) -> None:
    target = CommitTarget(PERSISTENT, RefName(b"refs/heads/" + name), base_refname=MAIN.refname)
    refuse(node, caller, stored, NewNameRefused, [change("a", b"2\n")], target=target)


def test_a_new_branch_cannot_be_a_folder_of_another(
    node: Node, caller: Principal, stored: Stored, root: Oid
) -> None:
    target = CommitTarget(PERSISTENT, branch_refname("main/x"), base_refname=MAIN.refname)
    refuse(node, caller, stored, RefNameConflict, [change("a", b"2\n")], target=target)


def test_a_repository_that_is_missing_deleted_or_of_others_takes_no_commit(
    node: Node, caller: Principal, stranger: Principal, root: Oid
) -> None:
    for who, repo in ((caller, "other"), (stranger, "r")):
        with pytest.raises(RepoNotFound):
            start_commit(node, who, StartCommit(repo, MAIN, FACTS, []))
    with start_commit(node, caller, StartCommit("r", MAIN, FACTS, [])) as pending:
        delete_repo(node, caller, DeleteRepo("r"))
        with pytest.raises(RepoNotFound):
            pending.commit()


# Policies and receipts


@pytest.mark.parametrize("op", ["no-push", "verify-sig"])
def test_a_policy_refuses_the_commit_before_anything_is_stored(
    node: Node, caller: Principal, stored: Stored, root: Oid, op: str
) -> None:
    bound = with_policy(caller, ["refs/heads/main", [op]])
    error = refuse(node, bound, stored, PolicyDenied, [change("a", b"2\n")])
    assert isinstance(error, PolicyDenied)
    assert (error.refname, error.op) == ("refs/heads/main", op)
    side = replace(MAIN, refname=branch_refname("side"), base_refname=MAIN.refname)
    commit(node, bound, change("a", b"2\n"), target=side)


def test_a_commit_is_no_forced_push(node: Node, caller: Principal, root: Oid) -> None:
    commit(node, with_policy(caller, ["*", ["no-force-push"]]), change("a", b"2\n"))


def test_a_malformed_policy_allows_no_commit(
    node: Node, caller: Principal, stored: Stored, root: Oid
) -> None:
    broken = replace(caller, policy=RefPolicy(invalid="it is no list"))
    refuse(node, broken, stored, PolicyUnusable, [change("a", b"2\n")])


def test_the_answer_is_kept_with_the_commit_and_a_second_one_moves_nothing(
    node: Node, caller: Principal, stored: Stored, root: Oid
) -> None:
    receipt = Receipt(Ticket("k", "f"), as_answer)
    new = commit(node, caller, change("a", b"2\n"), receipt=receipt)
    found = find_answer(node, caller, FindAnswer("r", key="k"))
    assert receipt.ticket.is_kept
    assert found is not None and found.answer.body == new.commit.encode()
    packs = stored.packs()
    with pytest.raises(KeyTaken):
        commit(node, caller, change("a", b"3\n"), receipt=replace(receipt, ticket=Ticket("k", "f")))
    assert (stored.tip(), stored.packs()) == (new.commit, packs)


# The end


def test_a_commit_that_is_closed_leaves_nothing(
    node: Node, caller: Principal, stored: Stored, root: Oid
) -> None:
    packs = stored.packs()
    pending = start_commit(node, caller, StartCommit("r", MAIN, FACTS, [change("a", b"")[0]]))
    for is_last in (False, True):  # more than stays in memory
        pending.add_chunk("a", random.Random(1).randbytes(pack_buffer_max_bytes), eof=is_last)
    assert stored.temporary_files()
    pending.close()
    pending.close()
    assert (stored.tip(), stored.packs(), stored.temporary_files()) == (root, packs, [])


def test_closing_after_the_commit_takes_nothing_back(
    node: Node, caller: Principal, stored: Stored, root: Oid
) -> None:
    pending = start_commit(node, caller, StartCommit("r", MAIN, FACTS, [change("a", b"")[0]]))
    pending.add_chunk("a", b"2\n", eof=True)
    new = pending.commit()
    pending.close()
    assert stored.tip() == new.commit
    assert stored.files(new.commit)[b"a"] == b"2\n"
    assert stored.temporary_files() == []
