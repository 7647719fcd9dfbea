"""Listing background jobs."""

from dataclasses import dataclass
from typing import Final

from packhouse import limits
from packhouse.db import JOB_STATES, JobRow
from packhouse.db import jobs as rows
from packhouse.node import Node

__all__ = ["STATES", "JobRow", "ListJobs", "list_jobs"]

STATES: Final = JOB_STATES
"""The states of jobs in the order of the listing."""


@dataclass(frozen=True, slots=True)
class ListJobs:
    """The jobs to list: those in `state`, or all (None)."""

    state: str | None = None


def list_jobs(node: Node, command: ListJobs) -> list[JobRow]:
    """Return jobs: running, waiting, then dead ones, at most `limits.jobs_listed_max` of each state."""
    states = [command.state] if command.state is not None else STATES
    with node.database.snapshot() as session:
        return [job for each in states for job in rows.list_jobs(session, each, limit=limits.jobs_listed_max)]
