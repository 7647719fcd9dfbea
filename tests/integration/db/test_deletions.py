"""Deleting many repositories at once, on every engine: what is found by which database index, and who wins a race."""

import threading
import time

import pytest

from packhouse.db.deletions import (
    count_prefixed_repos,
    has_expired_repos,
    has_prefixed_repos,
    mark_expired_deleted,
    mark_prefixed_deleted,
)
from packhouse.db.engines.database import Database
from packhouse.db.orgs import Org, insert_org
from packhouse.db.repos import find_repo, find_repo_by_id, mark_repo_deleted, set_repo_expiry
from packhouse.db.session import QUERIES, SqlValue
from packhouse.db.text import after_prefix
from packhouse.ids import RepoKey
from tests.support.builders.plans import explain
from tests.support.builders.rows import add_repo


def set_expiry(database: Database, repo_id: RepoKey, expires_at: int | None) -> None:
    with database.write() as session:
        set_repo_expiry(session, repo_id, expires_at)


def delete_expired(database: Database, *, now: int, limit: int = 10) -> list[str]:
    with database.write() as session:
        return [row.name for row in mark_expired_deleted(session, limit=limit, state=7, now=now)]


def test_what_expires_first_is_deleted_first(database: Database, org: Org) -> None:
    ids = {name: add_repo(database, org.id, name) for name in ("never", "late", "early", "deleted", "far")}
    for name, expires_at in (("late", 20), ("early", 10), ("deleted", 5), ("far", 21)):
        set_expiry(database, ids[name], expires_at)
    with database.write() as session:
        mark_repo_deleted(session, org.id, "deleted", state=5, now=1)
        assert not has_expired_repos(session, now=9)
        assert has_expired_repos(session, now=10)
    assert delete_expired(database, now=9) == []
    assert delete_expired(database, now=20, limit=1) == ["early"]
    assert delete_expired(database, now=20) == ["late"]
    with database.read() as session:
        gone, kept = find_repo_by_id(session, ids["late"]), find_repo(session, org.id, "far")
    assert gone is not None
    assert (gone.deleted_at, gone.refs_version, gone.refs_state, gone.org_name) == (20, 1, 7, org.name)
    assert kept is not None
    assert kept.expires_at == 21


def test_a_time_that_is_moved_while_the_deletion_waits_for_the_row_saves_the_repository(
    database: Database, org: Org
) -> None:
    """The deletion has already chosen the repository when the update commits."""
    saved, other = add_repo(database, org.id, "saved"), add_repo(database, org.id, "other")
    for repo_id in (saved, other):
        set_expiry(database, repo_id, 10)
    deleted: list[str] = []
    deletion = threading.Thread(target=lambda: deleted.extend(delete_expired(database, now=20)))
    with database.write() as session:
        set_repo_expiry(session, saved, 30)
        deletion.start()
        time.sleep(0.3)  # on PostgreSQL it waits for the row by then, elsewhere for the writer
    deletion.join(60)
    assert deleted == ["other"]
    with database.read() as session:
        assert find_repo(session, org.id, "saved") is not None


def test_of_many_servers_one_deletes_each_repository(database: Database, org: Org) -> None:
    wanted = [f"r{number:02}" for number in range(60)]
    for name in wanted:
        set_expiry(database, add_repo(database, org.id, name), 10)
    deleted: list[str] = []

    def work() -> None:
        while page := database.transact(
            lambda session: mark_expired_deleted(session, limit=7, state=7, now=20)
        ):
            deleted.extend(row.name for row in page)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(deleted) == wanted
    assert not any(has_expired(database, 20) for _ in range(2))


def has_expired(database: Database, now: int) -> bool:
    with database.read() as session:
        return has_expired_repos(session, now=now)


@pytest.mark.parametrize("query", ["find_expired_repo", "mark_expired_deleted"])
def test_expired_repositories_are_found_by_their_database_index(
    database: Database, org: Org, query: str
) -> None:
    for number in range(300):
        add_repo(database, org.id, f"r{number}")
    assert "repos_to_expire" in explain(database, query, now=20, state=7, limit=10)


NAMES = [
    "a",
    "a%b",
    "a_b",
    "aX",
    "a\u00e4",
    "a\u0308",
    "a\ud7ff",
    "a\ue000",
    "a\U0010ffff",
    "A",
    "b",
    "\U0010ffffz",
]


@pytest.mark.parametrize(
    "prefix", ["a", "a%", "a_", "A", "a\u00e4", "a\ud7ff", "a\U0010ffff", "\U0010ffff", "c"]
)
def test_a_prefix_is_compared_as_bytes_on_every_engine(database: Database, org: Org, prefix: str) -> None:
    with database.write() as session:
        other = insert_org(session, name="other", now=1)
    for name in NAMES:
        add_repo(database, org.id, name)
        add_repo(database, other.id, name)
    wanted = sorted(
        (name for name in NAMES if name.startswith(prefix)), key=lambda name: name.encode("utf-8")
    )
    with database.write() as session:
        assert count_prefixed_repos(session, org.id, prefix) == len(wanted)
        assert has_prefixed_repos(session, org.id, prefix) == bool(wanted)
        deleted = mark_prefixed_deleted(session, org.id, prefix, limit=20, state=7, now=20)
        assert [row.name for row in deleted] == wanted
        assert count_prefixed_repos(session, org.id, prefix) == 0
        assert count_prefixed_repos(session, other.id, prefix) == len(wanted)


def test_the_first_names_are_deleted_first(database: Database, org: Org) -> None:
    for name in ("ci/3", "ci/1", "ci/2"):
        add_repo(database, org.id, name)
    with database.write() as session:
        deleted = mark_prefixed_deleted(session, org.id, "ci/", limit=2, state=7, now=20)
        assert [row.name for row in deleted] == ["ci/1", "ci/2"]
        assert has_prefixed_repos(session, org.id, "ci/")


@pytest.mark.parametrize("query", ["mark_prefixed_deleted", "count_prefixed_repos", "find_prefixed_repo"])
def test_a_prefix_is_a_range_of_the_database_index_on_names(database: Database, org: Org, query: str) -> None:
    for number in range(300):
        add_repo(database, org.id, f"r{number}")
    params: dict[str, SqlValue] = {
        "prefix": "r1",
        "after": after_prefix("r1"),
        "now": 20,
        "state": 7,
        "limit": 10,
    }
    used = {name: value for name, value in params.items() if f":{name}" in QUERIES[query]}
    plan = explain(database, query, org_id=org.id, **used)
    assert "repos_by_name" in plan
    assert "name>? AND name<?" in plan or "(name >= " in plan, plan
