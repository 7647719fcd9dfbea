"""Ending the link to an upstream. Fetched refs and objects stay, and so does the stored credential."""

from dataclasses import dataclass

from packhouse.auth import Principal
from packhouse.db import RepoNotFound, Session, delete_upstream, find_repo
from packhouse.node import Node


@dataclass(frozen=True, slots=True)
class DetachUpstream:
    """The repository, by its name."""

    repo: str


def detach_upstream(node: Node, caller: Principal, command: DetachUpstream) -> None:
    """Make the repository independent; harmless without an upstream. Raises RepoNotFound.

    After this returns, no sync changes the repository: a running sync looks for the link in its last transaction, and
    notices within seconds that it must end.
    """

    def detach(session: Session) -> None:
        repo = find_repo(session, caller.org_id, command.repo)
        if repo is None:
            raise RepoNotFound(command.repo)
        delete_upstream(session, repo.id)

    node.database.transact(detach)
