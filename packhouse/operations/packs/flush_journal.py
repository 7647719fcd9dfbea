"""Flushing the journal of one repository when an operator asks."""

from dataclasses import dataclass

from packhouse.auth import Principal
from packhouse.db import JournalSize, RepoNotFound, find_repo
from packhouse.errors import Code, Unavailable
from packhouse.node import Node
from packhouse.repository import flush_repo


class MaintenanceUnderWay(Unavailable):
    """Another process rewrites the packs of the repository at this moment."""

    code = Code.MAINTENANCE_UNDER_WAY
    repo: str


@dataclass(frozen=True, slots=True)
class FlushJournal:
    """The repository, by its name."""

    repo: str


def flush_journal(node: Node, caller: Principal, command: FlushJournal) -> JournalSize:
    """Turn the journal of a repository into a stored pack; return the size of its rows.

    Raises RepoNotFound and MaintenanceUnderWay.
    """
    with node.database.read() as session:
        repo = find_repo(session, caller.org_id, command.repo)
    if repo is None:
        raise RepoNotFound(command.repo)
    flushed = flush_repo(node, repo.public_id)
    if flushed is None:
        raise MaintenanceUnderWay(command.repo)
    return flushed
