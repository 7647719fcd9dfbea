"""Reading one repository by its number, for callers that do not know its name."""

from dataclasses import dataclass

from packhouse.auth import Principal
from packhouse.db import RepoNotFound, find_repo_by_id
from packhouse.node import Node
from packhouse.operations.catalog.lookup import require_synced
from packhouse.operations.repos.repo_info import RepoInfo, repo_info


@dataclass(frozen=True, slots=True)
class ReadNumberedRepo:
    """The repository to read, by its positive integer, which is never reused."""

    number: int


def read_numbered_repo(node: Node, caller: Principal, command: ReadNumberedRepo) -> RepoInfo:
    """Return a repository of the caller's organisation, for work on its content.

    Raises RepoNotFound, and FirstSyncRunning while there is no content yet.
    """
    with node.database.read() as session:
        repo = find_repo_by_id(session, command.number)
    if repo is None or repo.org_id != caller.org_id or repo.deleted_at is not None:
        raise RepoNotFound(command.number)
    return repo_info(require_synced(repo))
