"""Repositories that are being filled: rows that nobody finds, until each becomes visible under a free name."""

import threading

import pytest

from packhouse.db.engines.database import Database
from packhouse.db.orgs import Org
from packhouse.db.packs import PackState, find_pack_state, list_packs, make_packs_live
from packhouse.db.ref_transaction import apply_ref_updates
from packhouse.db.repos import (
    RepoExists,
    bear_repo,
    find_repo,
    find_repo_and_ref,
    find_repo_by_id,
    has_pending_deletion,
    insert_repo,
    insert_unborn_repo,
    list_repos,
    mark_repo_deleted,
    mark_repos_cleaned,
    undelete_repo_row,
)
from packhouse.db.session import Session
from packhouse.git.refname import PERSISTENT
from packhouse.ids import RepoId, RepoKey
from tests.support.builders.rows import add_repo, apply, branch_update, note_pack, oid


def conceive(database: Database, org: Org, public_id: str, name: str = "r") -> RepoKey:
    with database.write() as session:
        return insert_unborn_repo(session, public_id=RepoId(public_id), org_id=org.id, name=name, now=100)


def bear(database: Database, org: Org, repo_id: RepoKey, name: str = "r") -> None:
    database.transact(
        lambda session: bear_repo(session, repo_id, org_id=org.id, name=name, default_branch="trunk", now=200)
    )


def test_an_unborn_repository_is_not_found(database: Database, org: Org) -> None:
    conceive(database, org, "repo_1")
    with database.read() as session:
        assert find_repo(session, org.id, "r") is None
        assert find_repo_and_ref(session, org.id, "r", PERSISTENT, None) is None
        assert list_repos(session, org.id, after=None, limit=10) == []
        assert list_repos(session, org.id, q="r", after=None, limit=10) == []


def test_an_unborn_repository_cannot_be_deleted_or_undeleted_and_is_no_pending_deletion(
    database: Database, org: Org
) -> None:
    repo_id = conceive(database, org, "repo_1")
    with database.write() as session:
        assert not has_pending_deletion(session, org.id, "r")
        assert undelete_repo_row(session, org.id, "r", state=5) is None
        assert mark_repo_deleted(session, org.id, "r", state=6, now=150) is None
        assert not mark_repos_cleaned(session, [repo_id], now=150)


def test_the_name_of_an_unborn_repository_is_free(database: Database, org: Org) -> None:
    unborn = [conceive(database, org, f"repo_{number}") for number in (1, 2)]
    assert len(set(unborn)) == 2
    repo_id = add_repo(database, org.id, "r")
    with database.write() as session:
        found = find_repo(session, org.id, "r")
        assert found is not None
        assert found.id == repo_id
        assert mark_repo_deleted(session, org.id, "r", state=5, now=150) is not None
        assert undelete_repo_row(session, org.id, "r", state=6) is not None


def test_a_repository_becomes_visible_together_with_its_packs_and_refs(database: Database, org: Org) -> None:
    repo_id = conceive(database, org, "repo_1")
    pack = note_pack(database, repo_id, 1)

    def bear_filled(session: Session) -> None:
        bear_repo(session, repo_id, org_id=org.id, name="r", default_branch="trunk", now=200)
        apply_ref_updates(
            session,
            repo_id,
            [branch_update("trunk", None, oid("t"))],
            actor="tester",
            action="fork",
            state=9,
            now=200,
            packs=[pack],
        )

    database.transact(bear_filled)
    with database.read() as session:
        found = find_repo_and_ref(session, org.id, "r", PERSISTENT, None)
        listed = list_packs(session, repo_id)
        assert [repo.id for repo in list_repos(session, org.id, after=None, limit=10)] == [repo_id]
    assert found is not None
    repo, ref = found
    assert (repo.id, repo.public_id, repo.default_branch) == (repo_id, "repo_1", "trunk")
    assert (repo.created_at, repo.deleted_at) == (200, None)
    assert ref is not None
    assert ref.oid == oid("t")
    assert listed is not None
    assert listed.packs == (pack,)


def test_a_born_repository_can_be_deleted_and_undeleted_like_any_other(database: Database, org: Org) -> None:
    repo_id = conceive(database, org, "repo_1")
    bear(database, org, repo_id)
    with database.write() as session:
        assert mark_repo_deleted(session, org.id, "r", state=5, now=300) == (repo_id, "repo_1")
        assert has_pending_deletion(session, org.id, "r")
        assert undelete_repo_row(session, org.id, "r", state=6) == (repo_id, "repo_1")
        assert mark_repo_deleted(session, org.id, "r", state=7, now=400) == (repo_id, "repo_1")
        assert mark_repos_cleaned(session, [repo_id], now=500)


def test_a_repository_cannot_be_born_with_a_name_that_was_taken_meanwhile(
    database: Database, org: Org
) -> None:
    repo_id = conceive(database, org, "repo_1")
    pack = note_pack(database, repo_id, 1)
    first = add_repo(database, org.id, "r")

    def bear_filled(session: Session) -> None:
        make_packs_live(session, repo_id, [pack], now=200)
        bear_repo(session, repo_id, org_id=org.id, name="r", default_branch="trunk", now=200)

    with pytest.raises(RepoExists):
        database.transact(bear_filled)
    with database.read() as session:
        found, unborn = find_repo(session, org.id, "r"), find_repo_by_id(session, repo_id)
        assert find_pack_state(session, repo_id, pack.name) is PackState.INCOMING
    assert found is not None
    assert found.id == first
    assert unborn is not None
    assert unborn.deleted_at == 100
    with database.write() as session:
        assert mark_repo_deleted(session, org.id, "r", state=5, now=300) is not None
    bear(database, org, repo_id)  # the name is free again


def test_another_organisation_may_have_the_name(database: Database, org: Org, repo_id: RepoKey) -> None:
    with database.read() as session:
        taken = find_repo_by_id(session, repo_id)
    assert taken is not None
    with database.write() as session:
        session.define("INSERT INTO orgs (name, created_at) VALUES ('other', 1)")
        session.define(
            "INSERT INTO repos (public_id, org_id, name, name_folded, default_branch, created_at)"
            f" SELECT 'repo_other', id, '{taken.name}', '{taken.name}', 'main', 1 FROM orgs WHERE name = 'other'"
        )
        session.define(f"DELETE FROM repos WHERE id = {repo_id}")
    bear(database, org, conceive(database, org, "repo_1", taken.name), taken.name)


def test_exactly_one_of_many_births_with_one_name_succeeds(database: Database, org: Org) -> None:
    for number in range(10):
        name = f"wanted-{number}"
        unborn = [conceive(database, org, f"repo_{number}x{place}", name) for place in range(4)]
        outcomes: list[str] = []

        def run(repo_id: RepoKey, name: str = name, outcomes: list[str] = outcomes) -> None:
            try:
                bear(database, org, repo_id, name)
                outcomes.append("born")
            except RepoExists:
                outcomes.append("exists")

        threads = [threading.Thread(target=run, args=(repo_id,)) for repo_id in unborn]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(outcomes) == ["born"] + ["exists"] * 3


def test_the_second_of_two_concurrent_births_finds_the_name_taken(database: Database, org: Org) -> None:
    first, second = (conceive(database, org, f"repo_{number}") for number in (1, 2))
    outcome: list[str] = []

    def bear_second() -> None:
        try:
            bear(database, org, second)
            outcome.append("born")
        except RepoExists:
            outcome.append("exists")

    with database.write() as session:
        bear_repo(session, first, org_id=org.id, name="r", default_branch="trunk", now=200)
        waiting = threading.Thread(target=bear_second)
        waiting.start()
        waiting.join(0.3)
        assert (
            waiting.is_alive()
        )  # it sees no other repository of the name yet, and waits until the first has ended
    waiting.join()
    assert outcome == ["exists"]


def test_exactly_one_of_a_birth_and_a_creation_with_one_name_succeeds(database: Database, org: Org) -> None:
    for number in range(10):
        name = f"wanted-{number}"
        unborn = conceive(database, org, f"repo_{number}", name)
        outcomes: list[str] = []

        def create(name: str = name, number: int = number) -> None:
            with database.write() as session:
                insert_repo(
                    session,
                    public_id=RepoId(f"repo_{number}made"),
                    org_id=org.id,
                    name=name,
                    default_branch="main",
                    now=1,
                )

        def run(
            racer: str, unborn: RepoKey = unborn, name: str = name, outcomes: list[str] = outcomes
        ) -> None:
            try:
                if racer == "birth":
                    bear(database, org, unborn, name)
                else:
                    create(name)
                outcomes.append("done")
            except RepoExists:
                outcomes.append("exists")

        threads = [threading.Thread(target=run, args=(racer,)) for racer in ("birth", "creation")]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(outcomes) == ["done", "exists"]


def test_an_unborn_repository_takes_no_refs(database: Database, org: Org) -> None:
    repo_id = conceive(database, org, "repo_1")
    with pytest.raises(Exception, match="repository not found"):
        apply(database, repo_id, branch_update("main", None, oid("a")))
