"""Flushing the journal of one repository when an operator asks."""

from dataclasses import dataclass

from packhouse.auth import Principal
from packhouse.db import RepoNotFound, find_repo
from packhouse.errors import Code, Unavailable
from packhouse.node import Node
from packhouse.repository import Flushed, flush_repo

__all__ = ["FlushJournal", "Flushed", "MaintenanceUnderWay", "flush_journal"]


class MaintenanceUnderWay(Unavailable):
    """Another process rewrites the packs of the repository at this moment."""

    code = Code.MAINTENANCE_UNDER_WAY
    repo: str


@dataclass(frozen=True, slots=True)
class FlushJournal:
    """The repository, by its name."""

    repo: str


def flush_journal(node: Node, caller: Principal, command: FlushJournal) -> Flushed:
    """Turn the journal of a repository into a stored pack. Raises RepoNotFound and MaintenanceUnderWay."""
    with node.database.read() as session:
        repo = find_repo(session, caller.org_id, command.repo)
    if repo is None:
        raise RepoNotFound(command.repo)
    flushed = flush_repo(node, repo.public_id)
    if flushed is None:
        raise MaintenanceUnderWay(command.repo)
    return flushed
