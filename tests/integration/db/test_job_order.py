"""Due jobs are found by their database index, however many others wait."""

from collections.abc import Callable

import pytest

from packhouse.db.engines.database import Database, open_database
from packhouse.db.jobs import JobPriority, insert_job, insert_jobs, list_claimable_jobs, list_jobs
from packhouse.db.orgs import Org
from packhouse.ids import RepoId, RepoKey
from tests.support.builders.plans import explain
from tests.support.builders.rows import add_repo, ask

NOW = 1000


def add(database: Database, count: int, *, priority: JobPriority, run_at: int, repo_id: RepoKey) -> None:
    keys = [(repo_id, RepoId(f"{priority.name}-{run_at}-{number}")) for number in range(count)]
    with database.write() as session:
        insert_jobs(session, "k", keys, priority=priority, run_at=run_at, now=NOW)


@pytest.mark.parametrize("priority", list(JobPriority))
def test_due_jobs_of_a_priority_are_read_in_order_from_the_database_index(
    database: Database, org: Org, priority: JobPriority
) -> None:
    """Nothing is sorted, and nothing else is read: neither jobs of later times nor those of the other priority."""
    repo_id = add_repo(database, org.id)
    for each in JobPriority:
        for run_at in (NOW - 1, NOW + 1000):
            add(database, 1000, priority=each, run_at=run_at, repo_id=repo_id)
    plan = explain(database, "list_due_jobs", priority=int(priority), now=NOW, limit=4)
    assert "jobs_due" in plan
    assert "TEMP B-TREE" not in plan
    assert "Sort" not in plan
    assert "priority=? AND run_at<?" in plan or "(priority = " in plan, plan


def test_the_normal_job_is_found_among_many_low_ones(database: Database, org: Org) -> None:
    repo_id = add_repo(database, org.id)
    add(database, 500, priority=JobPriority.LOW, run_at=NOW - 1, repo_id=repo_id)
    with database.write() as session:
        insert_job(session, "k", "normal", run_at=NOW, now=NOW)
        normal = list_claimable_jobs(session, now=NOW, limit=3)
        low = list_claimable_jobs(session, now=NOW, limit=3, priority=JobPriority.LOW)
    assert (len(normal), len(low)) == (1, 3)
    assert not set(normal) & set(low)


def test_waiting_jobs_are_listed_by_time_whatever_their_priority(database: Database, org: Org) -> None:
    repo_id = add_repo(database, org.id)
    for run_at, priority in ((3, JobPriority.LOW), (1, JobPriority.LOW), (2, JobPriority.NORMAL)):
        add(database, 2, priority=priority, run_at=run_at, repo_id=repo_id)
    with database.read() as session:
        assert [job.run_at for job in list_jobs(session, "waiting", limit=5)] == [1, 1, 2, 2, 3]


def test_clean_ups_that_waited_before_the_upgrade_have_low_priority(
    database_url: str, migrate_to: Callable[[Database, int], None]
) -> None:
    database = open_database(database_url)
    migrate_to(database, 6)
    with database.write() as session:
        for kind in ("clean_repo", "sync_upstream"):
            insert_job(session, kind, "a", run_at=NOW, now=NOW)
    database.migrate()
    found = ask(database, "SELECT kind, priority FROM jobs ORDER BY kind")
    database.close()
    assert found == [("clean_repo", JobPriority.LOW), ("sync_upstream", JobPriority.NORMAL)]
