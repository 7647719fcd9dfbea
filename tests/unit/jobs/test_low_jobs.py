"""Jobs of low priority: they run together, and leave threads to the other jobs."""

import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import pytest

from packhouse import limits
from packhouse.db.jobs import JobPriority, insert_job
from packhouse.jobs.task import Job, Task
from packhouse.jobs.worker import Worker
from packhouse.node.node import Node
from packhouse.operations.jobs.claim_jobs import ClaimJobs, claim_jobs
from packhouse.operations.jobs.list_jobs import ListJobs, list_jobs
from packhouse.outbound.destination import BadAddress
from tests.support.jobs import drain
from tests.support.waiting import wait_until
from tests.unit.jobs.conftest import Clocks
from tests.unit.jobs.workers import Held, add, messages, the_job, working

pytestmark = pytest.mark.quick


def add_low(node: Node, count: int, *, kind: str = "test") -> None:
    with node.database.write() as session:
        for number in range(count):
            key = f"low{number}"
            insert_job(
                session, kind, key, priority=JobPriority.LOW, run_at=node.clock() - 1, now=node.clock()
            )


def states(node: Node) -> Counter[str]:
    return Counter(job.state for job in list_jobs(node, ListJobs()))


@dataclass
class Batches:
    """A task that runs jobs together. `interrupts` are the keys of the jobs that it leaves undone the first time."""

    interrupts: set[str] = field(default_factory=set)
    fails: bool = False
    together: list[list[str]] = field(default_factory=list)
    alone: list[str] = field(default_factory=list)

    def run(self, _node: Node, job: Job) -> None:
        self.alone.append(job.key)
        if job.key == "low1" and self.fails:
            raise BadAddress("of the test")

    def run_many(self, _node: Node, jobs: Sequence[Job]) -> set[str]:
        self.together.append([job.key for job in jobs])
        if self.fails:
            raise BadAddress("of the test")
        left, self.interrupts = self.interrupts, set()
        return left

    @property
    def task(self) -> Task:
        return Task(self.run, self.run_many)


def test_a_job_is_started_while_thousands_of_low_priority_are_due(node: Node, clocks: Clocks) -> None:
    """Low ones are due for longer, there are more of them than all threads take, and theirs hang."""
    low, held = Held(), Held()
    add_low(node, 3 * limits.job_batch_max, kind="low")
    stopping = threading.Event()
    worker = Worker(node, {"low": Task(low.run), "test": Task(held.run)}, stopping)
    while worker.start_due():
        pass
    low.wait_begun(node.config.job_threads // 2)
    assert states(node)["running"] == node.config.job_threads // 2 * limits.job_batch_max
    for number in range(node.config.job_threads):
        add(node, key=str(number))
    assert worker.start_due()
    held.wait_begun(node.config.job_threads - node.config.job_threads // 2)
    assert not worker.start_due(), "no thread is free"
    for each in (low, held):
        each.may_end.set()
    drain(node, worker)
    assert len(low.jobs) == 3 * limits.job_batch_max
    worker.close()


def test_with_one_thread_a_normal_job_goes_before_low_ones(node: Node, clocks: Clocks) -> None:
    node = replace(node, config=replace(node.config, job_threads=1))
    node.clock = lambda: clocks.now
    ran: list[str] = []
    add_low(node, 3)
    add(node, key="normal")
    with working(node, Task(lambda _node, job: ran.append(job.key))) as worker:
        drain(node, worker)
    assert ran == ["normal", "low0", "low1", "low2"]


def test_low_jobs_of_one_kind_run_together_and_are_deleted(node: Node, clocks: Clocks) -> None:
    batches = Batches()
    add_low(node, limits.job_batch_max + 3)
    with working(node, batches.task) as worker:
        drain(node, worker)
    assert sorted(map(len, batches.together)) == [3, limits.job_batch_max]
    assert batches.alone == []
    assert states(node) == {}


def test_low_jobs_without_a_way_to_run_together_run_one_after_another(node: Node, clocks: Clocks) -> None:
    ran: list[str] = []
    add_low(node, 3)
    with working(node, Task(lambda _node, job: ran.append(job.key))) as worker:
        drain(node, worker)
    assert ran == ["low0", "low1", "low2"]
    assert states(node) == {}


def test_when_jobs_fail_together_each_has_its_own_result(
    node: Node, clocks: Clocks, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    batches = Batches(fails=True)
    add_low(node, 3)
    with working(node, batches.task) as worker:
        drain(node, worker)
    assert batches.alone == ["low0", "low1", "low2"]
    failed = the_job(node)
    assert (failed.key, failed.state, failed.attempts) == ("low1", "waiting", 1)
    assert failed.run_at > clocks.now
    assert messages(caplog) == ["jobs run one by one", "job failed"]


def test_of_jobs_that_run_together_the_interrupted_ones_run_again_at_once(node: Node, clocks: Clocks) -> None:
    batches = Batches(interrupts={"low1"})
    add_low(node, 3)
    with working(node, batches.task) as worker:
        drain(node, worker)
    assert (batches.together, batches.alone) == ([["low0", "low1", "low2"]], ["low1"])
    assert states(node) == {}


def test_a_job_that_killed_too_many_workers_is_not_run_together_with_others(
    node: Node, clocks: Clocks
) -> None:
    batches = Batches()
    add_low(node, 3)
    claim_jobs(node, ClaimJobs("killed", count_max=1, priority=JobPriority.LOW))
    clocks.sleep(31)
    with working(node, replace(batches.task, attempts_max=1)) as worker:
        drain(node, worker)
    assert batches.together == [["low1", "low2"]]
    assert (the_job(node).key, the_job(node).state) == ("low0", "dead")


def test_jobs_that_run_together_are_told_when_one_of_them_is_lost(node: Node, clocks: Clocks) -> None:
    held = Held()

    def run_many(held_node: Node, jobs: Sequence[Job]) -> set[str]:
        held.run(held_node, jobs[-1])
        return {job.key for job in jobs} if jobs[0].should_stop() else set()

    add_low(node, 2)
    with working(node, Task(held.run, run_many)) as sleeper:
        sleeper.start_due()
        held.wait_begun()
        clocks.sleep(31)
        assert claim_jobs(node, ClaimJobs("other", count_max=1, priority=JobPriority.LOW))
        sleeper.extend_leases()
        held.may_end.set()
        wait_until(lambda: states(node)["waiting"] == 1, "the job that was not lost is put back")
    assert states(node) == {"running": 1, "waiting": 1}
