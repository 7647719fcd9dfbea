"""The queue of background work: rows inserted by the transactions that cause the work."""

from packhouse.db.session import Session


def insert_job(
    session: Session,
    kind: str,
    key: str,
    *,
    repo_id: int | None = None,
    payload: str = "{}",
    priority: int = 0,
    run_at: int,
    now: int,
) -> None:
    """Queue a job unless one of the same kind and key waits already; that one then runs at the earlier time.

    `payload` is JSON. Higher priorities go first.
    """
    session.run(
        "insert_job",
        kind=kind,
        key=key,
        repo_id=repo_id,
        payload=payload,
        priority=priority,
        run_at=run_at,
        now=now,
    )
