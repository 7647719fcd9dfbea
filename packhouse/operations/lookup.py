"""From the name in a request to the repository."""

from packhouse.auth.principal import Principal
from packhouse.db.repos import Repo, RepoNotFound, find_repo, find_repo_by_id
from packhouse.errors import Conflict
from packhouse.node.node import Node


class FirstSyncRunning(Conflict):
    """What the repository holds is still being fetched for the first time. Retry shortly."""

    def __init__(self) -> None:
        super().__init__("repository sync in progress, please retry shortly")


def require_synced(repo: Repo) -> Repo:
    """Return the repository unless its first sync runs; raise FirstSyncRunning."""
    if repo.upstream is not None and repo.upstream.in_first_sync:
        raise FirstSyncRunning()
    return repo


def lookup_repo(node: Node, caller: Principal, name: str) -> Repo:
    """Return the caller's organisation's repository of that name, for work on what it holds.

    Raises RepoNotFound, and FirstSyncRunning while there is nothing to work on yet.
    """
    with node.database.read() as session:
        repo = find_repo(session, caller.org_id, name)
    if repo is None:
        raise RepoNotFound(name)
    return require_synced(repo)


def lookup_repo_by_number(node: Node, caller: Principal, number: int) -> Repo:
    """Return what lookup_repo() would for the repository of that integer id."""
    with node.database.read() as session:
        repo = find_repo_by_id(session, number)
    if repo is None or repo.org_id != caller.org_id or repo.deleted_at is not None:
        raise RepoNotFound(number)
    return require_synced(repo)
