"""How a run of a sync ends, for whoever listens to events."""

import contextlib
from dataclasses import replace

from packhouse import limits
from packhouse.db import Repo, RepoNotFound, Session, Upstream, mark_failed
from packhouse.node import Node
from packhouse.repository import SYNC_FAILED, SyncRun, record_sync


def fail_run(node: Node, repo: Repo, upstream: Upstream, reason: str) -> None:
    """Tell that the run failed. Of a repository that is deleted nothing is told; of one without upstream it is."""
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
    """Return what is told of a run that ends now."""
    return SyncRun(
        run_count=upstream.run_count + 1,
        is_first_sync=upstream.synced_at is None,
        started_at=now if upstream.started_at is None else upstream.started_at,
        completed_at=now,
    )
