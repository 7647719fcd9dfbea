"""Kept answers: in the transaction of the write, whenever the process dies; on SQLite and on PostgreSQL."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from packhouse.auth.principal import Principal, operator_principal
from packhouse.config import Config
from packhouse.db.kept_answers import has_kept_answer
from packhouse.git.objects.codec import MODE_FILE
from packhouse.git.objects.tree_path import TreePath
from packhouse.git.refname import PERSISTENT, RefName
from packhouse.ids import RepoKey
from packhouse.jobs import prune_events as prune_job
from packhouse.jobs.task import Job
from packhouse.limits import Limits
from packhouse.node.node import Node, open_node
from packhouse.node.wakeups import Wakeups
from packhouse.operations.answers.find_answer import FindAnswer, FoundAnswer, find_answer
from packhouse.operations.answers.keep_answer import KeepAnswer, keep_answer
from packhouse.operations.catalog.lookup import lookup_repo
from packhouse.operations.commits.add_commit import CommitFacts, NewCommit
from packhouse.operations.commits.commit_target import CommitTarget
from packhouse.operations.commits.merge import Merge, MergeStrategy, merge
from packhouse.operations.commits.restore_commit import RestoreCommit, restore_commit
from packhouse.operations.commits.start_commit import FileChange, StartCommit, start_commit
from packhouse.operations.events.prune_events import PruneEvents, prune_events
from packhouse.operations.notes.write_note import NoteAction, WriteNote, write_note
from packhouse.operations.packs.clean_repo import CleanRepo, clean_repo
from packhouse.operations.refs.create_branch import CreateBranch, create_branch
from packhouse.operations.refs.create_tag import CreateTag, create_tag
from packhouse.operations.refs.delete_branch import DeleteBranch, delete_branch
from packhouse.operations.refs.delete_tag import DeleteTag, delete_tag
from packhouse.operations.refs.read_ref_log import ReadRefLog, read_ref_log
from packhouse.operations.repos.bases import UpstreamBase
from packhouse.operations.repos.create_repo import CreateRepo, create_repo
from packhouse.operations.repos.delete_repo import DeleteRepo, delete_repo
from packhouse.operations.repos.fill_repo import FilledRepo, fill_repo
from packhouse.operations.repos.list_repos import ListRepos, list_repos
from packhouse.operations.repos.repo_info import RepoInfo
from packhouse.operations.tenants.create_org import CreateOrg, create_org
from packhouse.repository.refs.receipts import (
    Answer,
    KeyTaken,
    Receipt,
    Ticket,
)
from packhouse.repository.view import RepoView
from packhouse.repository.write import Write
from tests.support.builders.node_writes import ADA

SPAWN = multiprocessing.get_context("spawn")
MAIN = RefName(b"refs/heads/main")
DAY_S = 24 * 3600
ANSWER = Answer(201, (("content-type", "application/json"),), b"{}")
START = 1000  # of the node's clock


class Undone(Exception):
    """The error that a test throws into a transaction."""


def receipt(key: str = "k", fingerprint: str = "f") -> Receipt[Any]:
    """Return a receipt whose answer is always the same."""
    return Receipt(Ticket(key, fingerprint), lambda _: ANSWER)


def failing_receipt() -> Receipt[Any]:
    """Return a receipt that undoes any transaction that asks it for the answer."""

    def fail(_: object) -> Answer:
        raise Undone

    return Receipt(Ticket("k", "f"), fail)


def commit(
    node: Node, caller: Principal, content: bytes, kept: Receipt[NewCommit] | None = None
) -> NewCommit:
    """Put a commit with one file on main of `r`."""
    target, facts = CommitTarget(PERSISTENT, MAIN), CommitFacts(b"m\n", ADA, ADA)
    command = StartCommit("r", target, facts, [FileChange(TreePath(b"a"), "c", MODE_FILE)])
    with start_commit(node, caller, command) as making:
        making.add_chunk("c", content, eof=True)
        return making.commit(receipt=kept)


def new_branch(node: Node, caller: Principal, name: bytes, kept: Receipt[Any] | None = None) -> None:
    """Create a branch on main."""
    target = RefName(b"refs/heads/" + name)
    create_branch(node, caller, CreateBranch("r", target, base_ref="main"), receipt=kept)


def add_note(node: Node, caller: Principal, kept: Receipt[Any] | None = None) -> None:
    """Add a note to the tip of main."""
    command = WriteNote("r", "main", RefName(b"refs/notes/commits"), NoteAction.ADD, "text")
    write_note(node, caller, command, receipt=kept)


def merge_side(node: Node, caller: Principal, strategy: MergeStrategy, kept: Receipt[Any]) -> None:
    """Merge main into the branch `side`, which is behind it."""
    command = Merge("r", "main", False, RefName(b"refs/heads/side"), False, strategy)
    merge(node, caller, command, receipt=kept)


def restore(node: Node, caller: Principal, kept: Receipt[Any]) -> None:
    """Bring back the first commit's tree."""
    target = CommitTarget(PERSISTENT, MAIN)
    restore_commit(node, caller, RestoreCommit("r", target, "main~1", None, ADA, ADA), receipt=kept)


def create_filled(node: Node, caller: Principal, kept: Receipt[RepoInfo]) -> None:
    """Create a repository that starts with an object."""
    with RepoView(node, lookup_repo(node, caller, "r")) as view, Write(view) as write:
        write.writer.add_object("blob", b"content")
        fill_repo(node, caller, FilledRepo("filled", "main", [], "fork"), write, receipt=kept)


WRITERS: dict[str, Callable[[Node, Principal, Receipt[Any]], object]] = {
    "commit": lambda node, caller, kept: commit(node, caller, b"3", kept),
    "restore": restore,
    "merge": lambda node, caller, kept: merge_side(node, caller, MergeStrategy.MERGE, kept),
    "fast-forward": lambda node, caller, kept: merge_side(node, caller, MergeStrategy.FF_ONLY, kept),
    "create branch": lambda node, caller, kept: new_branch(node, caller, b"new", kept),
    "delete branch": lambda node, caller, kept: delete_branch(
        node, caller, DeleteBranch("r", RefName(b"refs/heads/side")), receipt=kept
    ),
    "create tag": lambda node, caller, kept: create_tag(
        node, caller, CreateTag("r", RefName(b"refs/tags/v2"), "main"), receipt=kept
    ),
    "delete tag": lambda node, caller, kept: delete_tag(
        node, caller, DeleteTag("r", RefName(b"refs/tags/v1")), receipt=kept
    ),
    "note": add_note,
}
CREATORS: dict[str, Callable[[Node, Principal, Receipt[RepoInfo]], object]] = {
    "empty": lambda node, caller, kept: create_repo(node, caller, CreateRepo("empty"), receipt=kept),
    "filled": create_filled,
    "upstream": lambda node, caller, kept: create_repo(
        node,
        caller,
        CreateRepo("mirror", base=UpstreamBase("github", "acme", "shop")),
        receipt=kept,
    ),
}


@pytest.fixture
def filled(node: Node, caller: Principal) -> Node:
    """A node with the repository `r`: two commits on main, one on side, a tag."""
    create_repo(node, caller, CreateRepo("r"))
    commit(node, caller, b"1")
    new_branch(node, caller, b"side")
    commit(node, caller, b"2")
    create_tag(node, caller, CreateTag("r", RefName(b"refs/tags/v1"), "main"))
    return node


def count_moves(node: Node, caller: Principal) -> int:
    """Return how many rows the ref log of `r` has."""
    return len(read_ref_log(node, caller, ReadRefLog("r", count_max=100)).moves)


def is_stored(node: Node, caller: Principal, repo_id: RepoKey, key: str) -> bool:
    """Tell whether there is a row of any age, even for a deleted repository."""
    with node.database.read() as session:
        return has_kept_answer(session, repo_id, key, expired=-1)


@pytest.mark.parametrize("writer", WRITERS)
def test_a_write_and_its_answer_are_one_transaction(filled: Node, caller: Principal, writer: str) -> None:
    before = count_moves(filled, caller)
    with pytest.raises(Undone):
        WRITERS[writer](filled, caller, failing_receipt())
    assert count_moves(filled, caller) == before
    assert find_answer(filled, caller, FindAnswer("r", key="k")) is None
    kept = receipt()
    WRITERS[writer](filled, caller, kept)
    assert kept.ticket.is_kept
    assert find_answer(filled, caller, FindAnswer("r", key="k")) == FoundAnswer("f", ANSWER)
    assert count_moves(filled, caller) == before + 1


@pytest.mark.parametrize("writer", WRITERS)
def test_a_write_whose_key_another_one_has_used_moves_nothing(
    filled: Node, caller: Principal, writer: str
) -> None:
    keep_answer(filled, caller, KeepAnswer("r", Ticket("k", "other"), ANSWER))
    before = count_moves(filled, caller)
    with pytest.raises(KeyTaken):
        WRITERS[writer](filled, caller, receipt())
    assert count_moves(filled, caller) == before
    assert find_answer(filled, caller, FindAnswer("r", key="k")) == FoundAnswer("other", ANSWER)


@pytest.mark.parametrize("creator", CREATORS)
def test_a_creation_and_its_answer_are_one_transaction(filled: Node, caller: Principal, creator: str) -> None:
    def names() -> list[str]:
        return [repo.name for repo in list_repos(filled, caller, ListRepos()).repos]

    before = names()
    with pytest.raises(Undone):
        CREATORS[creator](filled, caller, failing_receipt())
    assert names() == before
    CREATORS[creator](filled, caller, receipt())
    (name,) = set(names()) - set(before)
    assert find_answer(filled, caller, FindAnswer(name, key="k")) == FoundAnswer("f", ANSWER)


def test_an_answer_is_kept_for_a_day_and_not_longer(filled: Node, caller: Principal) -> None:
    commit(filled, caller, b"3", receipt())
    filled.clock = lambda: START + DAY_S - 1
    assert find_answer(filled, caller, FindAnswer("r", key="k")) is not None
    with pytest.raises(KeyTaken):
        commit(filled, caller, b"4", receipt())
    filled.clock = lambda: START + DAY_S
    assert find_answer(filled, caller, FindAnswer("r", key="k")) is None
    commit(filled, caller, b"4", receipt("k", "later"))
    assert find_answer(filled, caller, FindAnswer("r", key="k")) == FoundAnswer("later", ANSWER)


def test_old_answers_are_deleted_in_batches(filled: Node, caller: Principal) -> None:
    filled = replace(filled, limits=Limits(prune_batch=2))
    for number in range(5):
        keep_answer(filled, caller, KeepAnswer("r", Ticket(f"k{number}", "f"), ANSWER))
    filled.clock = lambda: START + 10
    keep_answer(filled, caller, KeepAnswer("r", Ticket("young", "f"), ANSWER))
    repo_id = lookup_repo(filled, caller, "r").id
    filled.clock = lambda: START + DAY_S

    def left() -> int:
        return sum(is_stored(filled, caller, repo_id, f"k{number}") for number in range(5))

    assert not prune_events(filled, PruneEvents(should_stop=lambda: True))
    assert left() == 3
    job = Job("prune_events", "all", None, {}, 1, False, threading.Event().is_set)
    prune_job.run(filled, job)
    assert left() == 0
    assert is_stored(filled, caller, repo_id, "young")


def test_keys_are_deleted_with_their_repository(filled: Node, caller: Principal) -> None:
    keep_answer(filled, caller, KeepAnswer("r", Ticket("k", "f"), ANSWER))
    repo = lookup_repo(filled, caller, "r")
    delete_repo(filled, caller, DeleteRepo("r"))
    assert find_answer(filled, caller, FindAnswer("r", key="k")) is None
    create_repo(filled, caller, CreateRepo("r"))
    assert find_answer(filled, caller, FindAnswer("r", key="k")) is None
    assert is_stored(filled, caller, repo.id, "k")
    assert clean_repo(filled, CleanRepo(repo.public_id))
    assert not is_stored(filled, caller, repo.id, "k")


def test_another_organisation_or_repository_sees_no_answer(filled: Node, caller: Principal) -> None:
    keep_answer(filled, caller, KeepAnswer("r", Ticket("k", "f"), ANSWER))
    create_repo(filled, caller, CreateRepo("r2"))
    other = create_org(filled, CreateOrg("other"))
    stranger = operator_principal(other.id, other.name)
    create_repo(filled, stranger, CreateRepo("r"))
    assert find_answer(filled, caller, FindAnswer("r2", key="k")) is None
    assert find_answer(filled, stranger, FindAnswer("r", key="k")) is None
    assert find_answer(filled, caller, FindAnswer("no\0name", key="k")) is None


class Deadly(Wakeups):
    """Kills the process when a write wakes it, which is after the commit and before any answer."""

    def notify(self) -> None:
        """Die."""
        die()


def die() -> None:
    """End like a process in a power cut."""
    os.kill(os.getpid(), signal.SIGKILL)


def commit_and_die(config: Config, caller: Principal, *, after_commit: bool) -> None:
    """Commit with a key and be killed just before or just after the transaction has been committed."""
    node = open_node(config)
    node.clock = lambda: START

    def render(_: NewCommit) -> Answer:
        if not after_commit:
            die()
        return ANSWER

    if after_commit:
        node.wakeups = Deadly()
    commit(node, caller, b"3", Receipt(Ticket("k", "f"), render))


@pytest.mark.parametrize("after_commit", [False, True])
def test_after_a_kill_a_write_and_its_answer_exist_together_or_not_at_all(
    filled: Node, caller: Principal, *, after_commit: bool
) -> None:
    before = count_moves(filled, caller)
    process = SPAWN.Process(
        target=commit_and_die, args=(filled.config, caller), kwargs={"after_commit": after_commit}
    )
    process.start()
    process.join(120)
    assert process.exitcode == -signal.SIGKILL
    assert count_moves(filled, caller) == before + after_commit
    assert find_answer(filled, caller, FindAnswer("r", key="k")) == (
        FoundAnswer("f", ANSWER) if after_commit else None
    )
    if after_commit:
        with pytest.raises(KeyTaken):
            commit(filled, caller, b"3", receipt())
    else:
        commit(filled, caller, b"3", receipt())
    assert count_moves(filled, caller) == before + 1
