"""The lease on the upkeep of a repository: one holder at a time, until its end or its release."""

import threading

import pytest

from packhouse.db.engines.database import Database
from packhouse.db.maintenance import (
    LeaseLost,
    extend_maintenance_lease,
    release_maintenance_lease,
    take_maintenance_lease,
)
from packhouse.db.orgs import Org
from packhouse.db.packs import PackState, find_pack_state, replace_packs
from packhouse.db.session import Session
from packhouse.ids import RepoKey
from tests.support.builders.rows import add_repo, note_pack


def take(database: Database, repo_id: RepoKey, holder: str, *, now: int, lease_s: int = 60) -> bool:
    with database.write() as session:
        return take_maintenance_lease(session, repo_id, holder, lease_s=lease_s, now=now)


def extend(database: Database, repo_id: RepoKey, holder: str, *, now: int, lease_s: int = 60) -> None:
    with database.write() as session:
        extend_maintenance_lease(session, repo_id, holder, lease_s=lease_s, now=now)


def release(database: Database, repo_id: RepoKey, holder: str) -> None:
    with database.write() as session:
        release_maintenance_lease(session, repo_id, holder)


def test_a_second_holder_is_refused_until_the_lease_has_ended(database: Database, repo_id: RepoKey) -> None:
    assert take(database, repo_id, "one", now=1000)
    assert not take(database, repo_id, "two", now=1000)
    assert not take(database, repo_id, "two", now=1060)
    assert take(database, repo_id, "two", now=1061)
    assert not take(database, repo_id, "one", now=1062)


def test_each_repository_has_a_lease_of_its_own(database: Database, org: Org, repo_id: RepoKey) -> None:
    other_id = add_repo(database, org.id)
    assert take(database, repo_id, "one", now=1000)
    assert take(database, other_id, "two", now=1000)
    release(database, other_id, "two")
    assert not take(database, repo_id, "two", now=1000)


def test_an_extended_lease_ends_later(database: Database, repo_id: RepoKey) -> None:
    take(database, repo_id, "one", now=1000)
    extend(database, repo_id, "one", now=1050)
    assert not take(database, repo_id, "two", now=1110)
    assert take(database, repo_id, "two", now=1111)


def test_a_lease_that_ended_can_be_extended_while_nobody_has_taken_it(
    database: Database, repo_id: RepoKey
) -> None:
    take(database, repo_id, "one", now=1000)
    extend(database, repo_id, "one", now=2000)
    assert not take(database, repo_id, "two", now=2060)


def test_a_holder_that_lost_its_lease_writes_nothing(database: Database, repo_id: RepoKey) -> None:
    take(database, repo_id, "one", now=1000)
    take(database, repo_id, "two", now=2000)
    pack = note_pack(database, repo_id, "joined")

    def replace_late(session: Session) -> None:
        replace_packs(session, repo_id, old=[], new=[pack], state=7, now=2001)
        extend_maintenance_lease(session, repo_id, "one", lease_s=60, now=2001)

    with pytest.raises(LeaseLost):
        database.transact(replace_late)
    with database.read() as session:
        assert find_pack_state(session, repo_id, pack.name) is PackState.INCOMING
    with pytest.raises(LeaseLost):
        extend(database, repo_id, "never", now=2001)
    assert not take(database, repo_id, "three", now=2060), "the lease of the second holder is as it was"


def test_a_released_lease_is_free_at_once_and_lost_to_its_holder(
    database: Database, repo_id: RepoKey
) -> None:
    take(database, repo_id, "one", now=1000)
    release(database, repo_id, "one")
    with pytest.raises(LeaseLost):
        extend(database, repo_id, "one", now=1001)
    assert take(database, repo_id, "two", now=1001)


def test_the_lease_of_another_holder_is_not_released(database: Database, repo_id: RepoKey) -> None:
    take(database, repo_id, "one", now=1000)
    release(database, repo_id, "two")
    extend(database, repo_id, "one", now=1001)
    assert not take(database, repo_id, "two", now=1002)


def test_one_of_many_takers_gets_the_lease(database: Database, repo_id: RepoKey) -> None:
    for number in range(5):
        taken: list[str] = []

        def run(holder: str, now: int = 1000 + 1000 * number, taken: list[str] = taken) -> None:
            if take(database, repo_id, holder, now=now):
                taken.append(holder)

        threads = [threading.Thread(target=run, args=(f"{number} {number}",)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(taken) == 1


def test_a_lease_is_taken_over_only_after_the_transaction_that_extends_it(
    database: Database, repo_id: RepoKey
) -> None:
    """A holder that was late extends the lease; another process that wants it waits for that transaction."""
    take(database, repo_id, "one", now=1000)
    outcome: list[bool] = []
    other = threading.Thread(target=lambda: outcome.append(take(database, repo_id, "two", now=2000)))
    with database.write() as session:
        extend_maintenance_lease(session, repo_id, "one", lease_s=60, now=2000)
        other.start()
        other.join(0.3)
        assert other.is_alive()
    other.join(60)
    assert outcome == [False]
