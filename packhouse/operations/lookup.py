"""From the name in a request to the repository."""

from packhouse.auth.principal import Principal
from packhouse.db.repos import Repo, RepoNotFound, find_repo
from packhouse.operations.node import Node


def lookup_repo(node: Node, caller: Principal, name: str) -> Repo:
    """Return the caller's organisation's repository of that name; raise RepoNotFound."""
    with node.database.read() as session:
        repo = find_repo(session, caller.org_id, name)
    if repo is None:
        raise RepoNotFound(name)
    return repo
