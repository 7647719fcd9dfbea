"""Background jobs as an operator sees them."""

from typing import Final

from packhouse import limits
from packhouse.db.jobs import JOB_STATES, JobRow, revive_job
from packhouse.db.jobs import list_jobs as list_job_rows
from packhouse.errors import NotFound
from packhouse.node.node import Node

__all__ = ["STATES", "JobRow", "list_jobs", "retry_job"]

STATES: Final = JOB_STATES


class JobNotFound(NotFound):
    """There is no dead job of that id."""

    def __init__(self, job_id: int) -> None:
        super().__init__("no such dead job", job=job_id)


def list_jobs(node: Node, state: str = "") -> list[JobRow]:
    """Return jobs of one state, or running, then waiting, then dead ones; at most `limits.jobs_listed_max` each."""
    states = [state] if state else STATES
    with node.database.snapshot() as session:
        return [job for each in states for job in list_job_rows(session, each, limit=limits.jobs_listed_max)]


def retry_job(node: Node, job_id: int) -> None:
    """Let a dead job run again, with all its attempts; raise JobNotFound."""
    now = node.clock()
    if not node.database.transact(lambda session: revive_job(session, job_id, now=now)):
        raise JobNotFound(job_id)
    node.wakeups.notify()
