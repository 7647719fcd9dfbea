"""Answers of writes with an idempotency key: kept in the transaction of the write, found by its retries.

So a write and its answer exist together or not at all, whenever a server is killed; and of two requests with one
key only one can commit, whatever process it came to.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from packhouse import limits
from packhouse.auth.principal import Principal
from packhouse.db.kept_answers import (
    KeptAnswer,
    delete_expired_answers,
    find_kept_answer,
    has_kept_answer,
    insert_kept_answer,
)
from packhouse.db.repos import find_repo
from packhouse.db.session import Session
from packhouse.errors import Conflict
from packhouse.operations.node import Node

R = TypeVar("R")


class KeyTaken(Conflict):
    """Another request with the same key has written, or is about to. Its answer can be asked for."""

    def __init__(self) -> None:
        super().__init__("a request with this key is in progress")


@dataclass(frozen=True, slots=True)
class Answer:
    """What a request is answered; the length of the body is not among the headers."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


@dataclass(slots=True)
class Ticket:
    """A request with a key. `fingerprint` is the same for repeats of it only; `is_kept`: its answer is stored.

    `is_kept` counts once the operation has returned: a transaction that was undone may have set it as well.
    """

    key: str
    fingerprint: str
    is_kept: bool = False


@dataclass(frozen=True, slots=True)
class BoundReceipt:
    """An answer that waits for its transaction."""

    ticket: Ticket
    make_answer: Callable[[], Answer]

    def check(self, session: Session, repo_id: int, *, now: int) -> None:
        """Raise KeyTaken when another request with the key has written: asked before work that is dear."""
        if has_kept_answer(session, repo_id, self.ticket.key, expired=_expired(now)):
            raise KeyTaken

    def keep(self, session: Session, repo_id: int, *, now: int) -> None:
        """Keep the answer in the session's transaction; raise KeyTaken, which must end it."""
        _keep(session, repo_id, self.ticket, self.make_answer(), now=now)


@dataclass(frozen=True, slots=True)
class Receipt(Generic[R]):
    """What an operation gets with a request that has a key: how its result becomes the answer to keep."""

    ticket: Ticket
    render: Callable[[R], Answer]


def bind(receipt: Receipt[R] | None, result: Callable[[], R]) -> BoundReceipt | None:
    """Return the receipt for the result of one write, which is asked for within the transaction."""
    if receipt is None:
        return None
    return BoundReceipt(receipt.ticket, lambda: receipt.render(result()))


def find_answer(node: Node, caller: Principal, repo_name: str, *, key: str) -> tuple[str, Answer] | None:
    """Return fingerprint and answer of the request that the repository knows by the key, for 24 hours.

    None as well when there is no such repository: keys go with the repository whose they are.
    """
    with node.database.read() as session:
        kept = find_kept_answer(session, caller.org_id, repo_name, key=key, expired=_expired(node.clock()))
    if kept is None:
        return None
    headers = tuple((name, value) for name, value in json.loads(kept.headers))
    return kept.fingerprint, Answer(kept.status, headers, kept.body)


def keep_answer(node: Node, caller: Principal, repo_name: str, ticket: Ticket, answer: Answer) -> None:
    """Keep the answer to a request that had nothing to write; raise KeyTaken."""
    now = node.clock()

    def keep(session: Session) -> None:
        repo = find_repo(session, caller.org_id, repo_name)
        if repo is not None:
            _keep(session, repo.id, ticket, answer, now=now)

    node.database.transact(keep)


def forget_answers(node: Node, *, should_stop: Callable[[], bool] = lambda: False) -> bool:
    """Delete the answers that are kept no longer, in short transactions; False when it was cut short."""
    expired = _expired(node.clock())

    def forget(session: Session) -> int:
        return delete_expired_answers(session, expired=expired, limit=limits.prune_batch)

    while node.database.transact(forget) == limits.prune_batch:
        if should_stop():
            return False
    return True


def _keep(session: Session, repo_id: int, ticket: Ticket, answer: Answer, *, now: int) -> None:
    kept = KeptAnswer(ticket.fingerprint, answer.status, json.dumps(answer.headers), answer.body)
    if not insert_kept_answer(session, repo_id, ticket.key, kept, expired=_expired(now), now=now):
        raise KeyTaken
    ticket.is_kept = True


def _expired(now: int) -> int:
    return now - limits.answers_keep_s
