"""Queuing a pull from the upstream. Equal waiting pulls become one."""

import json
from typing import Final

from packhouse.db import Repo, Session, insert_job
from packhouse.ids import RepoId, RepoKey
from packhouse.node import Node

SYNC_JOB: Final = "sync_upstream"


def queue_sync(
    session: Session,
    repo_id: RepoKey,
    public_id: RepoId,
    *,
    ref: str | None = None,
    delay_s: int = 0,
    now: int,
) -> None:
    """Queue a pull of everything or of one branch or tag, in the transaction that causes it.

    Call `node.wakeups.notify()` after the commit.
    """
    insert_job(
        session,
        SYNC_JOB,
        public_id if ref is None else f"{public_id} {ref}",
        repo_id=repo_id,
        payload=json.dumps({"repo": public_id, "ref": ref}),
        run_at=now + delay_s,
        now=now,
    )


def pull_soon(node: Node, repo: Repo) -> None:
    """Queue a pull of everything, to learn the upstream's values."""
    with node.database.write() as session:
        queue_sync(session, repo.id, repo.public_id, now=node.clock())
    node.wakeups.notify()
