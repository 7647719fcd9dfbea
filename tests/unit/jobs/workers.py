"""Workers of a test, and the jobs that they run."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest

from packhouse.db.jobs import JobRow, insert_job
from packhouse.jobs.task import Job, Task
from packhouse.jobs.worker import Worker
from packhouse.node.node import Node
from packhouse.operations.jobs.list_jobs import ListJobs, list_jobs


def add(node: Node, kind: str = "test", key: str = "a", *, payload: str = "{}") -> None:
    with node.database.write() as session:
        insert_job(session, kind, key, run_at=node.clock(), now=node.clock(), payload=payload)


@contextmanager
def working(node: Node, task: Task, *, stopping: threading.Event | None = None) -> Iterator[Worker]:
    stopping = stopping or threading.Event()
    worker = Worker(node, {"test": task}, stopping)
    try:
        yield worker
    finally:
        stopping.set()
        worker.close()


def the_job(node: Node) -> JobRow:
    (job,) = list_jobs(node, ListJobs())
    return job


def messages(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.message for record in caplog.records if record.name == "packhouse"]


@dataclass
class Held:
    """A task whose runs last until the test ends them. Each run releases `began`."""

    began: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    may_end: threading.Event = field(default_factory=threading.Event)
    jobs: list[Job] = field(default_factory=list)

    def run(self, _node: Node, job: Job) -> None:
        self.jobs.append(job)
        self.began.release()
        assert self.may_end.wait(60)

    def wait_begun(self, count: int = 1) -> None:
        for _ in range(count):
            assert self.began.acquire(timeout=60)
