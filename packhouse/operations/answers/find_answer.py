"""Finding the earlier answer to a request with an idempotency key."""

import json
from dataclasses import dataclass

from packhouse.auth import Principal
from packhouse.db import find_kept_answer
from packhouse.node import Node
from packhouse.repository import Answer, expired_before


@dataclass(frozen=True, slots=True)
class FindAnswer:
    """The repository that the request is for, and its key."""

    repo: str
    key: str


@dataclass(frozen=True, slots=True)
class FoundAnswer:
    """The answer, and the fingerprint of the request that it was given to."""

    fingerprint: str
    answer: Answer


def find_answer(node: Node, caller: Principal, command: FindAnswer) -> FoundAnswer | None:
    """Return the answer that the repository keeps under the key, for 24 hours after it was given.

    Returns None, too, when there is no such repository: answers are deleted with their repository.
    """
    with node.database.read() as session:
        kept = find_kept_answer(
            session, caller.org_id, command.repo, key=command.key, expired=expired_before(node.clock())
        )
    if kept is None:
        return None
    headers = tuple((name, value) for name, value in json.loads(kept.headers))
    return FoundAnswer(kept.fingerprint, Answer(kept.status, headers, kept.body))
