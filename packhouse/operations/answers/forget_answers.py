"""Deleting the answers that are kept no longer."""

from dataclasses import dataclass

from packhouse.db import Session, delete_expired_answers
from packhouse.node import Node, ShouldStop, never
from packhouse.repository import expired_before


@dataclass(frozen=True, slots=True)
class ForgetAnswers:
    """Answers of all repositories; `should_stop` is asked between two transactions."""

    should_stop: ShouldStop = never


def forget_answers(node: Node, command: ForgetAnswers) -> bool:
    """Delete the answers of more than a day ago, in short transactions; False when it was cut short."""
    expired = expired_before(node.clock())

    def forget(session: Session) -> int:
        return delete_expired_answers(session, expired=expired, limit=node.limits.prune_batch)

    while node.database.transact(forget) == node.limits.prune_batch:
        if command.should_stop():
            return False
    return True
