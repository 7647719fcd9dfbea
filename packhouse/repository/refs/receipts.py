"""Answers of writes with an idempotency key: kept in the transaction of the write, found by its retries.

So a write and its answer exist together or not at all, whenever a server is killed; and of two requests with one
key only one can commit, whatever process it came to.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from packhouse import limits
from packhouse.db.kept_answers import (
    KeptAnswer,
    has_kept_answer,
    insert_kept_answer,
)
from packhouse.db.session import Session
from packhouse.error_codes import Code
from packhouse.errors import Conflict
from packhouse.ids import RepoKey

R = TypeVar("R")


class KeyTaken(Conflict):
    """Another request with the same key has written, or is about to. Its answer can be asked for."""

    code = Code.KEY_TAKEN


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

    def check(self, session: Session, repo_id: RepoKey, *, now: int) -> None:
        """Raise KeyTaken when another request with the key has written: asked before work that is dear."""
        if has_kept_answer(session, repo_id, self.ticket.key, expired=expired_before(now)):
            raise KeyTaken()

    def keep(self, session: Session, repo_id: RepoKey, *, now: int) -> None:
        """Keep the answer in the session's transaction; raise KeyTaken, which must end it."""
        keep_in_session(session, repo_id, self.ticket, self.make_answer(), now=now)


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


def keep_in_session(session: Session, repo_id: RepoKey, ticket: Ticket, answer: Answer, *, now: int) -> None:
    """Keep the answer in the transaction of `session`; raise KeyTaken, which must end it."""
    kept = KeptAnswer(ticket.fingerprint, answer.status, json.dumps(answer.headers), answer.body)
    if not insert_kept_answer(session, repo_id, ticket.key, kept, expired=expired_before(now), now=now):
        raise KeyTaken()
    ticket.is_kept = True


def expired_before(now: int) -> int:
    """Return the time of creation up to which answers are kept no longer."""
    return now - limits.answers_keep_s
