"""Background jobs: how an operator lists them and retries them."""

import pytest

from packhouse.db.jobs import bury_job, claim_job, insert_job, list_claimable_jobs
from packhouse.limits import jobs_listed_max
from packhouse.node.node import Node
from packhouse.operations.jobs.list_jobs import STATES, ListJobs, list_jobs
from packhouse.operations.jobs.retry_job import JobNotFound, RetryJob, retry_job

pytestmark = pytest.mark.quick


def add(node: Node, key: str, *, run_at: int = 1000) -> None:
    """Queue a job."""
    with node.database.write() as session:
        insert_job(session, "test", key, run_at=run_at, now=1000)


def claim(node: Node, *, bury: str = "") -> int:
    """Claim the most urgent job, and make it dead if `bury` gives a reason; return its id."""
    with node.database.write() as session:
        job_id = list_claimable_jobs(session, now=5000, limit=1)[0]
        job = claim_job(session, job_id, worker="w", lease_until=6000, now=5000)
        assert job is not None
        if bury:
            bury_job(session, job, worker="w", last_error=bury, now=5000)
    return job_id


def states(node: Node, state: str | None = None) -> list[tuple[str, str]]:
    """Return key and state of the listed jobs."""
    return [(job.key, job.state) for job in list_jobs(node, ListJobs(state))]


def test_jobs_are_listed_by_state_running_ones_first(node: Node) -> None:
    for key in ("dead", "running", "waiting"):
        add(node, key)
        if key != "waiting":
            claim(node, bury="it broke" if key == "dead" else "")
    assert states(node) == [("running", "running"), ("waiting", "waiting"), ("dead", "dead")]
    for state in STATES:
        assert states(node, state) == [(state, state)]


def test_a_dead_job_is_listed_with_its_reason_and_its_end(node: Node) -> None:
    add(node, "a")
    claim(node, bury="it broke")
    (job,) = list_jobs(node, ListJobs("dead"))
    assert (job.last_error, job.attempts, job.ended_at, job.created_at) == ("it broke", 1, 5000, 1000)


def test_waiting_jobs_are_listed_by_when_they_run(node: Node) -> None:
    for key, run_at in (("late", 3000), ("soon", 1000), ("later", 2000)):
        add(node, key, run_at=run_at)
    assert [key for key, _ in states(node, "waiting")] == ["soon", "later", "late"]


def test_a_listing_is_bounded_in_each_state(node: Node) -> None:
    with node.database.write() as session:
        for number in range(jobs_listed_max + 1):
            insert_job(session, "test", str(number), run_at=1000, now=1000)
    claim(node)
    assert len(states(node, "waiting")) == jobs_listed_max
    assert len(states(node)) == jobs_listed_max + 1


def test_a_dead_job_waits_again_with_all_its_attempts(node: Node) -> None:
    add(node, "a")
    job_id = claim(node, bury="it broke")
    node.clock = lambda: 7000
    seen = node.wakeups.wait(0, 0)
    retry_job(node, RetryJob(job_id))
    (job,) = list_jobs(node, ListJobs())
    assert (job.key, job.state, job.attempts, job.run_at, job.last_error) == ("a", "waiting", 0, 7000, "")
    assert node.wakeups.wait(seen, 0) > seen, "a worker of this process need not be waited for"


def test_a_dead_job_joins_an_equal_one_that_waits(node: Node) -> None:
    add(node, "a")
    job_id = claim(node, bury="it broke")
    add(node, "a", run_at=9000)
    retry_job(node, RetryJob(job_id))
    (job,) = list_jobs(node, ListJobs())
    assert (job.state, job.run_at) == ("waiting", 1000)


def test_only_a_dead_job_is_retried(node: Node) -> None:
    add(node, "running")
    running = claim(node)
    add(node, "waiting")
    waiting = list_jobs(node, ListJobs("waiting"))[0].id
    for job_id in (running, waiting, 10**6, -1):
        with pytest.raises(JobNotFound) as refused:
            retry_job(node, RetryJob(job_id))
        assert refused.value.fields == {"job": job_id}
    assert states(node) == [("running", "running"), ("waiting", "waiting")]
