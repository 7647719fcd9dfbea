"""Ending the link to an upstream. What was fetched stays; the stored credential stays too."""

from dataclasses import dataclass

from packhouse.auth import Principal
from packhouse.db import RepoNotFound, Session, delete_upstream, find_repo
from packhouse.node import Node


@dataclass(frozen=True, slots=True)
class DetachUpstream:
    """Of which repository."""

    repo: str


def detach_upstream(node: Node, caller: Principal, command: DetachUpstream) -> None:
    """Make the repository one of its own; harmless without an upstream. Raises RepoNotFound.

    Once this returns no sync changes anything: a run under way looks for the link within its last
    transaction, and sees within seconds that it should end.
    """

    def detach(session: Session) -> None:
        repo = find_repo(session, caller.org_id, command.repo)
        if repo is None:
            raise RepoNotFound(command.repo)
        delete_upstream(session, repo.id)

    node.database.transact(detach)
