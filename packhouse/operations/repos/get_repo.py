"""One repository by its name."""

from dataclasses import dataclass

from packhouse.auth import Principal
from packhouse.db import RepoNotFound, find_repo
from packhouse.node import Node
from packhouse.operations.repos.repo_info import RepoInfo, repo_info


@dataclass(frozen=True, slots=True)
class GetRepo:
    """The repository to read, by its exact name."""

    repo: str


def get_repo(node: Node, caller: Principal, command: GetRepo) -> RepoInfo:
    """Return the repository; raise RepoNotFound when there is none or it is deleted."""
    with node.database.read() as session:
        repo = find_repo(session, caller.org_id, command.repo)
    if repo is None:
        raise RepoNotFound(command.repo)
    return repo_info(repo)
