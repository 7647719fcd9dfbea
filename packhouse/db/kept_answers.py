"""Answers of writes with an idempotency key, by repository and key.

`expired` is a time. An answer that was kept at that time or before counts as absent, even if it is not deleted yet.
"""

from dataclasses import dataclass

from packhouse.db.session import Session
from packhouse.db.text import is_storable
from packhouse.ids import RepoKey


@dataclass(frozen=True, slots=True)
class KeptAnswer:
    """The answer to a request. `fingerprint` is a hash of the request, `headers` a JSON array of pairs."""

    fingerprint: str
    status: int
    headers: str
    body: bytes


def insert_kept_answer(
    session: Session, repo_id: RepoKey, key: str, answer: KeptAnswer, *, expired: int, now: int
) -> bool:
    """Keep the answer. Return False if the repository already keeps one for this key."""
    changed = session.run(
        "insert_kept_answer",
        repo_id=repo_id,
        key=key,
        fingerprint=answer.fingerprint,
        status=answer.status,
        headers=answer.headers,
        body=answer.body,
        expired=expired,
        now=now,
    )
    return changed > 0


def find_kept_answer(
    session: Session, org_id: int, repo_name: str, *, key: str, expired: int
) -> KeptAnswer | None:
    """Return the answer that the living repository of that name keeps for the key."""
    if not is_storable(repo_name):
        return None
    row = session.one("find_kept_answer", org_id=org_id, name=repo_name, key=key, expired=expired)
    return None if row is None else KeptAnswer(*row)


def has_kept_answer(session: Session, repo_id: RepoKey, key: str, *, expired: int) -> bool:
    """Tell whether the repository keeps an answer for the key."""
    return session.one("has_kept_answer", repo_id=repo_id, key=key, expired=expired) is not None


def delete_expired_answers(session: Session, *, expired: int, limit: int) -> int:
    """Delete the oldest answers, at most `limit`. Return the number of deleted answers."""
    return session.run("delete_expired_answers", expired=expired, limit=limit)
