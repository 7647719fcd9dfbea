"""Bringing back a deleted repository, as long as its files are there."""

from dataclasses import dataclass

from packhouse.auth import Principal
from packhouse.db import RepoExists, RepoNotFound, Session, find_repo, find_upstream, undelete_repo_row
from packhouse.ids import RepoId
from packhouse.node import Node
from packhouse.repository import queue_sync


@dataclass(frozen=True, slots=True)
class UndeleteRepo:
    """The repository to bring back: the one that was deleted last under the name `repo`."""

    repo: str


@dataclass(frozen=True, slots=True)
class UndeletedRepo:
    """The repository that is back. `public_id` is the internal `repo_…` id."""

    public_id: RepoId
    name: str


def undelete_repo(node: Node, caller: Principal, command: UndeleteRepo) -> UndeletedRepo:
    """Bring back the repository, without the time at which it was to be deleted.

    The waiting job `clean_repo` then finds an undeleted repository and leaves it alone. A pull that the deletion
    ended is queued again. Raises RepoExists when the name is taken again, RepoNotFound when nothing is left to
    bring back.
    """
    name, now = command.repo, node.clock()

    def change(session: Session) -> UndeletedRepo:
        row = undelete_repo_row(session, caller.org_id, name, state=node.new_state())
        if row is None:
            if find_repo(session, caller.org_id, name) is not None:
                raise RepoExists(name)
            raise RepoNotFound(name)
        repo_id, public_id = row
        upstream = find_upstream(session, repo_id)
        if upstream is not None and upstream.state == "syncing":
            queue_sync(session, repo_id, public_id, now=now)
        return UndeletedRepo(public_id, name)

    undeleted = node.database.transact(change)
    node.wakeups.notify()
    return undeleted
