"""The clean-up of many repositories, on SQLite and on PostgreSQL: other jobs run meanwhile, and nothing is left."""

import threading
from collections.abc import Iterator

import pytest

from packhouse import limits as bounds
from packhouse.auth.principal import Principal
from packhouse.db.jobs import insert_job
from packhouse.jobs.lease_loop import LeaseLoop
from packhouse.jobs.task import Job, Task
from packhouse.jobs.tasks import TASKS
from packhouse.jobs.worker import Worker
from packhouse.node.node import Node
from packhouse.operations.catalog.lookup import lookup_repo
from packhouse.operations.jobs.list_jobs import ListJobs, list_jobs
from packhouse.operations.removal.delete_repos import DeleteRepos, delete_repos
from packhouse.operations.repos.create_repo import CreateRepo, create_repo
from tests.support.builders.node_writes import put_commit
from tests.support.builders.rows import ask
from tests.support.waiting import wait_until

REPOS = 12 * bounds.job_batch_max
WITH_A_PACK = 30


@pytest.fixture
def deleted(node: Node, caller: Principal) -> Node:
    """The node with many deleted repositories, some with packs, whose clean-ups are all due."""
    for number in range(REPOS):
        create_repo(node, caller, CreateRepo(f"ci/{number}"))
        if number % WITH_A_PACK == 0:
            put_commit(node, caller, lookup_repo(node, caller, f"ci/{number}"))
    assert len(delete_repos(node, caller, DeleteRepos("ci/")).repos) == REPOS
    node.clock = lambda: 1000 + bounds.deleted_repo_keep_s
    return node


def cleanings(node: Node) -> int:
    ((count,),) = ask(node.database, "SELECT count(*) FROM jobs WHERE kind = 'clean_repo'")
    assert isinstance(count, int)
    return count


def count_rows(node: Node) -> Iterator[object]:
    for table in ("refs", "ref_log", "stored_packs", "jobs"):
        yield from ask(node.database, f"SELECT count(*) FROM {table}")
    yield from ask(node.database, "SELECT count(*) FROM repos WHERE cleaned_at IS NULL")


def test_a_job_that_is_queued_behind_many_clean_ups_runs_before_they_are_done(deleted: Node) -> None:
    left: list[int] = []

    def note(node: Node, _job: Job) -> None:
        left.append(cleanings(node))

    stopping = threading.Event()
    worker = Worker(deleted, {**TASKS, "probe": Task(note)}, stopping)
    loop = threading.Thread(target=LeaseLoop(deleted, worker, stopping).run)
    loop.start()
    try:
        wait_until(lambda: cleanings(deleted) < REPOS, "the clean-ups have begun")
        with deleted.database.write() as session:
            insert_job(session, "probe", "a", run_at=deleted.clock(), now=deleted.clock())
        deleted.wakeups.notify()
        wait_until(lambda: left, "the job runs")
        wait_until(lambda: not list_jobs(deleted, ListJobs()), "all jobs are done")
    finally:
        stopping.set()
        loop.join()
    assert left[0] > 0, "clean-ups are left when the job runs"
    assert list(count_rows(deleted)) == [(0,)] * 5
    assert list(deleted.store.iter_repo_ids()) == []
