"""Answers kept for requests with an idempotency key: found by retries, dropped after a day."""

import json
from collections.abc import Callable

from packhouse.auth.principal import Principal
from packhouse.db.kept_answers import delete_expired_answers, find_kept_answer
from packhouse.db.repos import find_repo
from packhouse.db.session import Session
from packhouse.node.node import Node
from packhouse.repository.refs.receipts import Answer, Ticket, expired_before, keep_in_session


def find_answer(node: Node, caller: Principal, repo_name: str, *, key: str) -> tuple[str, Answer] | None:
    """Return fingerprint and answer of the request that the repository knows by the key, for 24 hours.

    None as well when there is no such repository: keys go with the repository whose they are.
    """
    with node.database.read() as session:
        kept = find_kept_answer(
            session, caller.org_id, repo_name, key=key, expired=expired_before(node.clock())
        )
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
            keep_in_session(session, repo.id, ticket, answer, now=now)

    node.database.transact(keep)


def forget_answers(node: Node, *, should_stop: Callable[[], bool] = lambda: False) -> bool:
    """Delete the answers that are kept no longer, in short transactions; False when it was cut short."""
    expired = expired_before(node.clock())

    def forget(session: Session) -> int:
        return delete_expired_answers(session, expired=expired, limit=node.limits.prune_batch)

    while node.database.transact(forget) == node.limits.prune_batch:
        if should_stop():
            return False
    return True
