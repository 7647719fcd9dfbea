"""The queue of jobs: which job waits, who holds it, and that a late worker changes nothing."""

from dataclasses import replace

import pytest

from packhouse.db.engines.sqlite_memory import SqliteMemory
from packhouse.db.jobs import (
    ClaimedJob,
    JobPriority,
    JobRow,
    bury_job,
    claim_job,
    extend_lease,
    finish_jobs,
    insert_job,
    list_claimable_jobs,
    list_jobs,
    put_back_job,
    revive_job,
)
from packhouse.ids import RepoKey

pytestmark = pytest.mark.quick

NOW = 1000
LEASE_S = 30


class Queue:
    """The queue, at a time that the test chooses."""

    def __init__(self, database: SqliteMemory) -> None:
        self.database = database

    def add(
        self,
        key: str = "a",
        *,
        kind: str = "k",
        run_at: int = NOW,
        priority: JobPriority = JobPriority.NORMAL,
        payload: str = "{}",
    ) -> None:
        with self.database.write() as session:
            insert_job(session, kind, key, run_at=run_at, priority=priority, payload=payload, now=NOW)

    def due(
        self, now: int = NOW, *, limit: int = 10, priority: JobPriority = JobPriority.NORMAL
    ) -> list[int]:
        with self.database.read() as session:
            return list_claimable_jobs(session, now=now, limit=limit, priority=priority)

    def take(self, worker: str = "w", *, now: int = NOW) -> ClaimedJob | None:
        """Claim the most urgent job, for the length of a lease."""
        due = self.due(now)
        return self.claim(due[0], worker, now=now) if due else None

    def claim(self, job_id: int, worker: str, *, now: int = NOW) -> ClaimedJob | None:
        with self.database.write() as session:
            return claim_job(session, job_id, worker=worker, lease_until=now + LEASE_S, now=now)

    def held(self, worker: str = "w", *, now: int = NOW) -> ClaimedJob:
        job = self.take(worker, now=now)
        assert job is not None
        return job

    def put_back(self, job: ClaimedJob, worker: str = "w", *, run_at: int = NOW, attempts: int = 1) -> None:
        with self.database.write() as session:
            put_back_job(session, job, worker=worker, run_at=run_at, attempts=attempts, last_error="no")

    def bury(self, job: ClaimedJob, worker: str = "w") -> None:
        with self.database.write() as session:
            bury_job(session, job, worker=worker, last_error="no", now=NOW)

    def finish(self, job: ClaimedJob, worker: str = "w") -> bool:
        with self.database.write() as session:
            return finish_jobs(session, [job], worker=worker) == 1

    def extend(self, job: ClaimedJob, worker: str = "w", *, until: int) -> bool:
        with self.database.write() as session:
            return extend_lease(session, job, worker=worker, lease_until=until)

    def keys(self, state: str) -> list[str]:
        with self.database.read() as session:
            return [job.key for job in list_jobs(session, state, limit=10)]

    def states(self) -> dict[str, int]:
        """Return how many jobs are in each state."""
        with self.database.read() as session:
            return {
                state: len(list_jobs(session, state, limit=10)) for state in ("waiting", "running", "dead")
            }


@pytest.fixture
def queue(database: SqliteMemory) -> Queue:
    return Queue(database)


# What waits


def test_a_job_is_due_at_its_time(queue: Queue) -> None:
    queue.add(run_at=NOW + 5)
    assert queue.due(NOW + 4) == []
    assert len(queue.due(NOW + 5)) == 1


@pytest.mark.parametrize(("first", "second"), [(NOW + 10, NOW + 5), (NOW + 5, NOW + 10)])
def test_equal_jobs_that_wait_are_one_that_runs_at_the_earlier_time(
    queue: Queue, first: int, second: int
) -> None:
    queue.add(run_at=first)
    queue.add(run_at=second)
    assert queue.states()["waiting"] == 1
    assert queue.due(NOW + 5) != []
    assert queue.due(NOW + 4) == []


def test_jobs_of_another_kind_or_key_are_other_jobs(queue: Queue) -> None:
    for kind, key in (("k", "a"), ("k", "b"), ("l", "a")):
        queue.add(key, kind=kind)
    assert queue.states()["waiting"] == 3


def test_abandoned_jobs_come_first_then_the_oldest(queue: Queue) -> None:
    queue.add("abandoned", run_at=NOW - 100)
    queue.held("killed", now=NOW)
    queue.add("old", run_at=NOW)
    queue.add("older", run_at=NOW - 1)
    order = []
    while (job := queue.take(now=NOW + LEASE_S + 1)) is not None:
        order.append(job.key)
    assert order == ["abandoned", "older", "old"]


def test_jobs_of_one_priority_are_listed_without_the_others(queue: Queue) -> None:
    queue.add("killed", priority=JobPriority.LOW)
    (killed,) = queue.due(priority=JobPriority.LOW)
    queue.claim(killed, "killed")
    queue.add("low", run_at=NOW - 1, priority=JobPriority.LOW)
    queue.add("normal")
    late = NOW + LEASE_S + 1
    assert len(queue.due(late, priority=JobPriority.LOW)) == 2
    (normal,) = queue.due(late)
    assert normal not in queue.due(late, priority=JobPriority.LOW)


def test_only_so_many_are_listed(queue: Queue) -> None:
    for key in "abcde":
        queue.add(key)
    assert len(queue.due(limit=3)) == 3


# Who holds a job


def test_a_claim_counts_the_attempt_and_hands_over_what_was_queued(queue: Queue) -> None:
    queue.add("a", payload='{"n": 1}')
    job = queue.held()
    assert (job.kind, job.key, job.payload, job.attempts, job.repo_id) == ("k", "a", '{"n": 1}', 1, None)


def test_a_job_is_claimed_once(queue: Queue) -> None:
    queue.add()
    (job_id,) = queue.due()
    assert queue.claim(job_id, "first") is not None
    assert queue.claim(job_id, "second") is None
    assert queue.due() == []


def test_an_equal_job_waits_for_the_end_of_the_one_that_runs(queue: Queue) -> None:
    """What the first has read may be older than the cause of the second."""
    queue.add()
    job = queue.held()
    queue.add()
    assert queue.due() == []
    (waiting_id,) = [row.id for row in _rows(queue, "waiting")]
    assert queue.claim(waiting_id, "other") is None, "also when it is asked for by its id"
    queue.finish(job)
    assert queue.due() == [waiting_id]


def test_a_job_is_claimed_anew_once_its_lease_has_ended(queue: Queue) -> None:
    queue.add()
    queue.held("killed")
    assert queue.due(NOW + LEASE_S) == [], "the last second belongs to the holder"
    again = queue.take("other", now=NOW + LEASE_S + 1)
    assert again is not None and again.attempts == 2


def test_a_lease_that_is_extended_keeps_the_job(queue: Queue) -> None:
    queue.add()
    job = queue.held()
    assert queue.extend(job, until=NOW + 100)
    assert queue.due(NOW + LEASE_S + 1) == []
    assert queue.due(NOW + 101) != []


# What a late worker may not do


def test_a_worker_whose_job_was_taken_over_changes_nothing(queue: Queue) -> None:
    queue.add()
    late = queue.held("late")
    holder = queue.take("holder", now=NOW + LEASE_S + 1)
    assert holder is not None
    assert not queue.extend(late, "late", until=NOW + 1000)
    assert not queue.finish(late, "late")
    queue.put_back(late, "late")
    queue.bury(late, "late")
    assert queue.states() == {"waiting": 0, "running": 1, "dead": 0}
    assert queue.finish(holder, "holder")


def test_an_earlier_claim_of_the_same_worker_is_late_as_well(queue: Queue) -> None:
    """A process that was suspended takes its own job over: both runs have one name."""
    queue.add()
    first = queue.held("w")
    second = queue.take("w", now=NOW + LEASE_S + 1)
    assert second == replace(first, attempts=2)
    assert not queue.finish(first, "w")
    assert not queue.extend(first, "w", until=NOW + 1000)
    assert queue.finish(second, "w")


def test_a_job_that_ended_cannot_end_again(queue: Queue) -> None:
    queue.add()
    job = queue.held()
    assert queue.finish(job)
    assert not queue.finish(job)
    queue.put_back(job)
    assert queue.states() == {"waiting": 0, "running": 0, "dead": 0}


# How a job ends


def test_a_job_that_is_put_back_keeps_its_attempts_and_says_why(queue: Queue) -> None:
    queue.add(payload='{"n": 1}')
    queue.put_back(queue.held(), run_at=NOW + 10, attempts=1)
    (row,) = _rows(queue, "waiting")
    assert (row.run_at, row.attempts, row.last_error) == (NOW + 10, 1, "no")
    again = queue.take(now=NOW + 10)
    assert again is not None
    assert (again.attempts, again.payload) == (2, '{"n": 1}')


def test_a_job_that_is_put_back_becomes_one_with_an_equal_one_that_waits(queue: Queue) -> None:
    queue.add()
    job = queue.held()
    queue.add(run_at=NOW + 50)
    queue.put_back(job, run_at=NOW + 10)
    (row,) = _rows(queue, "waiting")
    assert row.run_at == NOW + 10


def test_a_dead_job_stays_until_it_is_revived_with_all_its_attempts(queue: Queue) -> None:
    queue.add()
    queue.bury(queue.held())
    (row,) = _rows(queue, "dead")
    assert (row.last_error, row.ended_at, row.lease_until) == ("no", NOW, None)
    assert queue.due(NOW + 10_000) == []
    with queue.database.write() as session:
        assert revive_job(session, row.id, now=NOW + 5)
        assert not revive_job(session, row.id, now=NOW + 5)
    again = queue.take(now=NOW + 5)
    assert again is not None and again.attempts == 1


def test_only_a_dead_job_is_revived(queue: Queue) -> None:
    queue.add()
    (job_id,) = queue.due()
    with queue.database.write() as session:
        assert not revive_job(session, job_id, now=NOW)


def test_a_dead_job_does_not_keep_an_equal_one_from_running(queue: Queue) -> None:
    queue.add()
    queue.bury(queue.held())
    queue.add()
    assert queue.take() is not None


def test_a_job_may_be_about_a_repository(queue: Queue, repo_id: RepoKey) -> None:
    with queue.database.write() as session:
        insert_job(session, "k", "a", repo_id=repo_id, run_at=NOW, now=NOW)
    assert queue.held().repo_id == repo_id


def _rows(queue: Queue, state: str) -> list[JobRow]:
    with queue.database.read() as session:
        return list_jobs(session, state, limit=10)
