"""Every kind of job that this release knows. A new kind is a row here and a thin module beside it."""

from collections.abc import Mapping
from typing import Final

from packhouse import limits
from packhouse.jobs import clean_repo, prune_events, sync_upstream
from packhouse.jobs.task import Task
from packhouse.repository import SYNC_JOB

TASKS: Final[Mapping[str, Task]] = {
    "clean_repo": Task(clean_repo.run, clean_repo.run_many),
    "prune_events": Task(prune_events.run),
    # The task itself counts failures of the upstream. The attempts here only count workers that were killed.
    SYNC_JOB: Task(sync_upstream.run, retry_first_s=limits.sync_retry_first_s, give_up=sync_upstream.give_up),
}

RECURRING: Final[Mapping[str, int]] = {"prune_events": 60}
"""Kinds that recur, with a delay in seconds. At start-up a job with the key `all` is queued, to run after the delay."""
