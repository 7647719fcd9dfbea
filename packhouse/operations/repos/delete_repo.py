"""Deleting a repository: gone for everybody at once, its storage some time later."""

from dataclasses import dataclass

from packhouse import limits
from packhouse.auth import Principal
from packhouse.db import RepoNotFound, Session, has_pending_deletion, insert_job, mark_repo_deleted
from packhouse.errors import Code, Conflict
from packhouse.ids import RepoId
from packhouse.node import Node


class DeletionPending(Conflict):
    """A repository of that name was deleted already, and its storage is still to be cleaned up."""

    code = Code.DELETION_PENDING
    repo: str


@dataclass(frozen=True, slots=True)
class DeleteRepo:
    """Which repository, by its exact name."""

    repo: str


@dataclass(frozen=True, slots=True)
class DeletedRepo:
    """What was deleted; `public_id` is the internal `repo_…` id."""

    public_id: RepoId
    name: str


def delete_repo(node: Node, caller: Principal, command: DeleteRepo) -> DeletedRepo:
    """Delete the repository; its name is free at once, a job removes what it held.

    Raises DeletionPending when only a deleted one of that name waits for the job, RepoNotFound otherwise.
    """
    name, now = command.repo, node.clock()

    def delete(session: Session) -> DeletedRepo:
        deleted = mark_repo_deleted(session, caller.org_id, name, state=node.new_state(), now=now)
        if deleted is None:
            if has_pending_deletion(session, caller.org_id, name):
                raise DeletionPending(name)
            raise RepoNotFound(name)
        repo_id, public_id = deleted
        insert_job(
            session,
            "clean_repo",
            public_id,
            repo_id=repo_id,
            run_at=now + limits.deleted_repo_keep_s,
            now=now,
        )
        return DeletedRepo(public_id=public_id, name=name)

    return node.database.transact(delete)
