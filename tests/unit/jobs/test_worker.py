"""How a worker handles the end of a job, and jobs that several workers share."""

import logging
import threading
from collections.abc import Callable

import pytest

from packhouse.cursors import BadCursor
from packhouse.jobs.lease_loop import LeaseLoop, Round
from packhouse.jobs.task import Job, JobInterrupted, Task
from packhouse.jobs.worker import run_jobs
from packhouse.node.node import Node
from packhouse.operations.jobs.list_jobs import ListJobs, list_jobs
from packhouse.outbound.client import OutboundFailed
from packhouse.outbound.destination import BadAddress
from tests.support.jobs import drain
from tests.support.waiting import wait_until
from tests.unit.jobs.conftest import Clocks, MemoryWithOutages
from tests.unit.jobs.workers import Held, add, messages, the_job, working

pytestmark = pytest.mark.quick

Run = Callable[[Node, Job], None]


def failing(error: Exception) -> Run:
    def run(_node: Node, _job: Job) -> None:
        raise error

    return run


# The end of a job


def test_a_job_that_succeeds_is_deleted(node: Node, clocks: Clocks) -> None:
    ran: list[Job] = []
    add(node, payload='{"repo": "repo_a"}')
    with working(node, Task(lambda _node, job: ran.append(job))) as worker:
        assert worker.start_due()
        drain(node, worker)
    (job,) = ran
    assert (job.kind, job.key, job.payload, job.attempt) == ("test", "a", {"repo": "repo_a"}, 1)
    assert not job.is_last_attempt
    assert list_jobs(node, ListJobs()) == []


def test_a_failed_job_waits_as_long_as_its_task_says(node: Node, clocks: Clocks) -> None:
    add(node)
    task = Task(failing(BadCursor()), retry_first_s=100, retry_longest_s=100)
    with working(node, task) as worker:
        drain(node, worker)
    job = the_job(node)
    assert (job.state, job.attempts, job.last_error) == ("waiting", 1, "unreadable cursor")
    assert 80 <= job.run_at - clocks.now <= 120


def test_a_waiting_job_is_not_started_before_its_time(node: Node, clocks: Clocks) -> None:
    add(node)
    with working(node, Task(failing(BadCursor()), retry_first_s=100, retry_longest_s=100)) as worker:
        drain(node, worker)
        clocks.now = the_job(node).run_at - 1
        assert not worker.start_due()
        clocks.now += 1
        assert worker.start_due()


def test_the_last_failure_makes_a_job_dead_and_gives_its_task_the_reason(node: Node, clocks: Clocks) -> None:
    given_up: list[tuple[str, int, bool, str]] = []

    def give_up(_node: Node, job: Job, why: str) -> None:
        given_up.append((job.key, job.attempt, job.is_last_attempt, why))

    add(node)
    task = Task(failing(BadAddress("of the test")), attempts_max=2, give_up=give_up)
    with working(node, task) as worker:
        drain(node, worker)
        assert given_up == []
        clocks.now = the_job(node).run_at
        drain(node, worker)
    assert (the_job(node).state, the_job(node).last_error) == ("dead", "address cannot be used: of the test")
    assert given_up == [("a", 2, True, "address cannot be used: of the test")]


def test_an_interrupted_job_runs_again_at_once_and_keeps_its_attempts(node: Node, clocks: Clocks) -> None:
    attempts: list[int] = []

    def run(_node: Node, job: Job) -> None:
        attempts.append(job.attempt)
        if len(attempts) < 4:
            raise JobInterrupted

    add(node)
    with working(node, Task(run, attempts_max=1)) as worker:
        drain(node, worker)
    assert attempts == [1, 1, 1, 1]
    assert list_jobs(node, ListJobs()) == []


def test_a_job_of_an_unknown_kind_becomes_dead(node: Node, clocks: Clocks) -> None:
    """A later release may have queued the job before the operator went back to this release."""
    add(node, kind="of the future")
    with working(node, Task(failing(AssertionError()))) as worker:
        drain(node, worker)
    job = the_job(node)
    assert (job.state, job.last_error) == ("dead", "this release knows no such kind of job")


def test_a_job_that_killed_its_workers_becomes_dead_without_another_run(node: Node, clocks: Clocks) -> None:
    """A job that kills its process records no failure. Only its attempts are counted."""
    held = Held()
    given_up: list[str] = []
    task = Task(held.run, attempts_max=2, give_up=lambda _node, _job, why: given_up.append(why))
    add(node)
    with working(node, task) as first, working(node, task) as second, working(node, task) as third:
        assert first.start_due()
        held.wait_begun()
        clocks.sleep(31)
        assert second.start_due()
        held.wait_begun()
        clocks.sleep(31)
        assert third.start_due()
        wait_until(lambda: given_up, "the job is given up")
        held.may_end.set()
    assert len(held.jobs) == 2
    assert given_up == ["its workers ended before it did"]
    assert the_job(node).state == "dead"


def test_only_the_class_of_a_bugs_error_is_recorded(
    node: Node, clocks: Clocks, caplog: pytest.LogCaptureFixture
) -> None:
    """Only the messages of our own errors are known to hold no secret."""
    add(node)
    with working(node, Task(failing(RuntimeError("glpat-secret")))) as worker:
        drain(node, worker)
    assert the_job(node).last_error == "RuntimeError"
    (record,) = [record for record in caplog.records if record.message == "job failed"]
    assert (record.levelno, bool(record.exc_info)) == (logging.ERROR, True)


def test_an_expected_failure_is_logged_without_a_trace(
    node: Node, clocks: Clocks, caplog: pytest.LogCaptureFixture
) -> None:
    add(node)
    with working(node, Task(failing(OutboundFailed("timed out")))) as worker:
        drain(node, worker)
    (record,) = [record for record in caplog.records if record.message == "job failed"]
    assert (record.levelno, bool(record.exc_info)) == (logging.WARNING, False)


def test_the_reason_of_a_failure_is_kept_short(node: Node, clocks: Clocks) -> None:
    add(node)
    with working(node, Task(failing(BadAddress("x" * 10_000)))) as worker:
        drain(node, worker)
    assert len(the_job(node).last_error) == 300


def test_a_failing_give_up_is_logged_and_ends_nothing(
    node: Node, clocks: Clocks, caplog: pytest.LogCaptureFixture
) -> None:
    def give_up(_node: Node, _job: Job, _why: str) -> None:
        raise RuntimeError("of the test")

    ran: list[str] = []
    add(node)
    with working(node, Task(failing(BadCursor()), attempts_max=1, give_up=give_up)) as worker:
        drain(node, worker)
        wait_until(lambda: "job runner failed" in messages(caplog), "the failure is logged")
    assert the_job(node).state == "dead"
    add(node, key="b")
    with working(node, Task(lambda _node, job: ran.append(job.key))) as worker:
        drain(node, worker)
    assert ran == ["b"]


def test_a_job_whose_result_cannot_be_recorded_is_left_to_its_lease(
    node: Node, clocks: Clocks, database: MemoryWithOutages, caplog: pytest.LogCaptureFixture
) -> None:
    held = Held()
    add(node)
    with working(node, Task(held.run)) as worker:
        assert worker.start_due()
        held.wait_begun()
        database.is_away = True
        held.may_end.set()
        wait_until(lambda: "job left to its lease" in messages(caplog), "the worker has tried")
        database.is_away = False
        assert the_job(node).state == "running"
        assert not worker.start_due(), "the lease has not ended"
        clocks.sleep(31)
        drain(node, worker)
    assert [job.attempt for job in held.jobs] == [1, 2]
    assert list_jobs(node, ListJobs()) == []


# Leases


def test_a_job_that_runs_for_hours_stays_with_its_worker(node: Node, clocks: Clocks) -> None:
    held = Held()
    add(node)
    with working(node, Task(held.run)) as worker, working(node, Task(held.run)) as other:
        stopping = threading.Event()
        loop = LeaseLoop(node, worker, stopping)
        assert loop.run_once() is Round.WORKED
        held.wait_begun()
        for _ in range(500):
            clocks.advance(9.5)
            assert loop.run_once() is Round.IDLE
            assert not other.start_due()
        assert not held.jobs[0].should_stop()
        held.may_end.set()
        drain(node, worker)
    assert len(held.jobs) == 1


def test_a_job_without_a_heartbeat_is_taken_over_and_its_first_run_told_to_stop(
    node: Node, clocks: Clocks
) -> None:
    first, second = Held(), Held()
    add(node)
    with working(node, Task(first.run)) as sleeper, working(node, Task(second.run)) as other:
        sleeper.start_due()
        first.wait_begun()
        clocks.sleep(31)
        assert other.start_due()
        second.wait_begun()
        assert not first.jobs[0].should_stop(), "nobody has told the first worker yet"
        sleeper.extend_leases()
        assert first.jobs[0].should_stop()
        assert not second.jobs[0].should_stop()
        seen = node.wakeups.wait(0, 0)
        first.may_end.set()
        assert node.wakeups.wait(seen, 60) > seen, "the first run has ended"
        assert the_job(node).state == "running", "the end of the first run strikes nothing off"
        second.may_end.set()
        drain(node, other)
    assert list_jobs(node, ListJobs()) == []


def test_a_suspended_process_takes_its_own_job_back_as_another_run(node: Node, clocks: Clocks) -> None:
    """The monotonic clock stands still meanwhile, so the lease has ended before the next extension is due."""
    held = Held()
    add(node)
    with working(node, Task(held.run)) as worker:
        loop = LeaseLoop(node, worker, threading.Event())
        loop.run_once()
        held.wait_begun()
        clocks.sleep(3600)
        assert loop.run_once() is Round.WORKED
        held.wait_begun()
        clocks.advance(10)
        loop.run_once()
        stopped = [job.should_stop() for job in held.jobs]
        held.may_end.set()
        drain(node, worker)
    assert [job.attempt for job in held.jobs] == [1, 2]
    assert stopped == [True, False]
    assert list_jobs(node, ListJobs()) == []


def test_two_workers_share_the_jobs_and_each_job_has_one_worker(node: Node, clocks: Clocks) -> None:
    held = Held()
    threads = node.config.job_threads
    for number in range(2 * threads + 1):
        add(node, key=str(number))
    with working(node, Task(held.run)) as first, working(node, Task(held.run)) as second:
        assert first.start_due()
        assert not first.start_due(), "all its threads are busy"
        assert second.start_due()
        held.wait_begun(2 * threads)
        assert [job.state for job in list_jobs(node, ListJobs())].count("running") == 2 * threads
        held.may_end.set()
        drain(node, first)
        drain(node, second)
    assert sorted(int(job.key) for job in held.jobs) == list(range(2 * threads + 1))


def test_a_running_job_is_told_when_the_process_ends(node: Node, clocks: Clocks) -> None:
    held = Held()
    stopping = threading.Event()
    add(node)
    with working(node, Task(held.run), stopping=stopping) as worker:
        worker.start_due()
        held.wait_begun()
        assert not held.jobs[0].should_stop()
        stopping.set()
        assert held.jobs[0].should_stop()
        held.may_end.set()
        drain(node, worker)


def test_a_worker_that_is_stopped_in_the_middle_leaves_its_job_to_the_next(
    node: Node, clocks: Clocks
) -> None:
    held, ran = Held(), []
    add(node)
    with working(node, Task(held.run)) as worker:
        worker.start_due()
        held.wait_begun()
        worker.close()  # waits a moment only
    assert the_job(node).state == "running"
    clocks.sleep(31)
    with working(node, Task(lambda _node, job: ran.append(job.attempt))) as following:
        drain(node, following)
    held.may_end.set()
    assert ran == [2]


def test_the_end_of_a_job_wakes_the_loop(node: Node, clocks: Clocks) -> None:
    """Otherwise, with a long queue, each thread would do only one job in each poll."""
    add(node)
    with working(node, Task(lambda _node, _job: None)) as worker:
        seen = node.wakeups.wait(0, 0)
        worker.start_due()
        assert node.wakeups.wait(seen, 60) > seen


def test_an_equal_job_waits_while_one_runs(node: Node, clocks: Clocks) -> None:
    held = Held()
    add(node)
    with working(node, Task(held.run)) as worker:
        worker.start_due()
        held.wait_begun()
        add(node)
        assert not worker.start_due()
        held.may_end.set()
        drain(node, worker)
    assert [job.attempt for job in held.jobs] == [1, 1]


# The loop of a process


def test_recurring_jobs_are_queued_once_whatever_the_number_of_processes(node: Node, clocks: Clocks) -> None:
    stopping = threading.Event()
    stopping.set()
    for _ in range(3):
        run_jobs(node, stopping)
        clocks.advance(5)
    assert [(job.kind, job.key, job.run_at) for job in list_jobs(node, ListJobs())] == [
        ("prune_events", "all", 1060)
    ]


def test_a_process_that_starts_in_an_outage_serves_without_recurring_jobs(
    node: Node, clocks: Clocks, database: MemoryWithOutages, caplog: pytest.LogCaptureFixture
) -> None:
    database.is_away = True
    stopping = threading.Event()
    stopping.set()
    run_jobs(node, stopping)
    assert messages(caplog) == ["recurring jobs not queued"]


def test_the_loop_goes_on_with_the_queue_after_an_outage(
    node: Node, clocks: Clocks, database: MemoryWithOutages
) -> None:
    ran: list[str] = []
    with working(node, Task(lambda _node, job: ran.append(job.key))) as worker:
        loop = LeaseLoop(node, worker, threading.Event())
        add(node)
        database.is_away = True
        assert [loop.run_once() for _ in range(3)] == [Round.AWAY] * 3
        database.is_away = False
        assert loop.run_once() is Round.WORKED
        drain(node, worker)
    assert ran == ["a"]
