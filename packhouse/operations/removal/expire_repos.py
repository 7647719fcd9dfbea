"""Deleting the repositories whose time has come."""

import logging
from dataclasses import dataclass

from packhouse.db import DeletedRow, Session, has_expired_repos, mark_expired_deleted
from packhouse.log import log_event
from packhouse.node import Node, ShouldStop, never
from packhouse.operations.repos.delete_repo import queue_cleaning


@dataclass(frozen=True, slots=True)
class ExpireRepos:
    """Deletes the expired repositories of all organisations. `should_stop` is called between two transactions."""

    should_stop: ShouldStop = never


def expire_repos(node: Node, command: ExpireRepos) -> int:
    """Delete the repositories whose `expires_at` has come, as delete_repo() does. Return their number.

    Any number of servers may call it at once: each repository is deleted by one of them. A repository whose time was
    moved into the future before its deletion stays.
    """
    deleted_count = 0
    while not command.should_stop():
        now = node.clock()
        with node.database.read() as session:  # most calls find nothing, and need not wait for other writers
            if not has_expired_repos(session, now=now):
                return deleted_count
        deleted = _delete_page(node, now)
        for repo in deleted:
            log_event(
                "repository expired",
                level=logging.INFO,
                repo=f"{repo.org_name}/{repo.name}",
                repo_id=repo.public_id,
            )
        deleted_count += len(deleted)
    return deleted_count


def _delete_page(node: Node, now: int) -> list[DeletedRow]:
    state = node.new_state()

    def delete(session: Session) -> list[DeletedRow]:
        deleted = mark_expired_deleted(session, limit=node.limits.deletion_batch, state=state, now=now)
        queue_cleaning(session, [(repo.id, repo.public_id) for repo in deleted], now=now)
        return deleted

    return node.database.transact(delete)
