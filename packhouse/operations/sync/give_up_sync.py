"""Ending a sync run whose job is dead."""

from dataclasses import dataclass

from packhouse.db import find_repo_by_public_id, find_upstream
from packhouse.node import Node
from packhouse.operations.sync.sync_runs import fail_run


@dataclass(frozen=True, slots=True)
class GiveUpSync:
    """The repository, by its `repo_…` id, and the reason."""

    public_id: str
    reason: str


def give_up_sync(node: Node, command: GiveUpSync) -> None:
    """Mark the run as failed, so that callers no longer wait for a first sync."""
    with node.database.read() as session:
        repo = find_repo_by_public_id(session, command.public_id)
        upstream = None if repo is None else find_upstream(session, repo.id)
    if repo is not None and upstream is not None:
        fail_run(node, repo, upstream, command.reason)
