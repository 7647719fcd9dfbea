"""Deleting a repository: it disappears at once, and a job frees its storage later."""

from collections.abc import Iterable
from dataclasses import dataclass

from packhouse import limits
from packhouse.auth import Principal
from packhouse.db import (
    JobPriority,
    RepoNotFound,
    Session,
    has_pending_deletion,
    insert_jobs,
    mark_repo_deleted,
)
from packhouse.errors import Code, Conflict
from packhouse.ids import RepoId, RepoKey
from packhouse.node import Node


class DeletionPending(Conflict):
    """A repository of that name was deleted already, and its storage is still to be cleaned up."""

    code = Code.DELETION_PENDING
    repo: str


@dataclass(frozen=True, slots=True)
class DeleteRepo:
    """The repository to delete, by its exact name."""

    repo: str


@dataclass(frozen=True, slots=True)
class DeletedRepo:
    """The deleted repository. `public_id` is the internal `repo_…` id."""

    public_id: RepoId
    name: str


def delete_repo(node: Node, caller: Principal, command: DeleteRepo) -> DeletedRepo:
    """Delete the repository. Its name is free at once, and a job removes its packs and rows.

    Raises RepoNotFound, or DeletionPending when a deleted repository of that name still waits for the job.
    """
    name, now = command.repo, node.clock()

    def delete(session: Session) -> DeletedRepo:
        deleted = mark_repo_deleted(session, caller.org_id, name, state=node.new_state(), now=now)
        if deleted is None:
            if has_pending_deletion(session, caller.org_id, name):
                raise DeletionPending(name)
            raise RepoNotFound(name)
        repo_id, public_id = deleted
        queue_cleaning(session, [(repo_id, public_id)], now=now)
        return DeletedRepo(public_id=public_id, name=name)

    return node.database.transact(delete)


def queue_cleaning(session: Session, repos: Iterable[tuple[RepoKey, RepoId]], *, now: int) -> None:
    """Queue the jobs that free the storage of these repositories, once nobody can bring them back any more.

    Every deletion calls it in its transaction.
    """
    insert_jobs(
        session,
        "clean_repo",
        repos,
        priority=JobPriority.LOW,
        run_at=now + limits.deleted_repo_keep_s,
        now=now,
    )
