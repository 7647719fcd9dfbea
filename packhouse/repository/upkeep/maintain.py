"""The upkeep of one repository: its journal is flushed when it is full, and its packs are joined when they are many."""

from dataclasses import dataclass

from packhouse.db import JournalSize, find_repo_by_public_id
from packhouse.ids import RepoId
from packhouse.node import Node
from packhouse.repository.upkeep.consolidate import consolidate
from packhouse.repository.upkeep.flush import flush_journal
from packhouse.repository.upkeep.lease import hold_lease


@dataclass(frozen=True, slots=True)
class Maintained:
    """The work of one round of upkeep: flushed rows of the journal, and packs that others have replaced."""

    rows: int = 0
    packs: int = 0


def maintain(node: Node, repo_id: RepoId) -> Maintained | None:
    """Flush and join what is due. Return None while another process maintains the repository."""
    with node.database.read() as session:
        repo = find_repo_by_public_id(session, repo_id)
    if repo is None or repo.deleted_at is not None:
        return Maintained()
    with hold_lease(node, repo) as lease:
        if lease is None:
            return None
        flushed = flush_journal(node, lease, only_full=True)
        return Maintained(flushed.rows, consolidate(node, lease))


def flush_repo(node: Node, repo_id: RepoId) -> JournalSize | None:
    """Flush the journal of a repository now, whatever is in it. None while another process maintains it."""
    with node.database.read() as session:
        repo = find_repo_by_public_id(session, repo_id)
    if repo is None:
        return JournalSize()
    with hold_lease(node, repo) as lease:
        return None if lease is None else flush_journal(node, lease)
