"""The interface of a kind of job to the worker that runs it."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from packhouse import limits
from packhouse.ids import RepoKey
from packhouse.node import Node


class JobInterrupted(Exception):
    """The task noticed that it should end early; the job runs again, and the attempt does not count."""


@dataclass(frozen=True, slots=True)
class Job:
    """One run of a job. `attempt` counts from 1. A failure of the last attempt makes the job dead.

    `should_stop()` becomes true when the process ends or another worker has taken the job. Long tasks call it between
    steps, and raise JobInterrupted.
    """

    kind: str
    key: str
    repo_id: RepoKey | None
    payload: Mapping[str, Any]
    attempt: int
    is_last_attempt: bool
    should_stop: Callable[[], bool]


@dataclass(frozen=True, slots=True)
class Task:
    """One kind of job. `run` must be safe to run twice, also twice at the same time.

    `run` fails by raising. The operator sees the message of a PackhouseError, but only the class of other errors.
    `give_up` is called with the reason once a job is dead.

    `run_many` runs several jobs of low priority together, and returns the keys of those that it was told to interrupt.
    They share `should_stop`. When it raises, each job is run alone, so that one failing job holds up no other.
    """

    run: Callable[[Node, Job], None]
    run_many: Callable[[Node, Sequence[Job]], Collection[str]] | None = None
    attempts_max: int = limits.job_attempts_max
    retry_first_s: int = limits.job_retry_first_s
    retry_longest_s: int = limits.job_retry_longest_s
    give_up: Callable[[Node, Job, str], None] | None = None

    def retry_delay_s(self, attempt: int, jitter: Callable[[], float]) -> int:
        """Return how long to wait after a failed attempt. The time grows fourfold, and varies by a fifth.

        `jitter()` returns numbers from 0 to 1.
        """
        delay_s = min(self.retry_longest_s, self.retry_first_s << 2 * min(attempt - 1, 20))
        return max(1, round(delay_s * (0.8 + 0.4 * jitter())))
