"""The queue of jobs as workers use it: claim due jobs, extend their leases, and record their results."""

import pytest

from packhouse.db.jobs import insert_job
from packhouse.node.node import Node
from packhouse.operations.jobs.bury_job import BuryJob, bury_job
from packhouse.operations.jobs.claim_jobs import ClaimedJob, ClaimJobs, claim_jobs
from packhouse.operations.jobs.extend_jobs import ExtendJobs, extend_jobs
from packhouse.operations.jobs.finish_jobs import FinishJobs, finish_jobs
from packhouse.operations.jobs.list_jobs import ListJobs, list_jobs
from packhouse.operations.jobs.put_back_job import PutBackJob, put_back_job
from packhouse.operations.jobs.queue_recurring import QueueRecurring, queue_recurring

pytestmark = pytest.mark.quick


def add(node: Node, *keys: str, run_at: int = 1000) -> None:
    """Queue jobs."""
    with node.database.write() as session:
        for key in keys:
            insert_job(session, "test", key, run_at=run_at, now=1000)


def claim(node: Node, worker: str = "w", count_max: int = 10) -> list[ClaimedJob]:
    """Claim jobs for a worker."""
    return claim_jobs(node, ClaimJobs(worker, count_max))


def rows(node: Node) -> list[tuple[str, str, int, int, str]]:
    """Return key, state, time, attempts and last error of all jobs."""
    return [
        (job.key, job.state, job.run_at, job.attempts, job.last_error) for job in list_jobs(node, ListJobs())
    ]


def lose(node: Node) -> ClaimedJob:
    """Return a job as its worker knows it, after the worker paused and another worker has taken the job over."""
    add(node, "a")
    (job,) = claim(node)
    node.clock = lambda: 1001 + node.config.job_lease_s
    assert [taken.id for taken in claim(node, "other")] == [job.id]
    return job


def test_due_jobs_are_claimed_once_and_up_to_the_requested_number(node: Node) -> None:
    add(node, "a", "b", "c")
    add(node, "later", run_at=1001)
    assert len(claim(node, count_max=2)) == 2
    (last,) = claim(node, "other")
    assert (last.kind, last.attempts) == ("test", 1)
    assert claim(node) == []


def test_a_job_whose_worker_died_is_claimed_when_its_lease_ends(node: Node) -> None:
    add(node, "a")
    (job,) = claim(node)
    node.clock = lambda: 1000 + node.config.job_lease_s
    assert claim(node, "other") == []
    node.clock = lambda: 1001 + node.config.job_lease_s
    (again,) = claim(node, "other")
    assert (again.id, again.attempts) == (job.id, 2)


def test_an_extended_lease_counts_from_now(node: Node) -> None:
    add(node, "a")
    jobs = claim(node)
    node.clock = lambda: 1010
    assert extend_jobs(node, ExtendJobs("w", jobs)) == jobs
    node.clock = lambda: 1010 + node.config.job_lease_s
    assert claim(node, "other") == []


def test_only_jobs_that_the_worker_still_holds_are_extended(node: Node) -> None:
    lost = lose(node)
    add(node, "b")
    (held,) = claim(node)
    assert extend_jobs(node, ExtendJobs("w", [lost, held])) == [held]
    assert extend_jobs(node, ExtendJobs("w", [])) == []


def test_a_finished_job_is_gone(node: Node) -> None:
    add(node, "a")
    (job,) = claim(node)
    finish_jobs(node, FinishJobs("w", [job]))
    assert rows(node) == []


def test_a_job_that_is_put_back_waits_with_its_attempts_and_its_reason(node: Node) -> None:
    add(node, "a")
    (job,) = claim(node)
    put_back_job(node, PutBackJob(worker="w", job=job, delay_s=60, attempts=1, reason="no answer"))
    assert rows(node) == [("a", "waiting", 1060, 1, "no answer")]
    assert claim(node) == []
    node.clock = lambda: 1060
    assert [again.attempts for again in claim(node)] == [2]


def test_a_buried_job_is_dead_and_has_its_reason(node: Node) -> None:
    add(node, "a")
    (job,) = claim(node)
    bury_job(node, BuryJob(worker="w", job=job, reason="it broke"))
    assert [(key, state, error) for key, state, _, _, error in rows(node)] == [("a", "dead", "it broke")]
    assert claim(node) == []


def test_a_job_that_another_worker_took_over_is_left_to_it(node: Node) -> None:
    job = lose(node)
    before = rows(node)
    finish_jobs(node, FinishJobs("w", [job]))
    put_back_job(node, PutBackJob(worker="w", job=job, delay_s=0, attempts=0, reason="late"))
    bury_job(node, BuryJob(worker="w", job=job, reason="late"))
    assert rows(node) == before
    assert before[0][:2] == ("a", "running")


def test_a_recurring_job_is_queued_once_and_keeps_the_earlier_time(node: Node) -> None:
    queue_recurring(node, QueueRecurring({"first": 60, "second": 5}))
    assert [(job.kind, job.key, job.run_at) for job in list_jobs(node, ListJobs())] == [
        ("second", "all", 1005),
        ("first", "all", 1060),
    ]
    node.clock = lambda: 1030
    queue_recurring(node, QueueRecurring({"first": 60}))
    assert [(job.kind, job.run_at) for job in list_jobs(node, ListJobs())] == [
        ("second", 1005),
        ("first", 1060),
    ]
