"""Answers of writes with an idempotency key: kept in the transaction of the write, found when the request is repeated.

So a write and its answer exist together or not at all, whenever a server is killed. Of two requests with one key only
one can commit, also when two processes serve them.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from packhouse import limits
from packhouse.db import KeptAnswer, Session, has_kept_answer, insert_kept_answer
from packhouse.errors import Code, Conflict
from packhouse.ids import RepoKey

R = TypeVar("R")


class KeyTaken(Conflict):
    """Another request with the same idempotency key has written, or is about to write. A repeat gets its answer."""

    code = Code.KEY_TAKEN


@dataclass(frozen=True, slots=True)
class Answer:
    """Status, headers and body of the answer to a request. The headers leave out the length of the body."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


@dataclass(slots=True)
class Ticket:
    """A request with a key. Only repeats of the request have the same `fingerprint`. `is_kept`: its answer is stored.

    Read `is_kept` only after the operation has returned: a transaction that was undone may have set it, too.
    """

    key: str
    fingerprint: str
    is_kept: bool = False


@dataclass(frozen=True, slots=True)
class BoundReceipt:
    """An answer that is made and kept in the transaction of its write."""

    ticket: Ticket
    make_answer: Callable[[], Answer]

    def check(self, session: Session, repo_id: RepoKey, *, now: int) -> None:
        """Raise KeyTaken when another request with the key has written. Called before expensive work."""
        if has_kept_answer(session, repo_id, self.ticket.key, expired=expired_before(now)):
            raise KeyTaken()

    def keep(self, session: Session, repo_id: RepoKey, *, now: int) -> None:
        """Keep the answer in the session's transaction. Raises KeyTaken, which must end the transaction."""
        keep_in_session(session, repo_id, self.ticket, self.make_answer(), now=now)


@dataclass(frozen=True, slots=True)
class Receipt(Generic[R]):
    """A request with a key, and the function that makes the answer to keep out of the operation's result."""

    ticket: Ticket
    render: Callable[[R], Answer]


def bind(receipt: Receipt[R] | None, result: Callable[[], R]) -> BoundReceipt | None:
    """Return the receipt for one write. `result` is called within the transaction."""
    if receipt is None:
        return None
    return BoundReceipt(receipt.ticket, lambda: receipt.render(result()))


def keep_in_session(session: Session, repo_id: RepoKey, ticket: Ticket, answer: Answer, *, now: int) -> None:
    """Keep the answer in the transaction of `session`. Raises KeyTaken, which must end the transaction."""
    kept = KeptAnswer(ticket.fingerprint, answer.status, json.dumps(answer.headers), answer.body)
    if not insert_kept_answer(session, repo_id, ticket.key, kept, expired=expired_before(now), now=now):
        raise KeyTaken()
    ticket.is_kept = True


def expired_before(now: int) -> int:
    """Return the latest time of creation at which an answer has expired."""
    return now - limits.answers_keep_s
