"""Putting off the cleaning of a deleted repository for which it came too early."""

from dataclasses import dataclass

from packhouse import limits
from packhouse.db import Session, find_repo_by_public_id, insert_job
from packhouse.node import Node


@dataclass(frozen=True, slots=True)
class PostponeCleaning:
    """Of which repository, by its `repo_…` id."""

    public_id: str


def postpone_cleaning(node: Node, command: PostponeCleaning) -> bool:
    """Queue the job `clean_repo` anew when it came too early; tell whether it did.

    It does for a repository that was put back and deleted again: the job of the first deletion still waited.
    """
    public_id, now = command.public_id, node.clock()

    def postpone(session: Session) -> bool:
        repo = find_repo_by_public_id(session, public_id)
        if repo is None or repo.deleted_at is None:
            return False
        run_at = repo.deleted_at + limits.deleted_repo_keep_s
        if run_at <= now:
            return False
        insert_job(session, "clean_repo", public_id, repo_id=repo.id, run_at=run_at, now=now)
        return True

    return node.database.transact(postpone)
