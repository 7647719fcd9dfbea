"""Flushing: the stored pack takes the place of exactly its rows, whatever happens meanwhile."""

from dataclasses import replace

import pytest

from packhouse.auth.principal import Principal
from packhouse.db.journal import JournalRowsGone, JournalSize
from packhouse.db.maintenance import LeaseLost
from packhouse.db.packs import list_packs
from packhouse.db.repos import Repo, find_repo_by_public_id
from packhouse.git.oid import Oid
from packhouse.git.packs.join import join_packs
from packhouse.node.node import Node
from packhouse.operations.packs.clean_repo import CleanRepo, clean_repo
from packhouse.operations.repos.delete_repo import DeleteRepo, delete_repo
from packhouse.operations.repos.undelete_repo import UndeleteRepo, undelete_repo
from packhouse.repository.journal import hold_journal
from packhouse.repository.upkeep import flush as flush_module
from packhouse.repository.upkeep.flush import flush_journal
from packhouse.repository.upkeep.lease import hold_lease
from packhouse.repository.upkeep.maintain import Maintained, flush_repo, maintain
from packhouse.repository.upkeep.relieve import relieve_journal
from packhouse.repository.view import RepoView
from tests.support.builders.node_writes import journal_packs, pack_states, put_commit
from tests.support.builders.rows import ask
from tests.support.builders.upkeep import flush

pytestmark = pytest.mark.quick


def put(node: Node, caller: Principal, repo: Repo, count: int) -> list[Oid]:
    return [put_commit(node, caller, repo, message=b"%d\n" % number) for number in range(count)]


def read_all(node: Node, repo: Repo, commits: list[Oid]) -> None:
    with RepoView(replace(node), repo) as view:
        assert [view.read(commit)[0] for commit in commits] == ["commit"] * len(commits)


def counters(node: Node, repo: Repo) -> JournalSize:
    """Return the size that the repository counts, and check it against the rows."""
    ((rows, size_bytes),) = ask(
        node.database, f"SELECT journal_rows, journal_bytes FROM repos WHERE id = {repo.id}"
    )
    with node.database.read() as session:
        listed = list_packs(session, repo.id, even_deleted=True)
    assert listed is not None
    size = JournalSize.of(row.pack for row in listed.journal)
    assert (rows, size_bytes) == (size.rows, size.size_bytes)
    return size


def test_a_flush_makes_one_stored_pack_of_all_rows(node: Node, caller: Principal, repo: Repo) -> None:
    commits = put(node, caller, repo, 5)
    before = counters(node, repo)
    flushed = flush_repo(node, repo.public_id)
    assert flushed == before
    assert list(pack_states(node, repo).values()) == ["live"]
    assert counters(node, repo) == JournalSize(0, 0)
    read_all(node, repo, commits)
    assert flush(node, repo.public_id) == 0
    assert len(pack_states(node, repo)) == 1


def test_a_flush_changes_both_versions_and_keeps_the_generation(
    node: Node, caller: Principal, repo: Repo
) -> None:
    put(node, caller, repo, 1)
    lists = []
    for _ in range(2):
        with node.database.read() as session:
            lists.append(list_packs(session, repo.id))
        flush(node, repo.public_id)
    before, after = lists
    assert before is not None and after is not None
    assert after.version == before.version + 1
    assert after.refs_version == before.refs_version + 1
    assert (after.state, after.refs_state) != (before.state, before.refs_state)
    assert after.generation == before.generation, "a pack was added and none has gone"


def test_upkeep_flushes_a_full_journal_and_no_other(node: Node, caller: Principal, repo: Repo) -> None:
    few = replace(node, limits=replace(node.limits, journal_rows_before_flush=3))
    put(few, caller, repo, 2)
    assert maintain(few, repo.public_id) == Maintained(0, 0)
    put(few, caller, repo, 1)
    assert maintain(few, repo.public_id) == Maintained(3, 0)


def test_a_full_journal_asks_for_upkeep(node: Node, caller: Principal, repo: Repo) -> None:
    few = replace(node, limits=replace(node.limits, journal_rows_before_flush=3))
    put(few, caller, repo, 2)
    assert few.maintenance.get(timeout_s=0) is None
    put(few, caller, repo, 1)
    assert few.maintenance.get(timeout_s=0) == repo.public_id


def test_rows_that_come_during_a_flush_stay(
    node: Node, caller: Principal, repo: Repo, monkeypatch: pytest.MonkeyPatch
) -> None:
    commits = put(node, caller, repo, 2)
    real = join_packs

    def write_meanwhile(*args: object) -> None:
        commits.append(put_commit(node, caller, repo, message=b"late\n"))
        real(*args)  # type: ignore[arg-type]  # what it was called with

    monkeypatch.setattr(flush_module, "join_packs", write_meanwhile)
    assert flush(node, repo.public_id) == 2
    assert counters(node, repo).rows == 1
    read_all(node, repo, commits)


def test_of_two_flushes_at_once_one_writes_nothing(
    node: Node, caller: Principal, repo: Repo, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first one was asleep for so long that its lease had ended."""
    commits = put(node, caller, repo, 2)
    real, other = join_packs, replace(node)
    later = node.clock() + node.limits.maintenance_lease_s + 1

    def flush_meanwhile(*args: object) -> None:
        monkeypatch.setattr(flush_module, "join_packs", real)
        other.clock = lambda: later
        assert flush(other, repo.public_id) == 2
        real(*args)  # type: ignore[arg-type]  # what it was called with

    monkeypatch.setattr(flush_module, "join_packs", flush_meanwhile)
    with pytest.raises(LeaseLost):
        flush(node, repo.public_id)
    assert list(pack_states(node, repo).values()) == ["live"], "the pack of the late one is deleted"
    read_all(node, repo, commits)


def test_rows_that_are_gone_end_the_flush_without_a_trace(node: Node, caller: Principal, repo: Repo) -> None:
    put(node, caller, repo, 2)
    names = journal_packs(node, repo)
    with hold_lease(node, repo) as lease:
        assert lease is not None

        def lose_a_row(*args: object) -> object:
            answer = hold_journal(*args)  # type: ignore[arg-type]  # what it was called with
            with node.database.write() as session:
                session.define(f"DELETE FROM journal WHERE name = '{names[0]}'")
            return answer

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(flush_module, "hold_journal", lose_a_row)
            with pytest.raises(JournalRowsGone):
                flush_journal(node, lease)
    assert journal_packs(node, repo) == names[1:]
    assert pack_states(node, repo) == {}


def test_a_repository_that_another_process_maintains_is_left_to_it(
    node: Node, caller: Principal, repo: Repo
) -> None:
    put(node, caller, repo, 2)
    with hold_lease(node, repo) as lease:
        assert lease is not None
        assert flush_repo(node, repo.public_id) is None
        assert maintain(node, repo.public_id) is None
    assert flush(node, repo.public_id) == 2


def test_the_lease_of_a_dead_process_ends_by_itself(node: Node, repo: Repo) -> None:
    started = node.clock()
    dead = hold_lease(node, repo)
    dead.__enter__()  # its process is killed, so the block is never left
    node.clock = lambda: started + node.limits.maintenance_lease_s
    with hold_lease(node, repo) as lease:
        assert lease is None
    node.clock = lambda: started + node.limits.maintenance_lease_s + 1
    with hold_lease(node, repo) as lease:
        assert lease is not None


def test_long_work_keeps_its_lease(node: Node, repo: Repo) -> None:
    node = replace(node, limits=replace(node.limits, maintenance_lease_s=0))
    moment = node.clock()
    node.clock = lambda: moment
    with hold_lease(node, repo) as lease:
        assert lease is not None
        moment += 100
        with lease.extended(), node.database.write() as session:
            lease.check(session)
        with node.database.write() as session:
            lease.check(session)


def test_a_deleted_repository_is_flushed_and_can_be_brought_back(
    node: Node, caller: Principal, repo: Repo
) -> None:
    commits = put(node, caller, repo, 2)
    delete_repo(node, caller, DeleteRepo("shop"))
    assert flush(node, repo.public_id) == 2
    assert counters(node, repo) == JournalSize(0, 0)
    undelete_repo(node, caller, UndeleteRepo("shop"))
    with node.database.read() as session:
        back = find_repo_by_public_id(session, repo.public_id)
    assert back is not None
    read_all(node, back, commits)


def test_a_repository_that_is_cleaned_up_is_not_flushed(node: Node, caller: Principal, repo: Repo) -> None:
    put(node, caller, repo, 2)
    delete_repo(node, caller, DeleteRepo("shop"))
    assert clean_repo(node, CleanRepo(repo.public_id))
    assert flush(node, repo.public_id) == 0
    assert counters(node, repo) == JournalSize(0, 0)
    assert pack_states(node, repo) == {}


# The bound of the whole journal


def test_the_journal_is_relieved_only_above_half_of_its_bound(
    node: Node, caller: Principal, repo: Repo
) -> None:
    put(node, caller, repo, 3)
    total = counters(node, repo).size_bytes
    roomy = replace(node, config=replace(node.config, journal_max_bytes=2 * total))
    assert relieve_journal(roomy, lambda: False) == 0
    assert roomy.journal.total_bytes == total
    tight = replace(node, config=replace(node.config, journal_max_bytes=2 * total - 2))
    assert relieve_journal(tight, lambda: True) == 0, "it stops when it is asked to"
    assert relieve_journal(tight, lambda: False) == 3
    assert tight.journal.total_bytes == 0


def test_relief_of_a_damaged_journal_ends(node: Node, caller: Principal, repo: Repo) -> None:
    put(node, caller, repo, 1)
    with node.database.write() as session:
        session.define("UPDATE journal SET pack = x'00'")
    tight = replace(node, config=replace(node.config, journal_max_bytes=2))
    assert relieve_journal(tight, lambda: False) == 0
