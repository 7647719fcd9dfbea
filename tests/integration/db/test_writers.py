"""Writers of several servers at once, as real processes on one database."""

import contextlib
import sqlite3
import threading
import time
from pathlib import Path

import pytest

from packhouse.db.engines.database import Database, DatabaseAway, Session, open_database
from packhouse.db.orgs import Org, insert_org
from packhouse.db.ref_transaction import DefaultBranchProtected, RefMissing
from packhouse.db.refs import RefLogEntry, get_ref, list_ref_log
from packhouse.db.repos import RepoNotFound, find_repo_by_id, mark_repo_deleted, set_default_branch
from packhouse.git.refname import HEADS, PERSISTENT, RefName
from packhouse.ids import RepoKey
from tests.support.builders.rows import add_repo, apply, branch_update, oid
from tests.support.clients.writers import JOIN_MAX_S, SPAWN, move_on, run_writers, write_and_tell


@pytest.fixture
def url(database_url: str) -> str:
    """The address of a migrated database, for the processes that write to it."""
    database = open_database(database_url)
    database.migrate()
    with database.write() as session:
        insert_org(session, name="acme", now=1)
    database.close()
    return database_url


def read_log(url: str, repo_id: RepoKey) -> list[RefLogEntry]:
    database = open_database(url)
    with database.read() as session:
        entries = list_ref_log(session, repo_id, limit=1_000_000)
    database.close()
    return entries[::-1]


def make_repo(url: str) -> RepoKey:
    database = open_database(url)
    repo_id = add_repo(database, 1)
    database.close()
    return repo_id


def test_no_update_of_several_processes_is_lost_and_none_starves(url: str) -> None:
    repo_id = make_repo(url)
    shares = run_writers(url, repo_id, processes=3, threads=2, run_s=2.0)
    entries = read_log(url, repo_id)
    # One line of history: each update starts from what the one before it left.
    assert [entry.old_oid for entry in entries] == [None, *(entry.new_oid for entry in entries[:-1])]
    assert [entry.refs_version for entry in entries] == list(range(1, len(entries) + 1))
    acknowledged = [value for share in shares for value in share.values]
    assert sorted(acknowledged) == sorted(str(entry.new_oid) for entry in entries)
    counts = sorted(len(share.values) for share in shares)
    assert counts[0] * 20 > sum(counts) / len(counts), f"one writer waited while the others ran: {counts}"


def test_acknowledged_updates_survive_sigkill(url: str) -> None:
    repo_id = make_repo(url)
    receiver, sender = SPAWN.Pipe(duplex=False)
    writer = SPAWN.Process(target=write_and_tell, args=(url, repo_id, sender))
    writer.start()
    sender.close()
    acknowledged = [receiver.recv() for _ in range(100)]
    writer.kill()
    writer.join(JOIN_MAX_S)
    with contextlib.suppress(EOFError, OSError):
        while True:
            acknowledged.append(receiver.recv())
    receiver.close()
    logged = [entry.new_oid for entry in read_log(url, repo_id)]
    assert logged[: len(acknowledged)] == acknowledged
    assert len(logged) <= len(acknowledged) + 1
    database = open_database(url)
    assert move_on(database, repo_id)
    database.close()


def test_a_deleted_repository_accepts_no_update_of_a_racing_writer(database: Database, org: Org) -> None:
    for count in range(10):
        name = f"short-lived-{count}"
        repo_id = add_repo(database, org.id, name)
        refused = threading.Event()

        def write(repo_id: RepoKey = repo_id, refused: threading.Event = refused) -> None:
            try:
                while True:
                    move_on(database, repo_id)
            except RepoNotFound:
                refused.set()

        writer = threading.Thread(target=write)
        writer.start()
        time.sleep(0.01)
        with database.write() as session:
            assert mark_repo_deleted(session, org.id, name, state=5, now=500) is not None
            repo = find_repo_by_id(session, repo_id)
        writer.join(JOIN_MAX_S)
        assert refused.is_set()
        with database.read() as session:
            after = find_repo_by_id(session, repo_id)
            last = list_ref_log(session, repo_id, limit=1)
        assert after == repo
        assert repo is not None
        assert all(entry.refs_version < repo.refs_version for entry in last)


def test_the_default_branch_always_exists_when_its_change_and_a_deletion_race(
    database: Database, repo_id: RepoKey
) -> None:
    def become_default(branch: str) -> None:
        def change(session: Session) -> None:
            set_default_branch(session, repo_id, branch, state=6)
            if get_ref(session, repo_id, PERSISTENT, RefName(HEADS + branch.encode())) is None:
                raise LookupError(branch)

        try:
            database.transact(change)
        except LookupError:
            return

    def delete(branch: str) -> None:
        try:
            apply(database, repo_id, branch_update(branch, None, None, any_old=True))
        except (DefaultBranchProtected, RefMissing):
            return

    apply(database, repo_id, branch_update("main", None, oid(1)))
    for _ in range(25):
        apply(database, repo_id, branch_update("other", None, oid(2), any_old=True))
        racers = [
            threading.Thread(target=become_default, args=("other",)),
            threading.Thread(target=delete, args=("other",)),
        ]
        for racer in racers:
            racer.start()
        for racer in racers:
            racer.join()
        with database.read() as session:
            repo = find_repo_by_id(session, repo_id)
            assert repo is not None
            head = RefName(HEADS + repo.default_branch.encode())
            assert get_ref(session, repo_id, PERSISTENT, head) is not None
        become_default("main")


def test_a_write_while_another_program_locks_sqlite_ends_with_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("packhouse.db.engines.sqlite_connection._PRAGMAS", ("PRAGMA busy_timeout = 200",))
    path = tmp_path / "packhouse.db"
    database = open_database(f"sqlite:///{path}")
    database.migrate()
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(DatabaseAway), database.write() as session:
        insert_org(session, name="waiting", now=1)
    other.execute("ROLLBACK")
    other.close()
    with database.write() as session:
        insert_org(session, name="waiting", now=1)
    database.close()
