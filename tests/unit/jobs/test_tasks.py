"""The tasks of this release: each does its job through an operation, and says when it was cut short."""

import json
from collections.abc import Callable
from dataclasses import replace

import pytest

from packhouse import limits
from packhouse.auth.principal import Principal
from packhouse.db.repos import Repo
from packhouse.jobs import clean_repo, prune_events, sync_upstream
from packhouse.jobs.task import Job, JobInterrupted
from packhouse.limits import Limits
from packhouse.node.node import Node
from packhouse.operations.answers.find_answer import FindAnswer, find_answer
from packhouse.operations.answers.keep_answer import KeepAnswer, keep_answer
from packhouse.operations.catalog.lookup import lookup_repo
from packhouse.operations.events.open_events import EventReader
from packhouse.operations.jobs.list_jobs import ListJobs, list_jobs
from packhouse.operations.repos.create_repo import CreateRepo, create_repo
from packhouse.operations.repos.delete_repo import DeleteRepo, delete_repo
from packhouse.repository.refs.receipts import Answer, Ticket
from tests.support.builders.node_writes import journal_packs, put_commit
from tests.unit.jobs.conftest import Clocks

pytestmark = pytest.mark.quick

DAY_S = 24 * 3600


@pytest.fixture
def repo(node: Node, caller: Principal, clocks: Clocks) -> Repo:
    create_repo(node, caller, CreateRepo("shop"))
    return lookup_repo(node, caller, "shop")


def make_job(kind: str, key: str = "all", *, should_stop: Callable[[], bool] = lambda: False) -> Job:
    return Job(kind, key, None, {}, 1, False, should_stop)


def waiting(node: Node) -> list[tuple[str, str, int]]:
    return [(job.kind, job.key, job.run_at) for job in list_jobs(node, ListJobs())]


# clean_repo


def test_a_deleted_repository_is_cleaned_once_its_time_is_over(
    node: Node, caller: Principal, repo: Repo, clocks: Clocks
) -> None:
    put_commit(node, caller, repo)
    delete_repo(node, caller, DeleteRepo("shop"))
    clocks.advance(limits.deleted_repo_keep_s)
    clean_repo.run(node, make_job("clean_repo", repo.public_id))
    assert journal_packs(node, repo) == []


def test_a_job_that_came_too_early_is_queued_for_the_end_of_the_time(
    node: Node, caller: Principal, repo: Repo, clocks: Clocks
) -> None:
    """The job of a first deletion still waits when the repository was put back and deleted again."""
    put_commit(node, caller, repo)
    delete_repo(node, caller, DeleteRepo("shop"))
    deleted_at = clocks.now
    clocks.advance(limits.deleted_repo_keep_s - 1)
    clean_repo.run(node, make_job("clean_repo", repo.public_id))
    assert len(journal_packs(node, repo)) == 1
    assert waiting(node) == [("clean_repo", repo.public_id, deleted_at + limits.deleted_repo_keep_s)]


def test_cleaning_that_is_cut_short_runs_again(
    node: Node, caller: Principal, repo: Repo, clocks: Clocks
) -> None:
    put_commit(node, caller, repo)
    delete_repo(node, caller, DeleteRepo("shop"))
    clocks.advance(limits.deleted_repo_keep_s)
    with pytest.raises(JobInterrupted):
        clean_repo.run(node, make_job("clean_repo", repo.public_id, should_stop=lambda: True))
    clean_repo.run(node, make_job("clean_repo", repo.public_id))
    assert journal_packs(node, repo) == []


def test_a_living_repository_is_left_alone(node: Node, caller: Principal, repo: Repo) -> None:
    put_commit(node, caller, repo)
    clean_repo.run(node, make_job("clean_repo", repo.public_id))
    assert len(journal_packs(node, repo)) == 1


# prune_events


def keep(node: Node, caller: Principal, key: str) -> None:
    answer = Answer(200, (), b"{}")
    keep_answer(node, caller, KeepAnswer("shop", Ticket(key, "fingerprint"), answer))


def test_old_events_and_old_answers_are_forgotten_and_young_ones_kept(
    node: Node, caller: Principal, repo: Repo, clocks: Clocks
) -> None:
    put_commit(node, caller, repo, message=b"old\n")
    keep(node, caller, "old")
    clocks.advance(node.config.event_keep_s + DAY_S)
    young = put_commit(node, caller, repo, message=b"young\n")
    keep(node, caller, "young")
    prune_events.run(node, make_job("prune_events"))
    (event,) = EventReader(node, repo.id).read()
    assert json.loads(event.payload)["after"] == young
    assert find_answer(node, caller, FindAnswer("shop", "old")) is None
    assert find_answer(node, caller, FindAnswer("shop", "young")) is not None


def test_pruning_queues_the_next_run_in_ten_minutes(node: Node, repo: Repo, clocks: Clocks) -> None:
    prune_events.run(node, make_job("prune_events"))
    assert waiting(node) == [("prune_events", "all", clocks.now + 600)]


def test_pruning_that_is_cut_short_runs_again_and_queues_nothing(
    node: Node, caller: Principal, repo: Repo, clocks: Clocks
) -> None:
    """The interrupted job itself goes back to the queue."""
    node = replace(node, limits=Limits(prune_batch=2))
    node.clock = lambda: clocks.now
    for number in range(5):
        put_commit(node, caller, repo, message=b"%d\n" % number)
    clocks.advance(node.config.event_keep_s + 1)
    with pytest.raises(JobInterrupted):
        prune_events.run(node, make_job("prune_events", should_stop=lambda: True))
    assert 0 < len(EventReader(node, repo.id).read()) < 5
    assert waiting(node) == []
    prune_events.run(node, make_job("prune_events"))
    assert EventReader(node, repo.id).read() == []


def test_pruning_asks_between_batches_of_answers_as_well(
    node: Node, caller: Principal, repo: Repo, clocks: Clocks
) -> None:
    node = replace(node, limits=Limits(prune_batch=2))
    node.clock = lambda: clocks.now
    for number in range(5):
        keep(node, caller, f"k{number}")
    clocks.advance(limits.answers_keep_s)
    with pytest.raises(JobInterrupted):
        prune_events.run(node, make_job("prune_events", should_stop=lambda: True))


# sync_upstream


def test_a_sync_of_a_repository_without_an_upstream_has_nothing_to_do(node: Node, repo: Repo) -> None:
    """The repository was detached, or deleted, while the job waited."""
    job = replace(make_job("sync_upstream", "k"), payload={"repo": repo.public_id})
    sync_upstream.run(node, job)
    sync_upstream.give_up(node, job, "of the test")
    assert EventReader(node, repo.id).read() == []


def test_a_sync_of_an_unknown_repository_has_nothing_to_do(node: Node) -> None:
    job = replace(make_job("sync_upstream", "k"), payload={"repo": "repo_gone"})
    sync_upstream.run(node, job)
    sync_upstream.give_up(node, job, "of the test")
