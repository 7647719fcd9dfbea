"""Cleaning a deleted repository once it cannot be brought back any more."""

from dataclasses import dataclass

from packhouse import limits
from packhouse.db import Session, find_repo_by_public_id, insert_job
from packhouse.node import Node, ShouldStop, never
from packhouse.operations.packs.clean_repo import CleanRepo, clean_repo


@dataclass(frozen=True, slots=True)
class CleanDueRepo:
    """The repository, by its `repo_…` id. `should_stop` is called between two transactions."""

    public_id: str
    should_stop: ShouldStop = never


def clean_due_repo(node: Node, command: CleanDueRepo) -> bool:
    """Clean a deleted repository, or queue the job `clean_repo` anew if it came too early.

    The job comes too early for a repository that was brought back and deleted again: the job of the first deletion
    still waited. Returns False when the cleaning was interrupted and should run again.
    """
    if _postpone(node, command.public_id):
        return True
    return clean_repo(node, CleanRepo(command.public_id, should_stop=command.should_stop))


def _postpone(node: Node, public_id: str) -> bool:
    """Queue the job for the time when the repository may be cleaned; tell whether that time is still to come."""
    now = node.clock()

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
