"""Keeping the answer to a request with an idempotency key that wrote nothing."""

from dataclasses import dataclass

from packhouse.auth import Principal
from packhouse.db import Session, find_repo
from packhouse.node import Node
from packhouse.repository import Answer, Ticket, keep_in_session


@dataclass(frozen=True, slots=True)
class KeepAnswer:
    """The repository that the request is for, the request's ticket, and its answer."""

    repo: str
    ticket: Ticket
    answer: Answer


def keep_answer(node: Node, caller: Principal, command: KeepAnswer) -> None:
    """Keep the answer with the repository, unless that is gone; raise KeyTaken."""
    now = node.clock()

    def keep(session: Session) -> None:
        repo = find_repo(session, caller.org_id, command.repo)
        if repo is not None:
            keep_in_session(session, repo.id, command.ticket, command.answer, now=now)

    node.database.transact(keep)
