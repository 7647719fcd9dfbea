"""From the name in a request to the repository."""

from packhouse.auth.principal import Principal
from packhouse.db.repos import Repo, RepoNotFound, find_repo, find_repo_by_id
from packhouse.operations.node import Node


def lookup_repo(node: Node, caller: Principal, name: str) -> Repo:
    """Return the caller's organisation's repository of that name; raise RepoNotFound."""
    with node.database.read() as session:
        repo = find_repo(session, caller.org_id, name)
    if repo is None:
        raise RepoNotFound(name)
    return repo


def lookup_repo_by_number(node: Node, caller: Principal, number: int) -> Repo:
    """Return the repository of that integer id in the caller's organisation; raise RepoNotFound."""
    with node.database.read() as session:
        repo = find_repo_by_id(session, number)
    if repo is None or repo.org_id != caller.org_id or repo.deleted_at is not None:
        raise RepoNotFound(number)
    return repo
