"""The only way to change refs: first the policy, then refs, packs, events and the kept answer in one transaction."""

import json
import random
from collections.abc import Callable, Mapping
from dataclasses import replace

import pytest

from packhouse.auth.policy import PolicyDenied, RefPolicy
from packhouse.auth.principal import Principal
from packhouse.db.kept_answers import has_kept_answer
from packhouse.db.ref_transaction import DefaultBranchProtected, RefMismatch, RefNameConflict, RefUpdate
from packhouse.db.refs import get_ref, list_ref_log
from packhouse.db.repos import Repo, RepoNotFound
from packhouse.git.oid import ZERO_OID, Oid
from packhouse.git.refname import EPHEMERAL, PERSISTENT, RefName
from packhouse.node.node import Node
from packhouse.operations.events.open_events import EventReader
from packhouse.operations.repos.delete_repo import DeleteRepo, delete_repo
from packhouse.repository.refs.receipts import Answer, KeyTaken, Receipt, Ticket, bind
from packhouse.repository.refs.writer import AllowedUpdate, RefWriter
from packhouse.repository.view import RepoView
from packhouse.repository.write import Write
from tests.support.builders.node_writes import (
    MAIN,
    journal_packs,
    move_refs,
    pack_states,
    write_commit_object,
)

pytestmark = pytest.mark.quick

SIDE = RefName(b"refs/heads/side")
ONE, TWO, THREE = (Oid(digit * 40) for digit in "123")


def tip(node: Node, repo: Repo, refname: RefName = MAIN, namespace: str = PERSISTENT) -> Oid | None:
    with node.database.read() as session:
        ref = get_ref(session, repo.id, namespace, refname)
    return None if ref is None else ref.oid


def events(node: Node, repo: Repo) -> list[dict[str, object]]:
    return [json.loads(event.payload) for event in EventReader(node, repo.id).read()]


def limited(caller: Principal, *rules: tuple[str, list[str]]) -> Principal:
    """Return a caller whose token has these rules for refs."""
    claims: Mapping[str, object] = {"refs": [[pattern, ops] for pattern, ops in rules]}
    return replace(caller, policy=RefPolicy.parse(claims))


def allow(
    node: Node, caller: Principal, repo: Repo, update: RefUpdate, *, is_fast_forward: bool = True
) -> AllowedUpdate:
    writer = RefWriter(node, caller, repo, action="test")
    return writer.allow(update, is_fast_forward=lambda: is_fast_forward)


# Policy


def test_an_update_that_the_token_forbids_is_refused_before_any_ref_moves(
    node: Node, caller: Principal, repo: Repo
) -> None:
    guarded = limited(caller, ("refs/heads/main", ["no-push"]))
    with pytest.raises(PolicyDenied):
        allow(node, guarded, repo, RefUpdate(PERSISTENT, MAIN, None, ONE))
    assert allow(node, guarded, repo, RefUpdate(PERSISTENT, SIDE, None, ONE)).update.refname == SIDE


def test_only_a_rule_that_depends_on_the_kind_of_update_asks_for_it(
    node: Node, caller: Principal, repo: Repo
) -> None:
    """The answer may cost a walk of the history."""
    asked: list[str] = []

    def ask() -> bool:
        asked.append("ancestry")
        return False

    update = RefUpdate(PERSISTENT, MAIN, ONE, TWO)
    RefWriter(node, caller, repo, action="test").allow(update, is_fast_forward=ask)
    assert asked == []
    guarded = RefWriter(node, limited(caller, ("refs/heads/*", ["no-force-push"])), repo, action="test")
    for free in (
        RefUpdate(PERSISTENT, MAIN, None, ONE),
        RefUpdate(PERSISTENT, RefName(b"refs/tags/v1"), ONE, TWO),
    ):
        guarded.allow(free, is_fast_forward=ask)
    assert asked == []
    with pytest.raises(PolicyDenied):
        guarded.allow(update, is_fast_forward=ask)
    assert asked == ["ancestry"]
    guarded.allow(update, is_fast_forward=lambda: True)


# Refs, packs, log and events


def test_refs_move_with_their_packs_log_and_events(node: Node, caller: Principal, repo: Repo) -> None:
    seen = node.wakeups.wait(0, 0)
    with RepoView(node, repo) as view, Write(view) as write:
        commit = write_commit_object(write)
        (outcome,) = move_refs(
            node, caller, repo, RefUpdate(PERSISTENT, MAIN, None, commit), write=write, action="commit-pack"
        )
    assert (outcome.previous_oid, outcome.error, outcome.moved) == (None, None, True)
    assert tip(node, repo) == commit
    assert (len(journal_packs(node, repo)), pack_states(node, repo)) == (1, {})
    with node.database.read() as session:
        (entry,) = list_ref_log(session, repo.id, limit=10)
    assert (entry.old_oid, entry.new_oid, entry.actor, entry.action) == (
        None,
        commit,
        "operator",
        "commit-pack",
    )
    (event,) = events(node, repo)
    assert (event["ref"], event["before"], event["after"]) == ("refs/heads/main", ZERO_OID, commit)
    assert node.wakeups.wait(seen, 0) > seen, "the loops that tell of events are woken"


def test_an_update_to_the_same_value_is_no_event(node: Node, caller: Principal, repo: Repo) -> None:
    move_refs(node, caller, repo, RefUpdate(PERSISTENT, MAIN, None, ONE))
    (outcome,) = move_refs(node, caller, repo, RefUpdate(PERSISTENT, MAIN, ONE, ONE))
    assert not outcome.moved
    assert len(events(node, repo)) == 1


def test_ephemeral_branches_and_notes_are_no_event(node: Node, caller: Principal, repo: Repo) -> None:
    move_refs(
        node,
        caller,
        repo,
        RefUpdate(EPHEMERAL, MAIN, None, ONE),
        RefUpdate(PERSISTENT, RefName(b"refs/notes/commits"), None, TWO),
    )
    assert tip(node, repo, namespace=EPHEMERAL) == ONE
    assert events(node, repo) == []
    node.config = replace(node.config, ephemeral_events=True)
    move_refs(node, caller, repo, RefUpdate(EPHEMERAL, MAIN, ONE, TWO))
    assert [event["after"] for event in events(node, repo)] == [TWO]


def test_after_one_failure_no_ref_of_an_atomic_call_moves(node: Node, caller: Principal, repo: Repo) -> None:
    move_refs(node, caller, repo, RefUpdate(PERSISTENT, MAIN, None, ONE))
    with pytest.raises(RefMismatch) as refused:
        move_refs(
            node,
            caller,
            repo,
            RefUpdate(PERSISTENT, SIDE, None, TWO),
            RefUpdate(PERSISTENT, MAIN, TWO, THREE),
        )
    assert (refused.value.expected, refused.value.actual) == (TWO, ONE)
    assert (tip(node, repo), tip(node, repo, SIDE)) == (ONE, None)
    assert len(events(node, repo)) == 1


def test_without_atomic_each_update_has_an_outcome_of_its_own(
    node: Node, caller: Principal, repo: Repo
) -> None:
    move_refs(node, caller, repo, RefUpdate(PERSISTENT, MAIN, None, ONE))
    updates = [
        RefUpdate(PERSISTENT, SIDE, None, TWO),
        RefUpdate(PERSISTENT, MAIN, TWO, THREE),
        RefUpdate(PERSISTENT, RefName(b"refs/heads/side/deeper"), None, TWO),
        RefUpdate(PERSISTENT, RefName(b"refs/tags/v1"), None, ONE),
    ]
    writer = RefWriter(node, caller, repo, action="push")
    allowed = [writer.allow(update, is_fast_forward=lambda: True) for update in updates]
    outcomes = writer.move(allowed, receipt=None, atomic=False)
    assert [type(outcome.error) for outcome in outcomes] == [
        type(None),
        RefMismatch,
        RefNameConflict,
        type(None),
    ]
    assert (tip(node, repo), tip(node, repo, SIDE)) == (ONE, TWO)


def test_a_rehearsal_returns_the_outcomes_and_changes_nothing(
    node: Node, caller: Principal, repo: Repo
) -> None:
    move_refs(node, caller, repo, RefUpdate(PERSISTENT, SIDE, None, ONE))
    writer = RefWriter(node, caller, repo, action="test")

    def rehearse(update: RefUpdate) -> None:
        writer.rehearse([writer.allow(update, is_fast_forward=lambda: True)])

    rehearse(RefUpdate(PERSISTENT, MAIN, None, ONE))
    assert tip(node, repo) is None
    with pytest.raises(RefNameConflict):
        rehearse(RefUpdate(PERSISTENT, RefName(b"refs/heads/side/deeper"), None, ONE))
    with pytest.raises(RefMismatch):
        rehearse(RefUpdate(PERSISTENT, SIDE, TWO, THREE))
    assert len(events(node, repo)) == 1


def test_the_default_branch_cannot_be_deleted(node: Node, caller: Principal, repo: Repo) -> None:
    move_refs(node, caller, repo, RefUpdate(PERSISTENT, MAIN, None, ONE))
    with pytest.raises(DefaultBranchProtected):
        move_refs(node, caller, repo, RefUpdate(PERSISTENT, MAIN, ONE, None))
    assert tip(node, repo) == ONE


def test_the_error_for_a_deleted_repository_has_the_name_that_users_know(
    node: Node, caller: Principal, repo: Repo
) -> None:
    delete_repo(node, caller, DeleteRepo("shop"))
    update = RefUpdate(PERSISTENT, MAIN, None, ONE)
    writer = RefWriter(node, caller, repo, action="test")
    allowed = writer.allow(update, is_fast_forward=lambda: True)
    calls: list[Callable[[], object]] = [
        lambda: writer.move([allowed], receipt=None),
        lambda: writer.rehearse([allowed]),
    ]
    for call in calls:
        with pytest.raises(RepoNotFound) as gone:
            call()
        assert gone.value.fields["repo"] == "shop"


def test_a_failed_move_leaves_no_row_in_the_journal(node: Node, caller: Principal, repo: Repo) -> None:
    with RepoView(node, repo) as view, Write(view) as write:
        commit = write_commit_object(write)
        with pytest.raises(RefMismatch):
            move_refs(node, caller, repo, RefUpdate(PERSISTENT, MAIN, TWO, commit), write=write)
    assert (journal_packs(node, repo), pack_states(node, repo)) == ([], {})


def test_a_pack_above_the_bound_of_the_journal_is_stored(node: Node, caller: Principal, repo: Repo) -> None:
    bounds = replace(node.limits, journal_pack_max_bytes=1000)
    few = replace(node, limits=bounds)
    for size, where in ((100, (1, 0)), (2000, (1, 1))):
        with RepoView(few, repo) as view, Write(view) as write:
            commit = write_commit_object(write, message=random.Random(size).randbytes(size).hex().encode())
            move_refs(few, caller, repo, RefUpdate(PERSISTENT, MAIN, None, commit, any_old=True), write=write)
        assert (len(journal_packs(node, repo)), len(pack_states(node, repo))) == where


def test_packs_of_a_failed_move_are_removed_with_their_write(
    node: Node, caller: Principal, repo: Repo
) -> None:
    node = replace(node, limits=replace(node.limits, journal_pack_max_bytes=0))
    with RepoView(node, repo) as view, Write(view) as write:
        commit = write_commit_object(write)
        with pytest.raises(RefMismatch):
            move_refs(node, caller, repo, RefUpdate(PERSISTENT, MAIN, TWO, commit), write=write)
        assert list(pack_states(node, repo).values()) == ["incoming"]
    assert pack_states(node, repo) == {}


# Kept answers


def test_an_answer_is_kept_with_the_write_and_only_once(node: Node, caller: Principal, repo: Repo) -> None:
    receipt: Receipt[str] = Receipt(Ticket("key", "print"), lambda text: Answer(200, (), text.encode()))
    writer = RefWriter(node, caller, repo, action="test")

    def move(update: RefUpdate) -> None:
        allowed = writer.allow(update, is_fast_forward=lambda: True)
        writer.move([allowed], receipt=bind(receipt, lambda: "done"))

    move(RefUpdate(PERSISTENT, MAIN, None, ONE))
    assert receipt.ticket.is_kept
    with node.database.read() as session:
        assert has_kept_answer(session, repo.id, "key", expired=0)
    with pytest.raises(KeyTaken):
        move(RefUpdate(PERSISTENT, MAIN, ONE, TWO))
    assert tip(node, repo) == ONE


def test_a_write_that_fails_keeps_no_answer(node: Node, caller: Principal, repo: Repo) -> None:
    receipt: Receipt[str] = Receipt(Ticket("key", "print"), lambda text: Answer(200, (), text.encode()))
    writer = RefWriter(node, caller, repo, action="test")
    allowed = writer.allow(RefUpdate(PERSISTENT, MAIN, TWO, ONE), is_fast_forward=lambda: True)
    with pytest.raises(RefMismatch):
        writer.move([allowed], receipt=bind(receipt, lambda: "done"))
    with node.database.read() as session:
        assert not has_kept_answer(session, repo.id, "key", expired=0)


def test_an_answer_that_cannot_be_made_undoes_the_write(node: Node, caller: Principal, repo: Repo) -> None:
    """A write whose repeats could not be answered must not happen."""

    def fail() -> str:
        raise RuntimeError("of the test")

    receipt: Receipt[str] = Receipt(Ticket("key", "print"), lambda text: Answer(200, (), text.encode()))
    writer = RefWriter(node, caller, repo, action="test")
    allowed = writer.allow(RefUpdate(PERSISTENT, MAIN, None, ONE), is_fast_forward=lambda: True)
    with pytest.raises(RuntimeError):
        writer.move([allowed], receipt=bind(receipt, fail))
    assert tip(node, repo) is None
    assert events(node, repo) == []


# Upkeep


def test_a_repository_with_many_packs_requests_consolidation_now_and_then(
    node: Node, caller: Principal, repo: Repo
) -> None:
    node = replace(node, limits=replace(node.limits, packs_before_consolidation=10, journal_pack_max_bytes=0))
    at: list[int] = []
    commit: Oid | None = None
    for number in range(1, 20):
        with RepoView(node, repo) as view, Write(view) as write:
            parents = [] if commit is None else [commit]
            new = write_commit_object(write, *parents, message=b"%d\n" % number)
            move_refs(node, caller, repo, RefUpdate(PERSISTENT, MAIN, commit, new), write=write)
        commit = new
        if node.maintenance.get(timeout_s=0) == repo.public_id:
            at.append(number)
    assert at == [16], "packs are counted with every eighth; at 8 they were still few"
