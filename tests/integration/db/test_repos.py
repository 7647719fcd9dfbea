"""Repositories as rows: names, ids, listing, deletion."""

import sqlite3
import threading

import psycopg
import pytest

from packhouse.db.engines.database import Database
from packhouse.db.orgs import Org, insert_org
from packhouse.db.repos import (
    Repo,
    RepoExists,
    RepoNotFound,
    find_repo,
    find_repo_and_ref,
    find_repo_by_id,
    find_repo_by_public_id,
    has_pending_deletion,
    insert_repo,
    list_repos,
    mark_repo_deleted,
    mark_repos_cleaned,
    set_default_branch,
)
from packhouse.errors import PackhouseError
from packhouse.git.refname import EPHEMERAL, PERSISTENT, RefName
from packhouse.ids import RepoId, RepoKey
from tests.support.builders.rows import add_repo, apply, branch_update, oid


def read_repo(database: Database, org: Org, name: str) -> Repo:
    with database.read() as session:
        repo = find_repo(session, org.id, name)
    assert repo is not None
    return repo


def names(database: Database, org: Org, q: str = "", after: tuple[int, int] | None = None) -> list[str]:
    with database.read() as session:
        return [repo.name for repo in list_repos(session, org.id, q=q, after=after, limit=50)]


def delete(database: Database, org: Org, name: str) -> None:
    with database.write() as session:
        assert mark_repo_deleted(session, org.id, name, state=5, now=300) is not None


def test_a_repository_is_found_by_name_id_and_public_id(database: Database, org: Org) -> None:
    repo_id = add_repo(database, org.id, "apps/shop", default_branch="trunk", now=7)
    repo = read_repo(database, org, "apps/shop")
    assert repo == Repo(
        id=repo_id,
        public_id=repo.public_id,
        org_id=org.id,
        org_name=org.name,
        name="apps/shop",
        default_branch="trunk",
        refs_version=0,
        refs_state=0,
        packs_version=0,
        packs_state=0,
        created_at=7,
        deleted_at=None,
    )
    with database.read() as session:
        assert find_repo_by_id(session, repo_id) == repo
        assert find_repo_by_public_id(session, repo.public_id) == repo


def test_names_are_compared_byte_for_byte(database: Database, org: Org) -> None:
    spellings = ["Shop", "shop", "shöp", "sho\u0308p", "shop ", "SHOP"]
    for name in spellings:
        add_repo(database, org.id, name)
    assert sorted(names(database, org)) == sorted(spellings)
    for name in spellings:
        assert read_repo(database, org, name).name == name


def test_two_repositories_of_an_organisation_cannot_have_one_name(database: Database, org: Org) -> None:
    first = add_repo(database, org.id, "shop")
    with pytest.raises(RepoExists):
        add_repo(database, org.id, "shop")
    with database.write() as session:
        other = insert_org(session, name="other", now=1)
    assert add_repo(database, other.id, "shop") != first
    assert read_repo(database, org, "shop").id == first


def test_exactly_one_of_many_creators_of_one_name_wins(database: Database, org: Org) -> None:
    outcomes: list[str] = []

    def create() -> None:
        try:
            add_repo(database, org.id, "wanted")
            outcomes.append("created")
        except RepoExists:
            outcomes.append("exists")

    threads = [threading.Thread(target=create) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["created"] + ["exists"] * 7


def test_text_that_cannot_be_stored_is_absent(database: Database, org: Org) -> None:
    for name in ("a\0b", "a\ud800b"):
        with database.write() as session:
            assert find_repo(session, org.id, name) is None
            assert find_repo_and_ref(session, org.id, name, PERSISTENT, None) is None
            assert find_repo_by_public_id(session, name) is None
            assert mark_repo_deleted(session, org.id, name, state=5, now=1) is None
            assert not has_pending_deletion(session, org.id, name)
            assert list_repos(session, org.id, q=name, after=None, limit=5) == []


def test_a_deleted_name_is_free_at_once_and_remembered_until_cleaned(database: Database, org: Org) -> None:
    first = add_repo(database, org.id, "shop")
    delete(database, org, "shop")
    with database.read() as session:
        assert find_repo(session, org.id, "shop") is None
        assert has_pending_deletion(session, org.id, "shop")
        gone = find_repo_by_id(session, first)
    assert gone is not None
    assert gone.deleted_at == 300
    assert names(database, org) == []
    second = add_repo(database, org.id, "shop")
    assert second > first
    delete(database, org, "shop")
    with database.write() as session:
        assert mark_repo_deleted(session, org.id, "shop", state=5, now=301) is None
        assert mark_repos_cleaned(session, [first], now=400)
        assert not mark_repos_cleaned(session, [first], now=401)
        assert has_pending_deletion(session, org.id, "shop")
        assert mark_repos_cleaned(session, [second], now=400)
        assert not has_pending_deletion(session, org.id, "shop")


def test_a_living_repository_is_never_marked_as_cleaned(
    database: Database, org: Org, repo_id: RepoKey
) -> None:
    with database.write() as session:
        assert not mark_repos_cleaned(session, [repo_id], now=1)


def test_an_id_is_never_given_out_again(database: Database, org: Org) -> None:
    last = add_repo(database, org.id, "last")
    with database.write() as session:
        session.define(f"DELETE FROM repos WHERE id = {last}")
    assert add_repo(database, org.id, "next") > last


def test_ids_fit_31_bits(database: Database, org: Org) -> None:
    with database.write() as session:
        sequence = (
            "UPDATE sqlite_sequence SET seq = 2147483647 WHERE name = 'repos'"
            if "Sqlite" in type(database).__name__
            else "ALTER TABLE repos ALTER COLUMN id RESTART WITH 2147483647"
        )
        add_first = insert_repo(
            session, public_id=RepoId("repo_a"), org_id=org.id, name="first", default_branch="main", now=1
        )
        session.define(sequence)
    assert add_first < 2**31
    if "Sqlite" not in type(database).__name__:
        add_repo(database, org.id, "the last one")
    with pytest.raises((sqlite3.IntegrityError, psycopg.DataError, PackhouseError)):
        add_repo(database, org.id, "one too many")


def test_the_listing_is_sorted_by_creation_time_then_id(database: Database, org: Org) -> None:
    for name, now in (("c", 30), ("a", 10), ("b2", 20), ("b1", 20)):
        add_repo(database, org.id, name, now=now)
    assert names(database, org) == ["a", "b2", "b1", "c"]


def test_pages_neither_repeat_nor_miss_a_repository(database: Database, org: Org) -> None:
    for number in range(23):
        add_repo(database, org.id, f"repo-{number:02}", now=100 + number // 5)
    seen: list[Repo] = []
    after = None
    while True:
        with database.read() as session:
            page = list_repos(session, org.id, after=after, limit=4)
        if not page:
            break
        seen.extend(page)
        after = (page[-1].created_at, page[-1].id)
        add_repo(database, org.id, f"late-{len(seen)}", now=1)  # sorts before the rows that were read
    assert [repo.name for repo in seen] == [f"repo-{number:02}" for number in range(23)]


@pytest.mark.parametrize(
    ("q", "found"),
    [
        ("shop", ["apps/Shop", "SHOPPING"]),
        ("SHOP", ["apps/Shop", "SHOPPING"]),
        ("%", ["100%"]),
        ("_", ["snake_case"]),
        ("\\", []),
        ("0%", ["100%"]),
        ("s%p", []),
        ("STRASSE", ["Straße"]),
        ("straße", ["Straße"]),
        ("ИВАН", ["иван"]),
        ("x" * 5000, []),
        ("", ["apps/Shop", "SHOPPING", "100%", "snake_case", "Straße", "иван"]),
    ],
)
def test_search_is_literal_and_ignores_case_alike_on_both_engines(
    database: Database, org: Org, q: str, found: list[str]
) -> None:
    for now, name in enumerate(["apps/Shop", "SHOPPING", "100%", "snake_case", "Straße", "иван"]):
        add_repo(database, org.id, name, now=now)
    assert names(database, org, q) == found


def test_one_query_returns_repository_and_ref(database: Database, org: Org) -> None:
    repo_id = add_repo(database, org.id, "shop", default_branch="trunk")
    apply(
        database,
        repo_id,
        branch_update("trunk", None, oid("t")),
        branch_update("trunk", None, oid("e"), namespace=EPHEMERAL),
        branch_update("topic", None, oid("f")),
    )

    def look_up(namespace: str, refname: bytes | None) -> str | None:
        with database.read() as session:
            found = find_repo_and_ref(
                session, org.id, "shop", namespace, None if refname is None else RefName(refname)
            )
        assert found is not None
        assert found[0].id == repo_id
        return None if found[1] is None else found[1].oid

    assert look_up(PERSISTENT, None) == oid("t")
    assert look_up(EPHEMERAL, None) == oid("e")
    assert look_up(PERSISTENT, b"refs/heads/topic") == oid("f")
    assert look_up(PERSISTENT, b"refs/heads/none") is None
    assert look_up(EPHEMERAL, b"refs/heads/topic") is None
    with database.read() as session:
        assert find_repo_and_ref(session, org.id, "nothing", PERSISTENT, None) is None


def test_a_new_default_branch_raises_the_version_of_the_refs(database: Database, org: Org) -> None:
    repo_id = add_repo(database, org.id, "shop")
    with database.write() as session:
        set_default_branch(session, repo_id, "trunk", state=11)
    repo = read_repo(database, org, "shop")
    assert (repo.default_branch, repo.refs_version, repo.refs_state) == ("trunk", 1, 11)
    delete(database, org, "shop")
    with pytest.raises(RepoNotFound), database.write() as session:
        set_default_branch(session, repo_id, "main", state=12)
