"""Running the jobs of the queue: claim a job, extend its lease, then finish it, retry it or make it dead.

Each thread runs one job of normal priority, or a batch of jobs of low priority. Low ones get at most half of the
threads, and only those that normal ones leave free. A batch takes a moment, unless its jobs hold much. So a normal job
need not wait for low ones, however many are due.
"""

import json
import logging
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from packhouse import limits
from packhouse.errors import PackhouseError, Unavailable, WithReason
from packhouse.jobs.lease_loop import LeaseLoop, end_threads, make_worker_name
from packhouse.jobs.task import Job, JobInterrupted, Task
from packhouse.jobs.tasks import RECURRING, TASKS
from packhouse.log import log_event
from packhouse.node import Node
from packhouse.operations.jobs.bury_job import BuryJob, bury_job
from packhouse.operations.jobs.claim_jobs import ClaimedJob, ClaimJobs, JobPriority, claim_jobs
from packhouse.operations.jobs.extend_jobs import ExtendJobs, extend_jobs
from packhouse.operations.jobs.finish_jobs import FinishJobs, finish_jobs
from packhouse.operations.jobs.put_back_job import PutBackJob, put_back_job
from packhouse.operations.jobs.queue_recurring import QueueRecurring, queue_recurring


def run_jobs(node: Node, stopping: threading.Event) -> None:
    """Run jobs until `stopping` is set. Running jobs then get a moment to end; otherwise they run again later."""
    try:
        queue_recurring(node, QueueRecurring(RECURRING))
    except Unavailable as error:  # the next process that starts will queue them
        log_event("recurring jobs not queued", level=logging.WARNING, reason=error.code.value)
    LeaseLoop(node, Worker(node, TASKS, stopping), stopping).run()


@dataclass(slots=True)
class _Running:
    """The jobs that a thread runs, of one priority. `is_lost`: another worker runs one of them as well."""

    jobs: Sequence[ClaimedJob]
    priority: JobPriority
    is_lost: bool = False


class Worker:
    """The jobs of one process: the work of a lease loop."""

    outage_message = "jobs wait for the database"

    def __init__(self, node: Node, tasks: Mapping[str, Task], stopping: threading.Event) -> None:
        self._node = node
        self._tasks = tasks
        self._stopping = stopping
        self._worker = make_worker_name(node.random_bytes)
        self._threads = ThreadPoolExecutor(node.config.job_threads, thread_name_prefix="packhouse-jobs")
        self._running: dict[Future[None], _Running] = {}

    def start_due(self) -> bool:
        """Claim as many due jobs as there are free threads, then a batch of low priority, and start them.

        Returns False when none was started.
        """
        self._forget_ended()
        threads_max = self._node.config.job_threads
        free = threads_max - len(self._running)
        if free <= 0:
            return False
        normal = claim_jobs(self._node, ClaimJobs(self._worker, count_max=free))
        for job in normal:
            self._start(_Running([job], JobPriority.NORMAL))
        busy_with_low = sum(running.priority is JobPriority.LOW for running in self._running.values())
        if free == len(normal) or busy_with_low >= max(1, threads_max // 2):
            return bool(normal)
        batch = ClaimJobs(self._worker, count_max=limits.job_batch_max, priority=JobPriority.LOW)
        low = claim_jobs(self._node, batch)
        if low:
            self._start(_Running(low, JobPriority.LOW))
        return bool(normal or low)

    def _start(self, running: _Running) -> None:
        self._running[self._threads.submit(self._run, running)] = running

    def extend_leases(self) -> None:
        """Extend the leases of the running jobs. A job that another worker has taken is told to stop."""
        self._forget_ended()
        held = list(self._running.values())
        jobs = [job for running in held for job in running.jobs]
        kept = set(extend_jobs(self._node, ExtendJobs(self._worker, jobs)))
        for running in held:
            running.is_lost = not kept.issuperset(running.jobs)

    def close(self) -> None:
        """Wait a moment for the running jobs. When their leases end, another worker takes over the unfinished ones."""
        end_threads(self._threads, self._running)

    def _forget_ended(self) -> None:
        self._running = {future: running for future, running in self._running.items() if not future.done()}

    def _run(self, running: _Running) -> None:
        """Run the jobs of a thread and record their results."""
        try:
            by_kind: dict[str, list[ClaimedJob]] = {}
            for job in running.jobs:
                by_kind.setdefault(job.kind, []).append(job)
            for kind, jobs in by_kind.items():
                self._run_kind(running, kind, jobs)
        finally:
            self._node.wakeups.notify()

    def _run_kind(self, running: _Running, kind: str, jobs: Sequence[ClaimedJob]) -> None:
        """Run jobs of one kind, together if that is possible."""
        task = self._tasks.get(kind)
        try:
            left = jobs if task is None or len(jobs) == 1 else self._run_together(running, task, jobs)
            for job in left:
                self._run_alone(running, task, job)
        except Unavailable as error:
            # The result cannot be recorded. The lease will end, and the job will run again.
            log_event("job left to its lease", level=logging.WARNING, kind=kind, reason=error.code.value)
        except Exception:  # noqa: BLE001 - the last frame of a thread: an unlogged failure would stay unseen
            log_event("job runner failed", level=logging.ERROR, exc_info=True, kind=kind)

    def _run_together(
        self, running: _Running, task: Task, jobs: Sequence[ClaimedJob]
    ) -> Sequence[ClaimedJob]:
        """Run jobs as one. Return those that must run alone: all after a failure, and those that failed too often."""
        if task.run_many is None:
            return jobs
        together = [job for job in jobs if job.attempts <= task.attempts_max]
        descriptions = [self._describe_run(running, task, job) for job in together]
        try:
            interrupted = set(task.run_many(self._node, descriptions))
        except Exception as error:  # noqa: BLE001 - whatever it was: run alone, the failing job is logged
            log_event("jobs run one by one", kind=jobs[0].kind, reason=_describe(error))
            return jobs
        done = [job for job in together if job.key not in interrupted]
        finish_jobs(self._node, FinishJobs(self._worker, done))
        for job in together:
            if job.key in interrupted:
                self._put_back_interrupted(job)
        return [job for job in jobs if job.attempts > task.attempts_max]

    def _run_alone(self, running: _Running, task: Task | None, job: ClaimedJob) -> None:
        """Run one job and record its result."""
        if task is None:
            self._bury(job, "this release knows no such kind of job")
        elif job.attempts > task.attempts_max:
            self._give_up(running, task, job, "its workers ended before it did")
        else:
            self._try(running, task, job)

    def _try(self, running: _Running, task: Task, claimed: ClaimedJob) -> None:
        job = self._describe_run(running, task, claimed)
        try:
            task.run(self._node, job)
        except JobInterrupted:
            self._put_back_interrupted(claimed)
        except Exception as error:  # noqa: BLE001 - after any failure the job must be retried or made dead
            why = _describe(error)
            expected = isinstance(error, PackhouseError)
            log_event(
                "job failed",
                level=logging.WARNING if expected else logging.ERROR,
                exc_info=not expected,
                kind=job.kind,
                key=job.key,
                attempt=job.attempt,
                reason=why,
            )
            if job.is_last_attempt:
                self._give_up(running, task, claimed, why)
            else:
                delay_s = task.retry_delay_s(claimed.attempts, self._node.jitter)
                self._put_back(claimed, delay_s=delay_s, attempts=claimed.attempts, reason=why)
        else:
            finish_jobs(self._node, FinishJobs(self._worker, [claimed]))

    def _describe_run(self, running: _Running, task: Task, claimed: ClaimedJob) -> Job:
        return Job(
            kind=claimed.kind,
            key=claimed.key,
            repo_id=claimed.repo_id,
            payload=json.loads(claimed.payload),
            attempt=claimed.attempts,
            is_last_attempt=claimed.attempts >= task.attempts_max,
            should_stop=lambda: self._stopping.is_set() or running.is_lost,
        )

    def _put_back_interrupted(self, job: ClaimedJob) -> None:
        self._put_back(job, delay_s=0, attempts=job.attempts - 1, reason="interrupted")

    def _put_back(self, job: ClaimedJob, *, delay_s: int, attempts: int, reason: str) -> None:
        command = PutBackJob(worker=self._worker, job=job, delay_s=delay_s, attempts=attempts, reason=reason)
        put_back_job(self._node, command)

    def _give_up(self, running: _Running, task: Task, job: ClaimedJob, why: str) -> None:
        self._bury(job, why)
        if task.give_up is not None:
            task.give_up(self._node, self._describe_run(running, task, job), why)

    def _bury(self, job: ClaimedJob, why: str) -> None:
        log_event("job given up", level=logging.ERROR, kind=job.kind, key=job.key, reason=why)
        bury_job(self._node, BuryJob(worker=self._worker, job=job, reason=why))


def _describe(error: Exception) -> str:
    """Return the text for the operator. Only messages of our own errors are known to hold no secret."""
    if not isinstance(error, PackhouseError):
        return type(error).__name__
    text = error.code.value
    if isinstance(error, WithReason) and error.reason:
        text += f": {error.reason}"
    return text[: limits.job_error_max_chars]
