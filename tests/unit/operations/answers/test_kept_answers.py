"""Kept answers for requests with an idempotency key: with the write or alone, for a day, and in one repository."""

from dataclasses import replace

import pytest

from packhouse.auth.principal import Principal
from packhouse.git.refname import branch_refname, tag_refname
from packhouse.limits import Limits, answers_keep_s
from packhouse.node.node import Node
from packhouse.operations.answers.find_answer import FindAnswer, FoundAnswer, find_answer
from packhouse.operations.answers.keep_answer import KeepAnswer, keep_answer
from packhouse.operations.events.prune_events import PruneEvents, prune_events
from packhouse.operations.refs.create_branch import CreateBranch, CreatedBranch, create_branch
from packhouse.operations.refs.create_tag import CreateTag, TagExists, create_tag
from packhouse.operations.refs.delete_branch import DeleteBranch, delete_branch
from packhouse.operations.refs.read_tag import ReadTag, read_tag
from packhouse.operations.refs.tags import Tag, TagNotFound
from packhouse.operations.repos.create_repo import CreateRepo, create_repo
from packhouse.operations.repos.delete_repo import DeleteRepo, delete_repo
from packhouse.operations.repos.undelete_repo import UndeleteRepo, undelete_repo
from packhouse.repository.refs.receipts import Answer, KeyTaken, Receipt, Ticket
from tests.support.builders.node_writes import commit_files

pytestmark = pytest.mark.quick

DONE = Answer(200, (("content-type", "application/json"), ("x-é", "ü")), b'{"sha":"\xff"}')


def found(node: Node, caller: Principal, key: str = "k", repo: str = "r") -> FoundAnswer | None:
    """Return the answer that is kept under a key."""
    return find_answer(node, caller, FindAnswer(repo, key))


def keep(node: Node, caller: Principal, key: str = "k", *, print_: str = "f", repo: str = "r") -> Ticket:
    """Keep the answer of a request that wrote nothing; return its ticket."""
    ticket = Ticket(key, print_)
    keep_answer(node, caller, KeepAnswer(repo, ticket, DONE))
    return ticket


def test_an_answer_comes_back_as_it_was_given(node: Node, caller: Principal, repo: str) -> None:
    assert found(node, caller) is None
    assert keep(node, caller).is_kept
    assert found(node, caller) == FoundAnswer("f", DONE)


def test_a_key_belongs_to_the_first_request_with_it(node: Node, caller: Principal, repo: str) -> None:
    keep(node, caller)
    with pytest.raises(KeyTaken):
        keep(node, caller, print_="other")
    assert found(node, caller) == FoundAnswer("f", DONE)
    keep(node, caller, "k2", print_="other")


def test_keys_are_those_of_one_repository(
    node: Node, caller: Principal, stranger: Principal, repo: str
) -> None:
    create_repo(node, caller, CreateRepo("r2"))
    create_repo(node, stranger, CreateRepo("r"))
    keep(node, caller)
    assert found(node, caller, repo="r2") is None
    assert found(node, stranger) is None
    keep(node, stranger, print_="theirs")
    assert found(node, caller) == FoundAnswer("f", DONE)


def test_a_missing_repository_has_no_answers(node: Node, caller: Principal) -> None:
    assert not keep(node, caller, repo="nowhere").is_kept
    for name in ("nowhere", "a\0b", "\ud800"):
        assert found(node, caller, repo=name) is None


def test_a_deleted_repository_has_no_answers_until_it_is_back(
    node: Node, caller: Principal, repo: str
) -> None:
    keep(node, caller)
    delete_repo(node, caller, DeleteRepo("r"))
    assert found(node, caller) is None
    undelete_repo(node, caller, UndeleteRepo("r"))
    assert found(node, caller) == FoundAnswer("f", DONE)


def test_an_answer_counts_for_a_day_and_its_key_may_be_used_anew(
    node: Node, caller: Principal, repo: str
) -> None:
    keep(node, caller)
    node.clock = lambda: 1000 + answers_keep_s - 1
    assert found(node, caller) is not None
    node.clock = lambda: 1000 + answers_keep_s
    assert found(node, caller) is None
    keep(node, caller, print_="later")
    assert found(node, caller) == FoundAnswer("later", DONE)


def test_old_answers_are_forgotten_in_short_transactions(node: Node, caller: Principal, repo: str) -> None:
    few = replace(node, limits=Limits(prune_batch=2))
    for number in range(5):
        keep(few, caller, str(number))
    few.clock = lambda: 2000
    keep(few, caller, "young")
    few.clock = lambda: 1000 + answers_keep_s
    assert not prune_events(few, PruneEvents(should_stop=lambda: True))
    few.clock = lambda: 1000
    assert sum(found(few, caller, str(number)) is not None for number in range(5)) == 3
    few.clock = lambda: 1000 + answers_keep_s
    assert prune_events(few, PruneEvents())
    few.clock = lambda: 1000
    assert [found(few, caller, str(number)) for number in range(5)] == [None] * 5
    assert found(few, caller, "young") is not None


# With a write


def receipt_for_branch(ticket: Ticket) -> Receipt[CreatedBranch]:
    """Return a receipt that makes an answer of the result of create_branch."""
    return Receipt(ticket, lambda made: Answer(201, (), made.refname + made.tip.encode()))


def test_a_write_keeps_its_answer_with_it(node: Node, caller: Principal, repo: str) -> None:
    first = commit_files(node, caller, "r", "main", {"a": b"1\n"}).commit
    side = branch_refname("side")
    ticket = Ticket("k", "f")
    create_branch(node, caller, CreateBranch("r", side, base_ref="main"), receipt=receipt_for_branch(ticket))
    assert ticket.is_kept
    assert found(node, caller) == FoundAnswer("f", Answer(201, (), side + first.encode()))


def test_a_write_without_a_change_keeps_no_answer(node: Node, caller: Principal, repo: str) -> None:
    commit_files(node, caller, "r", "main", {"a": b"1\n"})
    command = CreateBranch("r", branch_refname("side"), base_ref="main")
    create_branch(node, caller, command)
    ticket = Ticket("k", "f")
    create_branch(node, caller, command, receipt=receipt_for_branch(ticket))
    assert not ticket.is_kept
    assert found(node, caller) is None


def test_a_write_whose_key_is_taken_is_undone(node: Node, caller: Principal, repo: str) -> None:
    commit_files(node, caller, "r", "main", {"a": b"1\n"})
    keep(node, caller)
    v1 = tag_refname("v1")
    receipt: Receipt[Tag] = Receipt(Ticket("k", "f"), lambda _: DONE)
    with pytest.raises(KeyTaken):
        create_tag(node, caller, CreateTag("r", v1, "main"), receipt=receipt)
    with pytest.raises(TagNotFound):
        read_tag(node, caller, ReadTag("r", v1))


def test_a_refused_write_keeps_no_answer(node: Node, caller: Principal, repo: str) -> None:
    commit_files(node, caller, "r", "main", {"a": b"1\n"})
    command = CreateTag("r", tag_refname("v1"), "main")
    create_tag(node, caller, command)
    receipt: Receipt[Tag] = Receipt(Ticket("k", "f"), lambda _: DONE)
    with pytest.raises(TagExists):
        create_tag(node, caller, command, receipt=receipt)
    assert found(node, caller) is None


def test_a_deletion_has_an_answer_too(node: Node, caller: Principal, repo: str) -> None:
    commit_files(node, caller, "r", "main", {"a": b"1\n"})
    side = branch_refname("side")
    create_branch(node, caller, CreateBranch("r", side, base_ref="main"))
    receipt: Receipt[None] = Receipt(Ticket("k", "f"), lambda _: DONE)
    delete_branch(node, caller, DeleteBranch("r", side), receipt=receipt)
    assert found(node, caller) == FoundAnswer("f", DONE)


def test_a_new_repository_keeps_the_answer_of_its_own_creation(node: Node, caller: Principal) -> None:
    ticket = Ticket("k", "f")
    made = create_repo(
        node,
        caller,
        CreateRepo("new"),
        receipt=Receipt(ticket, lambda info: Answer(201, (), info.name.encode())),
    )
    assert ticket.is_kept
    assert found(node, caller, repo=made.name) == FoundAnswer("f", Answer(201, (), b"new"))
