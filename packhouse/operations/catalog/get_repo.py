"""One repository by its name."""

from packhouse.auth.principal import Principal
from packhouse.db.repos import RepoNotFound, find_repo
from packhouse.node.node import Node
from packhouse.operations.catalog.repo_info import RepoInfo, repo_info


def get_repo(node: Node, caller: Principal, name: str) -> RepoInfo:
    """Return the repository of that exact name; raise RepoNotFound when there is none, or no more."""
    with node.database.read() as session:
        repo = find_repo(session, caller.org_id, name)
    if repo is None:
        raise RepoNotFound(name)
    return repo_info(repo)
