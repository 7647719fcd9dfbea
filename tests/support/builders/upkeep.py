"""Upkeep of a repository, as the maintenance loop does it."""

from packhouse.ids import RepoId
from packhouse.node.node import Node
from packhouse.repository.upkeep.maintain import flush_repo, maintain


def consolidate(node: Node, repo_id: RepoId | str) -> int:
    """Do the upkeep of a repository; return how many packs were replaced."""
    maintained = maintain(node, RepoId(repo_id))
    return 0 if maintained is None else maintained.packs


def flush(node: Node, repo_id: RepoId | str) -> int:
    """Flush the journal of a repository; return how many rows it had."""
    flushed = flush_repo(node, RepoId(repo_id))
    assert flushed is not None, "nobody else maintains it"
    return flushed.rows
