"""Branches are listed in the order of their creation, independent of clocks, and no pager misses one."""

import random
import threading
import uuid
from collections.abc import Callable

import pytest

from packhouse.db.engines.database import Database, open_database
from packhouse.db.orgs import insert_org
from packhouse.db.refs import list_branches_page, list_refs
from packhouse.git.refname import EPHEMERAL, HEADS, PERSISTENT, RefName
from packhouse.ids import RepoKey
from tests.support.builders.rows import (
    add_repo_of_older_release,
    apply,
    branch_update,
    oid,
    write_ref_of_older_release,
)
from tests.support.builders.seeds import seed_of

A, B = oid("a"), oid("b")
WRITERS = 4
BRANCHES_EACH = 25

_OLD_PAGE = """
    SELECT refname FROM refs
    WHERE repo_id = {repo_id} AND namespace = ''
        AND refname >= 'refs/heads/' AND refname < 'refs/heads0'
        AND (created_at, refname) > (-1, '')
    ORDER BY created_at, refname
    LIMIT 100
"""


class Pager:
    """Reads the branches of a repository page by page, each time from the last one that it got."""

    def __init__(
        self, database: Database, repo_id: RepoKey, namespace: str = PERSISTENT, *, limit: int = 2
    ) -> None:
        self._database = database
        self._repo_id = repo_id
        self._namespace = namespace
        self._limit = limit
        self._after: tuple[int, RefName] | None = None
        self.seen: list[str] = []

    def read_page(self) -> bool:
        """Read one page; False when the last page was read before."""
        with self._database.snapshot() as session:
            page = list_branches_page(
                session, self._repo_id, self._namespace, after=self._after, limit=self._limit
            )
        for ref in page:
            assert ref.creation is not None
            self._after = (ref.creation, ref.refname)
            self.seen.append(ref.refname.removeprefix(HEADS).decode())
        return bool(page)

    def finish(self) -> list[str]:
        """Read on to the end; return all branches that were read."""
        while self.read_page():
            continue
        return self.seen


def list_all(database: Database, repo_id: RepoKey, namespace: str = PERSISTENT) -> list[str]:
    return Pager(database, repo_id, namespace).finish()


def test_branches_of_one_transaction_are_listed_in_the_order_of_its_updates(
    database: Database, repo_id: RepoKey
) -> None:
    names = ["m", "z", "a", "é", "b"]
    apply(database, repo_id, *(branch_update(name, None, A) for name in names))
    apply(database, repo_id, branch_update("0", None, A))
    assert list_all(database, repo_id) == [*names, "0"]


def test_a_move_keeps_the_place_of_a_branch_and_a_recreation_does_not(
    database: Database, repo_id: RepoKey
) -> None:
    for name in ("a", "b", "c"):
        apply(database, repo_id, branch_update(name, None, A))
    apply(database, repo_id, branch_update("a", A, B))
    assert list_all(database, repo_id) == ["a", "b", "c"]
    apply(database, repo_id, branch_update("b", A, None))
    apply(database, repo_id, branch_update("b", None, A))
    assert list_all(database, repo_id) == ["a", "c", "b"]


def test_each_namespace_is_listed_separately(database: Database, repo_id: RepoKey) -> None:
    for name, namespace in (("z", EPHEMERAL), ("y", PERSISTENT), ("x", EPHEMERAL)):
        apply(database, repo_id, branch_update(name, None, A, namespace=namespace))
    assert list_all(database, repo_id) == ["y"]
    assert list_all(database, repo_id, EPHEMERAL) == ["z", "x"]


def test_paging_finds_every_branch_made_meanwhile_once(
    database: Database, repo_id: RepoKey, request: pytest.FixtureRequest
) -> None:
    seed = seed_of(request)
    acknowledged: list[list[str]] = [[] for _ in range(WRITERS)]

    def write(number: int) -> None:
        rng = random.Random(seed + number)
        left = [f"{rng.randrange(16**6):06x}-{number}-{count}" for count in range(BRANCHES_EACH)]
        while left:
            count = rng.randint(1, 3)
            names, left = left[:count], left[count:]
            # The clocks of servers differ, and the time is taken before the writer may write.
            now = 1000 + rng.randint(-2, 2)
            apply(database, repo_id, *(branch_update(name, None, A) for name in names), now=now)
            acknowledged[number] += names
            if rng.random() < 0.2:
                apply(database, repo_id, branch_update(names[0], A, B), now=now)

    writers = [threading.Thread(target=write, args=(number,)) for number in range(WRITERS)]
    pager = Pager(database, repo_id, limit=random.Random(seed).randint(1, 5))
    for writer in writers:
        writer.start()
    while any(writer.is_alive() for writer in writers):
        pager.read_page()
    for writer in writers:
        writer.join()
    seen = pager.finish()
    assert len(seen) == len(set(seen)) == WRITERS * BRANCHES_EACH
    assert seen == list_all(database, repo_id)
    for names in acknowledged:
        assert [name for name in seen if name in names] == names


def test_a_server_of_the_release_before_may_make_branches_beside_this_one(
    database: Database, repo_id: RepoKey
) -> None:
    pager = Pager(database, repo_id, limit=1)
    order = []
    for number, name in enumerate(["new-z", "old-y", "old-x", "new-w", "old-v", "new-u"]):
        if name.startswith("old"):
            write_ref_of_older_release(database, repo_id, f"refs/heads/{name}", A, now=50 - number)
        else:
            apply(database, repo_id, branch_update(name, None, A), now=50)
        order.append(name)
        pager.read_page()
        assert pager.seen == order
    assert list_all(database, repo_id) == order
    apply(database, repo_id, branch_update("old-y", A, B), branch_update("old-x", A, None))
    assert list_all(database, repo_id) == [name for name in order if name != "old-x"]


def test_a_branch_recreated_by_the_release_before_counts_as_new(database: Database, repo_id: RepoKey) -> None:
    write_ref_of_older_release(database, repo_id, "refs/heads/again", A, now=50)
    apply(database, repo_id, branch_update("again", A, None), now=50)
    write_ref_of_older_release(database, repo_id, "refs/heads/between", A, now=50)
    write_ref_of_older_release(database, repo_id, "refs/heads/again", A, now=50)
    assert list_all(database, repo_id) == ["between", "again"]


def test_the_listing_query_of_the_release_before_still_runs(database: Database, repo_id: RepoKey) -> None:
    for name, now in (("b", 10), ("a", 10), ("c", 5)):
        apply(database, repo_id, branch_update(name, None, A), now=now)
    with database.read() as session:
        connection = session._connection  # type: ignore[attr-defined]  # asks the engine
        rows = connection.execute(_OLD_PAGE.format(repo_id=repo_id)).fetchall()
    assert [row[0].removeprefix("refs/heads/") for row in rows] == ["c", "a", "b"]


def test_the_migration_numbers_existing_branches_by_the_ref_log(
    database_url: str, migrate_to: Callable[[Database, int], None], request: pytest.FixtureRequest
) -> None:
    rng = random.Random(seed_of(request))
    database = open_database(database_url)
    migrate_to(database, 3)
    with database.write() as session:
        org_id = insert_org(session, name="acme", now=1).id
    repos = [add_repo_of_older_release(database, org_id) for _ in range(2)]
    orders: dict[int, list[str]] = {repo_id: [] for repo_id in repos}
    for number in range(30):
        repo_id, name = rng.choice(repos), uuid.UUID(int=rng.getrandbits(128)).hex
        write_ref_of_older_release(database, repo_id, f"refs/heads/{name}", A, now=100 + number // 10)
        orders[repo_id].append(name)
    write_ref_of_older_release(database, repos[0], "refs/tags/v1", A)
    database.migrate()
    for repo_id in repos:
        assert list_all(database, repo_id) == orders[repo_id]
        apply(database, repo_id, branch_update("0", None, A), now=1)
        assert list_all(database, repo_id) == [*orders[repo_id], "0"]
    with database.read() as session:
        assert all(ref.creation is not None for repo_id in repos for ref in list_refs(session, repo_id))
    database.close()
