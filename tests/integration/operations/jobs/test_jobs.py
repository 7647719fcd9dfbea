"""The job queue, on SQLite and on PostgreSQL."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from packhouse.auth.principal import Principal
from packhouse.db.jobs import JobPriority, claim_job, insert_job, list_claimable_jobs
from packhouse.jobs.task import Job, JobInterrupted, Task
from packhouse.jobs.worker import Worker
from packhouse.limits import deleted_repo_keep_s
from packhouse.node.node import Node
from packhouse.operations.catalog.lookup import lookup_repo
from packhouse.operations.jobs.list_jobs import ListJobs, list_jobs
from packhouse.operations.jobs.retry_job import RetryJob, retry_job
from packhouse.operations.packs.clean_due_repos import CleanDueRepos, clean_due_repos
from packhouse.operations.packs.clean_repo import CleanRepo, clean_repo
from packhouse.operations.repos.create_repo import CreateRepo, create_repo
from packhouse.operations.repos.delete_repo import DeleteRepo, DeletionPending, delete_repo
from packhouse.outbound.destination import BadAddress
from tests.support.builders.packs import make_repo_dir
from tests.support.jobs import drain

WAIT_MAX_S = 60


class Time:
    """A clock that the test moves."""

    def __init__(self, node: Node) -> None:
        self.now = 1000
        node.clock = lambda: self.now


@pytest.fixture
def time_of(node: Node) -> Time:
    return Time(node)


def add(
    node: Node,
    kind: str = "test",
    key: str = "a",
    *,
    priority: JobPriority = JobPriority.NORMAL,
    run_at: int = 0,
) -> None:
    with node.database.write() as session:
        insert_job(session, kind, key, priority=priority, run_at=run_at, now=node.clock(), payload='{"n":1}')


@contextmanager
def worker(node: Node, run: Callable[[Node, Job], None], attempts_max: int = 3) -> Iterator[Worker]:
    stopping = threading.Event()
    made = Worker(node, {"test": Task(run, attempts_max=attempts_max)}, stopping)
    try:
        yield made
    finally:
        stopping.set()
        made.close()


def test_a_job_runs_once_and_is_gone(node: Node, time_of: Time) -> None:
    ran: list[Job] = []
    add(node)
    with worker(node, lambda _node, job: ran.append(job)) as made:
        drain(node, made)
    assert [(job.key, job.payload, job.attempt) for job in ran] == [("a", {"n": 1}, 1)]
    assert list_jobs(node, ListJobs()) == []


def test_equal_waiting_jobs_become_one_at_the_earliest_time(node: Node, time_of: Time) -> None:
    for run_at in (1010, 1005, 1020):
        add(node, run_at=run_at)
    assert [(job.key, job.run_at) for job in list_jobs(node, ListJobs())] == [("a", 1005)]


def test_an_equal_job_waits_for_the_end_of_the_one_that_runs(node: Node, time_of: Time) -> None:
    ran: list[int] = []

    def run(_node: Node, _job: Job) -> None:
        if not ran:
            add(node)
        ran.append(sum(job.state == "running" for job in list_jobs(node, ListJobs())))

    add(node)
    with worker(node, run) as made:
        drain(node, made)
        drain(node, made)
    assert ran == [1, 1]


def test_the_oldest_jobs_go_first_and_later_ones_wait(node: Node, time_of: Time) -> None:
    add(node, key="usual", run_at=1000)
    add(node, key="older", run_at=999)
    add(node, key="low", priority=JobPriority.LOW, run_at=998)
    add(node, key="later", run_at=1001)
    with node.database.write() as session:
        due = list_claimable_jobs(session, now=1000, limit=10)
        claimed = [claim_job(session, i, worker="w", lease_until=1030, now=1000) for i in due]
    assert [job.key for job in claimed if job] == ["older", "usual"]


def test_a_failing_job_is_retried_at_growing_intervals_then_dead_and_revived(
    node: Node, time_of: Time
) -> None:
    attempts: list[tuple[int, bool]] = []

    def run(_node: Node, job: Job) -> None:
        attempts.append((job.attempt, job.is_last_attempt))
        raise BadAddress("of the test")

    add(node)
    waits = []
    with worker(node, run) as made:
        drain(node, made)
        while (job := list_jobs(node, ListJobs())[0]).state == "waiting":
            waits.append(job.run_at - time_of.now)
            time_of.now = job.run_at
            drain(node, made)
        assert attempts == [(1, False), (2, False), (3, True)]
        assert waits[0] < waits[1]
        assert (job.state, job.last_error) == ("dead", "address cannot be used: of the test")
        retry_job(node, RetryJob(job.id))
        drain(node, made)
    assert attempts[3] == (1, False)


def test_a_dead_job_keeps_only_the_class_of_an_unexpected_error(node: Node, time_of: Time) -> None:
    def run(_node: Node, _job: Job) -> None:
        raise RuntimeError("glpat-secret")

    add(node)
    with worker(node, run, attempts_max=1) as made:
        drain(node, made)
    assert [(job.state, job.last_error) for job in list_jobs(node, ListJobs())] == [("dead", "RuntimeError")]


def test_the_job_of_a_killed_worker_is_taken_over_after_its_lease(node: Node, time_of: Time) -> None:
    add(node)
    with node.database.write() as session:
        (due,) = list_claimable_jobs(session, now=1000, limit=10)
        assert claim_job(session, due, worker="killed", lease_until=1030, now=1000) is not None
    ran: list[int] = []
    with worker(node, lambda _node, job: ran.append(job.attempt)) as made:
        time_of.now = 1030
        assert not made.start_due(), "the lease has not ended"
        time_of.now = 1031
        drain(node, made)
    assert ran == [2]
    assert list_jobs(node, ListJobs()) == []


def test_a_worker_learns_that_its_job_was_taken_over_and_leaves_it_alone(node: Node, time_of: Time) -> None:
    started, other_is_done, told = threading.Event(), threading.Event(), threading.Event()

    def slow(_node: Node, job: Job) -> None:
        started.set()
        assert other_is_done.wait(WAIT_MAX_S)
        while not job.should_stop():
            time.sleep(0.005)
        told.set()

    add(node)
    with worker(node, slow) as sleeper:
        sleeper.start_due()
        assert started.wait(WAIT_MAX_S)
        time_of.now = 1031
        with worker(node, lambda _node, _job: None) as other:
            assert other.start_due()
            deadline = time.monotonic() + WAIT_MAX_S
            while list_jobs(node, ListJobs()) and time.monotonic() < deadline:
                time.sleep(0.005)
        add(node)
        other_is_done.set()
        sleeper.extend_leases()
        assert told.wait(WAIT_MAX_S)
    assert [job.state for job in list_jobs(node, ListJobs())] == ["waiting"], "the new job is not struck off"


def test_an_interrupted_job_keeps_its_attempts(node: Node, time_of: Time) -> None:
    ran: list[int] = []

    def run(_node: Node, job: Job) -> None:
        ran.append(job.attempt)
        if len(ran) < 5:
            raise JobInterrupted

    add(node)
    with worker(node, run, attempts_max=1) as made:
        drain(node, made)
    assert ran == [1, 1, 1, 1, 1]
    assert list_jobs(node, ListJobs()) == []


def test_concurrent_workers_run_each_job_once(node: Node) -> None:
    ran: list[str] = []
    for number in range(60):
        add(node, key=str(number))
    with (
        worker(node, lambda _node, job: ran.append(job.key)) as first,
        worker(node, lambda _node, job: ran.append(job.key)) as second,
    ):
        threads = [threading.Thread(target=drain, args=(node, each)) for each in (first, second)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(ran, key=int) == [str(number) for number in range(60)]


def test_cleaning_frees_a_deleted_repository_and_only_then_its_name_is_forgotten(
    node: Node, caller: Principal
) -> None:
    create_repo(node, caller, CreateRepo("apps/shop"))
    repo = lookup_repo(node, caller, "apps/shop")
    folder = make_repo_dir(node, repo.public_id)
    assert clean_repo(node, CleanRepo(repo.public_id)), "a living repository is left alone"
    assert folder.exists()
    delete_repo(node, caller, DeleteRepo("apps/shop"))
    with pytest.raises(DeletionPending):
        delete_repo(node, caller, DeleteRepo("apps/shop"))
    assert not clean_due_repos(node, CleanDueRepos([repo.public_id]))
    assert folder.exists(), "it may still be put back"
    deleted_at = node.clock()
    node.clock = lambda: deleted_at + deleted_repo_keep_s
    for _ in range(2):
        assert not clean_due_repos(node, CleanDueRepos([repo.public_id]))
    assert not folder.exists()
    with pytest.raises(Exception, match="repository not found"):
        delete_repo(node, caller, DeleteRepo("apps/shop"))


def test_the_next_job_completes_an_interrupted_cleaning(node: Node, caller: Principal) -> None:
    create_repo(node, caller, CreateRepo("apps/shop"))
    repo = lookup_repo(node, caller, "apps/shop")
    folder = make_repo_dir(node, repo.public_id)
    delete_repo(node, caller, DeleteRepo("apps/shop"))
    (folder / "config").unlink()  # the first file that a crash in the middle may have removed
    assert clean_repo(node, CleanRepo(repo.public_id))
    assert not folder.exists()
