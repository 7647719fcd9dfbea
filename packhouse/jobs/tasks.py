"""Every kind of job that this release knows. A new one is a row here and a thin module beside it."""

from collections.abc import Mapping
from typing import Final

from packhouse.jobs import clean_repo, prune_events
from packhouse.jobs.task import Task

TASKS: Final[Mapping[str, Task]] = {
    "clean_repo": Task(clean_repo.run),
    "prune_events": Task(prune_events.run),
}

RECURRING: Final[Mapping[str, int]] = {"prune_events": 60}
"""Kinds of which a job with the key `all` is queued at start-up, to run after so many seconds."""
