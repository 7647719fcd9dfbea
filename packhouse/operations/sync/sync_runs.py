"""The end of a sync run, and the event about it."""

import contextlib
from dataclasses import replace

from packhouse import limits
from packhouse.db import Repo, RepoNotFound, Session, Upstream, mark_failed
from packhouse.node import Node
from packhouse.repository import SYNC_FAILED, SyncRun, record_sync


def fail_run(node: Node, repo: Repo, upstream: Upstream, reason: str) -> None:
    """Write the event that the run failed, also when the link has ended, but not for a deleted repository."""
    now = node.clock()
    error = reason[: limits.sync_error_max_chars]

    def fail(session: Session) -> None:
        mark_failed(session, repo.id, error=error, now=now)
        run = replace(ended_run(upstream, now), error=error)
        record_sync(session, repo, SYNC_FAILED, run, now=now)

    with contextlib.suppress(RepoNotFound):
        node.database.transact(fail)
    node.wakeups.notify()


def ended_run(upstream: Upstream, now: int) -> SyncRun:
    """Return the run for an event, with now as its end."""
    return SyncRun(
        run_count=upstream.run_count + 1,
        is_first_sync=upstream.synced_at is None,
        started_at=now if upstream.started_at is None else upstream.started_at,
        completed_at=now,
    )
