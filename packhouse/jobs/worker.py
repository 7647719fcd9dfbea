"""Running the jobs of the queue: claim, keep the lease alive, then finish, retry or bury."""

import json
import logging
import os
import secrets
import socket
import threading
import time
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import wait as wait_for
from dataclasses import dataclass, field
from typing import Final

from packhouse import limits
from packhouse.db.jobs import (
    ClaimedJob,
    bury_job,
    claim_job,
    extend_lease,
    finish_job,
    insert_job,
    list_claimable_jobs,
    put_back_job,
)
from packhouse.db.session import Session
from packhouse.errors import PackhouseError, Unavailable
from packhouse.jobs.task import Job, JobInterrupted, Task
from packhouse.jobs.tasks import RECURRING, TASKS
from packhouse.log import log_event
from packhouse.node.node import Node

_SETTLE_S: Final = 0.02  # between two looks, however often this process is told of new jobs
_AWAY_S: Final = 1.0  # before the next look when the database was away


def run_jobs(node: Node, stopping: threading.Event) -> None:
    """Run jobs until `stopping` is set; those under way then get a moment to end, or else run again later."""
    worker = Worker(node, TASKS, stopping)
    try:
        _queue_recurring(node)
        seen = 0
        is_away = False
        while not stopping.is_set():
            try:
                worker.extend_leases()
                started = worker.start_jobs()
            except Unavailable as error:
                if not is_away:  # once in an outage
                    log_event("jobs wait for the database", level=logging.WARNING, reason=error.message)
                is_away = True
                stopping.wait(_AWAY_S)
                continue
            is_away = False
            if not started:
                seen = node.wakeups.wait(seen, limits.job_poll_s)
                stopping.wait(_SETTLE_S)
    finally:
        worker.close()


def _queue_recurring(node: Node) -> None:
    now = node.clock()

    def queue(session: Session) -> None:
        for kind, delay_s in RECURRING.items():
            insert_job(session, kind, "all", run_at=now + delay_s, now=now)

    try:
        node.database.transact(queue)
    except Unavailable as error:  # the next process that starts queues them
        log_event("recurring jobs not queued", level=logging.WARNING, reason=error.message)


@dataclass(slots=True)
class _Running:
    job: ClaimedJob
    lost: threading.Event = field(default_factory=threading.Event)


class Worker:
    """The jobs of one process. Its methods are called by one thread; the jobs run in others."""

    def __init__(self, node: Node, tasks: Mapping[str, Task], stopping: threading.Event) -> None:
        self._node = node
        self._tasks = tasks
        self._stopping = stopping
        self._name = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"
        self._threads = ThreadPoolExecutor(node.config.job_threads, thread_name_prefix="packhouse-jobs")
        self._running: dict[Future[None], _Running] = {}
        self._lease_s = node.config.job_lease_s
        self._extend_at = 0.0

    def start_jobs(self) -> int:
        """Claim as many due jobs as there are free threads, start them and return how many."""
        self._forget_ended()
        free = self._node.config.job_threads - len(self._running)
        if free <= 0:
            return 0
        now = self._node.clock()
        with self._node.database.read() as session:
            ids = list_claimable_jobs(session, now=now, limit=free)
        if not ids:
            return 0

        def claim(session: Session) -> list[ClaimedJob]:
            until = now + self._lease_s
            jobs = (claim_job(session, i, worker=self._name, lease_until=until, now=now) for i in ids)
            return [job for job in jobs if job is not None]

        claimed = self._node.database.transact(claim)
        for job in claimed:
            running = _Running(job)
            self._running[self._threads.submit(self._run, running)] = running
        return len(claimed)

    def extend_leases(self) -> None:
        """Tell, three times in a lease, that the jobs of this process are alive."""
        if time.monotonic() < self._extend_at:
            return
        self._extend_at = time.monotonic() + self._lease_s / 3
        self._forget_ended()
        held = list(self._running.values())
        if not held:
            return
        until = self._node.clock() + self._lease_s

        def extend(session: Session) -> list[_Running]:
            return [
                running
                for running in held
                if not extend_lease(session, running.job, worker=self._name, lease_until=until)
            ]

        for running in self._node.database.transact(extend):
            running.lost.set()

    def close(self) -> None:
        """Wait a moment for the jobs under way; whoever starts next takes over the others."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        wait_for(list(self._running), limits.finishing_max_s)

    def _forget_ended(self) -> None:
        self._running = {future: running for future, running in self._running.items() if not future.done()}

    def _run(self, running: _Running) -> None:
        """Run one job and write down what became of it."""
        job, task = running.job, self._tasks.get(running.job.kind)
        try:
            if task is None:
                self._bury(job, "this release knows no such kind of job")
            elif job.attempts > task.attempts_max:
                self._give_up(running, task, "its workers ended before it did")
            else:
                self._try(running, task)
        except Unavailable as error:
            # Nobody can write down what happened: the lease ends, and the job runs again.
            log_event("job left to its lease", level=logging.WARNING, kind=job.kind, reason=error.message)
        except Exception:  # noqa: BLE001 - the last frame of a thread's work: whatever it was, it must be seen
            log_event("job runner failed", level=logging.ERROR, exc_info=True, kind=job.kind)
        finally:
            self._node.wakeups.notify()

    def _try(self, running: _Running, task: Task) -> None:
        claimed = running.job
        job = self._describe_run(running, task)
        try:
            task.run(self._node, job)
        except JobInterrupted:
            self._put_back(claimed, delay_s=0, attempts=claimed.attempts - 1, why="interrupted")
        except Exception as error:  # noqa: BLE001 - whatever failed, the job must be tried again or buried
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
                self._give_up(running, task, why)
            else:
                delay_s = task.retry_delay_s(claimed.attempts)
                self._put_back(claimed, delay_s=delay_s, attempts=claimed.attempts, why=why)
        else:
            self._node.database.transact(lambda session: finish_job(session, claimed, worker=self._name))

    def _describe_run(self, running: _Running, task: Task) -> Job:
        claimed = running.job
        return Job(
            kind=claimed.kind,
            key=claimed.key,
            repo_id=claimed.repo_id,
            payload=json.loads(claimed.payload),
            attempt=claimed.attempts,
            is_last_attempt=claimed.attempts >= task.attempts_max,
            should_stop=lambda: self._stopping.is_set() or running.lost.is_set(),
        )

    def _give_up(self, running: _Running, task: Task, why: str) -> None:
        self._bury(running.job, why)
        if task.give_up is not None:
            task.give_up(self._node, self._describe_run(running, task), why)

    def _put_back(self, job: ClaimedJob, *, delay_s: int, attempts: int, why: str) -> None:
        run_at = self._node.clock() + delay_s
        self._node.database.transact(
            lambda session: put_back_job(
                session, job, worker=self._name, run_at=run_at, attempts=attempts, last_error=why
            )
        )

    def _bury(self, job: ClaimedJob, why: str) -> None:
        log_event("job given up", level=logging.ERROR, kind=job.kind, key=job.key, reason=why)
        now = self._node.clock()
        self._node.database.transact(
            lambda session: bury_job(session, job, worker=self._name, last_error=why, now=now)
        )


def _describe(error: Exception) -> str:
    """Return what an operator may read. Only messages of our own errors are known to hold no secret."""
    if not isinstance(error, PackhouseError):
        return type(error).__name__
    reason = error.fields.get("reason")
    text = f"{error.message}: {reason}" if isinstance(reason, str) else error.message
    return text[: limits.job_error_max_chars]
