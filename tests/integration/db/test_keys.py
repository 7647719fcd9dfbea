"""Organisations and their keys, and jobs, as rows."""

import threading

import pytest

from packhouse.db.engines.database import Database
from packhouse.db.jobs import insert_job
from packhouse.db.keys import Key, find_key, get_keys_version, insert_key, list_keys, revoke_key
from packhouse.db.orgs import Org, OrgExists, find_org, insert_org, list_orgs
from packhouse.ids import RepoKey


def add_key(database: Database, org: Org, key_id: str) -> Key:
    with database.write() as session:
        return insert_key(
            session, key_id=key_id, org_id=org.id, public_pem="PEM", kid="k", label="laptop", now=5
        )


def keys_version(database: Database) -> int:
    with database.read() as session:
        return get_keys_version(session)


def test_two_organisations_cannot_have_one_name(database: Database, org: Org) -> None:
    with pytest.raises(OrgExists), database.write() as session:
        insert_org(session, name=org.name, now=1)
    with database.read() as session:
        assert find_org(session, org.name) == org
        assert find_org(session, org.name.upper()) is None
        assert find_org(session, "a\0") is None


def test_organisations_are_listed_by_name_in_pages(database: Database) -> None:
    with database.write() as session:
        for name in ("b", "B", "a", "c"):
            insert_org(session, name=name, now=1)
    with database.read() as session:
        assert [org.name for org in list_orgs(session, limit=3)] == ["B", "a", "b"]
        assert [org.name for org in list_orgs(session, after="b", limit=3)] == ["c"]


def test_keys_are_listed_newest_first_and_revoked_keys_can_be_left_out(database: Database, org: Org) -> None:
    old, new = add_key(database, org, "key_1"), add_key(database, org, "key_2")
    with database.write() as session:
        assert revoke_key(session, org.id, "key_1", now=9)
        assert not revoke_key(session, org.id, "key_1", now=10)
        assert not revoke_key(session, org.id, "key_3", now=10)
        assert not revoke_key(session, org.id + 1, "key_2", now=10)
    with database.read() as session:
        assert list_keys(session, org.id, active_only=True) == [new]
        everything = list_keys(session, org.id)
        assert [key.revoked_at for key in everything] == [None, 9]
        assert everything[1].key_id == old.key_id
        assert find_key(session, org.id, "key_2") == new
        assert find_key(session, org.id + 1, "key_2") is None


def test_every_change_of_a_key_gets_its_own_version(database: Database, org: Org) -> None:
    before = keys_version(database)
    threads = [threading.Thread(target=add_key, args=(database, org, f"key_{n}")) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert keys_version(database) == before + 8
    with database.write() as session:
        revoke_key(session, org.id, "key_0", now=1)
        revoke_key(session, org.id, "key_0", now=1)
    assert keys_version(database) == before + 9


def test_only_one_of_equal_jobs_waits_and_it_runs_at_the_earliest_time(
    database: Database, repo_id: RepoKey
) -> None:
    with database.write() as session:
        for run_at in (50, 20, 90):
            insert_job(session, "sweep", "repo_1", repo_id=repo_id, run_at=run_at, now=1)
        insert_job(session, "sweep", "repo_2", run_at=70, now=1)
    with database.read() as session:
        connection = session._connection  # type: ignore[attr-defined]  # no query lists jobs yet
        rows = connection.execute("SELECT key, run_at, state, attempts FROM jobs ORDER BY id").fetchall()
    assert rows == [("repo_1", 20, "waiting", 0), ("repo_2", 70, "waiting", 0)]
