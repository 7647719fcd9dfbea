"""Freeing what deleted repositories held, and taking packs in that the database does not know."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace

import pytest

from packhouse.auth.principal import Principal
from packhouse.db.jobs import claim_job
from packhouse.db.packs import delete_pack_rows, list_known_packs, start_deleting_all
from packhouse.db.refs import list_ref_log, list_refs
from packhouse.db.repos import (
    Repo,
    RepoNotFound,
    is_repo_cleaned,
    mark_repo_deleted,
    start_cleaning_repos,
    undelete_repo_row,
)
from packhouse.db.session import Session
from packhouse.ids import new_repo_id
from packhouse.limits import Limits, deleted_repo_keep_s
from packhouse.node.node import Node
from packhouse.operations.catalog.lookup import lookup_repo
from packhouse.operations.jobs.list_jobs import ListJobs, list_jobs
from packhouse.operations.packs import clean_repo as clean_repo_module
from packhouse.operations.packs.adopt_packs import AdoptPacks, adopt_packs
from packhouse.operations.packs.clean_due_repos import CleanDueRepos, clean_due_repos
from packhouse.operations.packs.clean_repo import CleanRepo, clean_repo
from packhouse.operations.repos.create_repo import CreateRepo, create_repo
from packhouse.operations.repos.delete_repo import DeleteRepo, DeletionPending, delete_repo
from packhouse.operations.repos.undelete_repo import UndeleteRepo, undelete_repo
from tests.support.builders.node_writes import commit_files, journal_packs
from tests.support.builders.upkeep import flush

pytestmark = pytest.mark.quick


@pytest.fixture
def row(node: Node, caller: Principal, repo: str) -> Repo:
    """The row of a repository with three commits, two of them in a stored pack."""
    for number in range(3):
        if number == 2:
            flush(node, lookup_repo(node, caller, repo).public_id)
        commit_files(node, caller, repo, "main", {"a": b"%d\n" % number})
    return lookup_repo(node, caller, repo)


def leftovers(node: Node, row: Repo) -> tuple[int, int, int, int, int]:
    """Return how many refs, log entries, rows of packs, packs, and rows of the journal there are."""
    with node.database.read() as session:
        refs, moves = list_refs(session, row.id), list_ref_log(session, row.id, limit=100)
        packs = list_known_packs(session, row.id)
    stored, journaled = node.store.list_names(row.public_id), journal_packs(node, row)
    return len(refs), len(moves), len(packs), len(stored), len(journaled)


def test_cleaning_removes_packs_and_rows_and_then_the_name(node: Node, caller: Principal, row: Repo) -> None:
    assert min(leftovers(node, row)) > 0
    delete_repo(node, caller, DeleteRepo("r"))
    with pytest.raises(DeletionPending):
        delete_repo(node, caller, DeleteRepo("r"))
    assert clean_repo(node, CleanRepo(row.public_id))
    assert leftovers(node, row) == (0, 0, 0, 0, 0)
    with pytest.raises(RepoNotFound):
        delete_repo(node, caller, DeleteRepo("r"))
    with pytest.raises(RepoNotFound):
        undelete_repo(node, caller, UndeleteRepo("r"))


def test_cleaning_leaves_a_living_repository_and_an_unknown_one_alone(
    node: Node, caller: Principal, row: Repo
) -> None:
    before = leftovers(node, row)
    assert clean_repo(node, CleanRepo(row.public_id))
    assert clean_repo(node, CleanRepo(new_repo_id(node.random_bytes)))
    assert leftovers(node, row) == before


def test_cleaning_leaves_a_new_repository_of_the_same_name_alone(
    node: Node, caller: Principal, row: Repo
) -> None:
    delete_repo(node, caller, DeleteRepo("r"))
    create_repo(node, caller, CreateRepo("r"))
    commit_files(node, caller, "r", "main", {"b": b"new\n"})
    assert clean_repo(node, CleanRepo(row.public_id))
    assert leftovers(node, lookup_repo(node, caller, "r")) == (1, 1, 0, 0, 1)


def test_cleaning_that_is_cut_short_goes_on_where_it_was(node: Node, caller: Principal, row: Repo) -> None:
    few = replace(node, limits=Limits(prune_batch=1))
    delete_repo(few, caller, DeleteRepo("r"))
    asked = iter([False, True])
    assert not clean_repo(few, CleanRepo(row.public_id, should_stop=lambda: next(asked)))
    assert leftovers(few, row) == (0, 2, 0, 0, 0)
    with pytest.raises(DeletionPending):
        delete_repo(few, caller, DeleteRepo("r"))
    assert clean_repo(few, CleanRepo(row.public_id))
    assert leftovers(few, row) == (0, 0, 0, 0, 0)


def test_cleaning_twice_does_no_harm(node: Node, caller: Principal, row: Repo) -> None:
    delete_repo(node, caller, DeleteRepo("r"))
    for _ in range(2):
        assert clean_repo(node, CleanRepo(row.public_id))


def test_a_deletion_queues_its_cleaning_for_later(node: Node, caller: Principal, row: Repo) -> None:
    delete_repo(node, caller, DeleteRepo("r"))
    (job,) = list_jobs(node, ListJobs())
    assert (job.kind, job.key, job.run_at) == ("clean_repo", row.public_id, 1000 + deleted_repo_keep_s)


def test_cleaning_that_comes_too_early_is_put_off(node: Node, caller: Principal, row: Repo) -> None:
    delete_repo(node, caller, DeleteRepo("r"))
    undelete_repo(node, caller, UndeleteRepo("r"))
    node.clock = lambda: 5000
    delete_repo(node, caller, DeleteRepo("r"))
    before = leftovers(node, row)
    node.clock = lambda: 1000 + deleted_repo_keep_s
    (first,) = list_jobs(node, ListJobs())
    with node.database.write() as session:
        job = claim_job(session, first.id, worker="w", lease_until=node.clock() + 30, now=node.clock())
    assert job is not None
    assert not clean_due_repos(node, CleanDueRepos([row.public_id]))
    assert leftovers(node, row) == before
    running, waiting = list_jobs(node, ListJobs())
    assert (running.id, waiting.key, waiting.run_at) == (first.id, row.public_id, 5000 + deleted_repo_keep_s)
    node.clock = lambda: 5000 + deleted_repo_keep_s
    assert not clean_due_repos(node, CleanDueRepos([row.public_id]))
    assert leftovers(node, row) == (0, 0, 0, 0, 0)


def test_only_the_cleaning_of_a_deleted_repository_is_put_off(
    node: Node, caller: Principal, row: Repo
) -> None:
    before = leftovers(node, row)
    assert not clean_due_repos(node, CleanDueRepos([row.public_id]))
    assert not clean_due_repos(node, CleanDueRepos([new_repo_id(node.random_bytes)]))
    assert list_jobs(node, ListJobs()) == []
    assert leftovers(node, row) == before


def test_an_interrupted_due_cleaning_is_returned(node: Node, caller: Principal, row: Repo) -> None:
    delete_repo(node, caller, DeleteRepo("r"))
    node.clock = lambda: 1000 + deleted_repo_keep_s
    left = clean_due_repos(node, CleanDueRepos([row.public_id], should_stop=lambda: True))
    assert left == {row.public_id}
    assert not clean_due_repos(node, CleanDueRepos([row.public_id]))
    assert leftovers(node, row) == (0, 0, 0, 0, 0)


# Many at once


@pytest.fixture
def many(node: Node, caller: Principal) -> list[Repo]:
    """Five deleted repositories. The first has three commits, the others have none."""
    for number in range(5):
        create_repo(node, caller, CreateRepo(f"many{number}"))
    for number in range(3):
        commit_files(node, caller, "many0", "main", {"a": b"%d\n" % number})
    rows = [lookup_repo(node, caller, f"many{number}") for number in range(5)]
    for row in rows:
        delete_repo(node, caller, DeleteRepo(row.name))
    return rows


def clean(node: Node, rows: list[Repo], *, should_stop: Callable[[], bool] = lambda: False) -> list[int]:
    """Clean the repositories. Return the places of those that are left."""
    ids: list[str] = [row.public_id for row in rows]
    left = clean_due_repos(node, CleanDueRepos(ids, should_stop=should_stop))
    return [ids.index(public_id) for public_id in sorted(left, key=ids.index)]


def is_cleaned(node: Node, row: Repo) -> bool:
    with node.database.read() as session:
        return is_repo_cleaned(session, row.id)


def test_many_repositories_share_the_transactions_of_one(
    node: Node, many: list[Repo], monkeypatch: pytest.MonkeyPatch
) -> None:
    node.clock = lambda: 1000 + deleted_repo_keep_s
    writes = 0
    write = node.database.write

    def count() -> AbstractContextManager[Session]:
        nonlocal writes
        writes += 1
        return write()

    monkeypatch.setattr(node.database, "write", count)
    assert clean(node, many) == []
    assert writes == 2
    assert all(is_cleaned(node, row) for row in many)
    assert leftovers(node, many[0]) == (0, 0, 0, 0, 0)


def test_a_transaction_deletes_a_bounded_number_of_rows_and_the_next_goes_on(
    node: Node, many: list[Repo]
) -> None:
    """The first repository has one ref and three entries of its log, the others are empty."""
    few = replace(node, limits=Limits(prune_batch=2))
    few.clock = lambda: 1000 + deleted_repo_keep_s
    asked = iter([False] * 4 + [False, True])
    assert clean(few, many, should_stop=lambda: next(asked)) == [0]
    assert leftovers(few, many[0])[:2] == (0, 2)
    assert clean(few, many) == []
    assert all(is_cleaned(few, row) for row in many)


def test_one_that_came_too_early_does_not_hold_up_the_others(
    node: Node, caller: Principal, many: list[Repo]
) -> None:
    undelete_repo(node, caller, UndeleteRepo("many0"))
    undelete_repo(node, caller, UndeleteRepo("many1"))
    node.clock = lambda: 1000 + deleted_repo_keep_s
    delete_repo(node, caller, DeleteRepo("many1"))
    assert clean(node, many) == []
    assert [is_cleaned(node, row) for row in many] == [False, False, True, True, True]
    assert leftovers(node, many[0])[:2] == (1, 3)


def test_a_repository_that_is_deleted_anew_while_its_cleaning_begins_is_left_alone(
    node: Node, caller: Principal, many: list[Repo], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000 + deleted_repo_keep_s
    node.clock = lambda: now

    def delete_anew(session: Session, repos: list[Repo], *, before: int, now: int) -> list[Repo]:
        assert undelete_repo_row(session, caller.org_id, "many0", state=1) is not None
        assert mark_repo_deleted(session, caller.org_id, "many0", state=2, now=now) is not None
        return start_cleaning_repos(session, repos, before=before, now=now)

    monkeypatch.setattr(clean_repo_module, "start_cleaning_repos", delete_anew)
    assert clean(node, many[:2]) == []
    assert [is_cleaned(node, row) for row in many[:2]] == [False, True]
    assert leftovers(node, many[0])[:2] == (1, 3)


def test_packs_without_rows_are_taken_in_once(
    node: Node, caller: Principal, stranger: Principal, row: Repo
) -> None:
    assert adopt_packs(node, caller, AdoptPacks("r")).names == []
    with node.database.write() as session:  # as a database has it that was restored from a backup
        start_deleting_all(session, row.id, now=1000)
        delete_pack_rows(session, row.id, list_known_packs(session, row.id))
    names = node.store.list_names(row.public_id)
    assert sorted(adopt_packs(node, caller, AdoptPacks("r")).names) == sorted(names)
    assert adopt_packs(node, caller, AdoptPacks("r")).names == []
    with pytest.raises(RepoNotFound):
        adopt_packs(node, stranger, AdoptPacks("r"))
