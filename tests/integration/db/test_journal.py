"""Rows of the journal: written with the refs, listed with the packs, and dropped all at once."""

from collections.abc import Sequence

import pytest

from packhouse.db.engines.database import Database
from packhouse.db.journal import (
    JournalRowsGone,
    JournalSize,
    drop_flushed_rows,
    list_journal_packs,
    list_journals,
    list_repos_with_journal,
    measure_journal,
)
from packhouse.db.orgs import Org
from packhouse.db.packs import JournalRow, PackList, is_current, list_packs, make_packs_live, replace_packs
from packhouse.db.ref_transaction import RefMismatch, apply_ref_updates
from packhouse.db.repos import find_repo_by_id, mark_repo_deleted, undelete_repo_row
from packhouse.git.packs.memory_pack import MemoryPack
from packhouse.git.packs.pack import Pack
from packhouse.ids import RepoKey
from tests.support.builders.rows import add_repo, apply, ask, branch_update, note_pack, oid
from tests.support.builders.small_packs import small_pack

A, B = oid("a"), oid("b")


def write_rows(database: Database, repo_id: RepoKey, *packs: MemoryPack, state: int = 1) -> None:
    apply(database, repo_id, small_packs=packs, state=state)


def listed(database: Database, repo_id: RepoKey) -> PackList:
    with database.read() as session:
        found = list_packs(session, repo_id)
    assert found is not None
    return found


def counters(database: Database, repo_id: RepoKey) -> tuple[object, ...]:
    """Return how many rows and bytes the row of the repository counts."""
    (row,) = ask(database, f"SELECT journal_rows, journal_bytes FROM repos WHERE id = {repo_id}")
    return row


def sum_of(*packs: MemoryPack) -> int:
    return sum(pack.pack.size_bytes for pack in packs)


def drop(database: Database, repo_id: RepoKey, rows: Sequence[JournalRow], *, state: int = 70) -> bool:
    with database.write() as session:
        return drop_flushed_rows(session, repo_id, rows, state=state)


def flush(database: Database, repo_id: RepoKey, rows: Sequence[JournalRow], joined: Pack) -> None:
    """List a stored pack in the place of the rows."""
    with database.write() as session:
        make_packs_live(session, repo_id, [joined], now=200)
        assert drop_flushed_rows(session, repo_id, rows, state=70)


def names(rows: Sequence[JournalRow]) -> list[str]:
    return [row.pack.name.rstrip("0") for row in rows]


def test_rows_are_listed_in_the_order_in_which_they_came_after_the_live_packs(
    database: Database, org: Org, repo_id: RepoKey
) -> None:
    other_id = add_repo(database, org.id)
    write_rows(database, repo_id, small_pack("f1", b"1"), small_pack("e2", b"2"))
    write_rows(database, other_id, small_pack("d3", b"3"))
    stored = note_pack(database, repo_id, "stored", now=900)
    apply(database, repo_id, packs=[stored])
    write_rows(database, repo_id, small_pack("a4", b"4"))
    found = listed(database, repo_id)
    assert found.packs == (stored,)
    assert names(found.journal) == ["f1", "e2", "a4"]
    ids = [row.id for row in found.journal]
    assert ids == sorted(ids)
    assert names(listed(database, other_id).journal) == ["d3"]
    assert not found.is_empty
    assert listed(database, add_repo(database, org.id)).is_empty


def test_a_row_has_the_bytes_size_and_count_of_its_pack(database: Database, repo_id: RepoKey) -> None:
    packs = [small_pack("a", bytes(range(256)), b""), small_pack("b", b"\0\n'" * 5000)]
    write_rows(database, repo_id, *packs)
    rows = listed(database, repo_id).journal
    assert [row.pack for row in rows] == [pack.pack for pack in packs]
    with database.read() as session:
        read = list_journal_packs(session, repo_id, first=rows[0].id, last=rows[-1].id)
        one = list_journal_packs(session, repo_id, first=rows[1].id, last=rows[1].id)
    assert read == [(row.id, pack.pack.name, pack.data) for row, pack in zip(rows, packs, strict=True)]
    assert one == read[1:]


def test_packs_of_other_repositories_are_not_read(database: Database, org: Org, repo_id: RepoKey) -> None:
    other_id = add_repo(database, org.id)
    for number in range(3):
        write_rows(database, repo_id, small_pack(f"a{number}", b"a%d" % number))
        write_rows(database, other_id, small_pack(f"b{number}", b"b%d" % number))
    with database.read() as session:
        read = list_journal_packs(session, repo_id, first=0, last=2**40)
    assert [name.rstrip("0") for _id, name, _data in read] == ["a", "a1", "a2"]


def test_a_refused_update_leaves_no_row(database: Database, repo_id: RepoKey) -> None:
    apply(database, repo_id, branch_update("main", None, A), small_packs=[small_pack("a", b"a")])
    before = listed(database, repo_id)
    with pytest.raises(RefMismatch):
        apply(database, repo_id, branch_update("main", B, A), small_packs=[small_pack("b", b"b")])
    assert listed(database, repo_id) == before
    assert counters(database, repo_id) == (1, before.journal[0].pack.size_bytes)
    with database.read() as session:
        assert measure_journal(session).rows == 1


def test_a_new_row_changes_the_version_of_the_refs_and_not_that_of_the_stored_packs(
    database: Database, repo_id: RepoKey
) -> None:
    before = listed(database, repo_id)
    write_rows(database, repo_id, small_pack("a", b"a"), state=50)
    after = listed(database, repo_id)
    assert (after.version, after.state, after.generation) == (before.version, before.state, before.generation)
    assert (after.refs_version, after.refs_state) == (before.refs_version + 1, 50)
    with database.read() as session:
        assert is_current(session, repo_id, after)
        assert not is_current(session, repo_id, before)


def test_the_repository_counts_its_rows_and_the_transaction_returns_them(
    database: Database, org: Org, repo_id: RepoKey
) -> None:
    write_rows(database, add_repo(database, org.id), small_pack("other", b"other"))
    first, second, third = (small_pack(name, name.encode() * 9) for name in ("a", "b", "c"))
    write_rows(database, repo_id, first)
    applied = database.transact(
        lambda session: apply_ref_updates(
            session, repo_id, [], actor="", action="", state=1, now=200, small_packs=[second, third]
        )
    )
    assert applied.journal == JournalSize(3, sum_of(first, second, third))
    assert counters(database, repo_id) == (3, sum_of(first, second, third))
    rows = listed(database, repo_id).journal
    assert drop(database, repo_id, rows[:2])
    assert counters(database, repo_id) == (1, sum_of(third))


def test_a_flush_lists_the_pack_and_drops_exactly_its_rows(database: Database, repo_id: RepoKey) -> None:
    write_rows(database, repo_id, *(small_pack(name, name.encode()) for name in ("a", "b", "c")))
    before = listed(database, repo_id)
    joined = note_pack(database, repo_id, "joined")
    flush(database, repo_id, [before.journal[0], before.journal[2]], joined)
    after = listed(database, repo_id)
    assert after.packs == (joined,)
    assert names(after.journal) == ["b"]
    assert (after.version, after.state) == (before.version + 1, 70)
    assert (after.refs_version, after.refs_state) == (before.refs_version + 1, 70)
    assert after.generation == before.generation, "a pack was added, and none is gone"


def test_if_one_row_is_gone_none_is_dropped(database: Database, org: Org, repo_id: RepoKey) -> None:
    """A row of another name or another repository is not the row that was flushed, whatever its id."""
    write_rows(database, repo_id, *(small_pack(name, name.encode()) for name in ("a", "b", "c")))
    other_id = add_repo(database, org.id)
    write_rows(database, other_id, small_pack("d", b"d"))
    rows, (other,) = listed(database, repo_id).journal, listed(database, other_id).journal
    joined = note_pack(database, repo_id, "joined")
    assert drop(database, repo_id, rows[:1])
    before = listed(database, repo_id), counters(database, repo_id)
    for wrong in (rows[0], JournalRow(rows[1].id, rows[2].pack), other):
        with pytest.raises(JournalRowsGone):
            flush(database, repo_id, [rows[2], wrong], joined)
        assert (listed(database, repo_id), counters(database, repo_id)) == before
    assert listed(database, other_id).journal == (other,)


def test_a_deleted_repository_keeps_its_rows_and_can_be_flushed(database: Database, org: Org) -> None:
    repo_id = add_repo(database, org.id, "r")
    write_rows(database, repo_id, small_pack("a", b"a"), small_pack("b", b"b"))
    with database.write() as session:
        mark_repo_deleted(session, org.id, "r", state=5, now=200)
        assert list_packs(session, repo_id) is None
        found = list_packs(session, repo_id, even_deleted=True)
        assert [known for known, _ in list_repos_with_journal(session, rows_min=1, after=0, limit=9)] == [
            repo_id
        ]
    assert found is not None
    assert drop(database, repo_id, found.journal[:1])
    with database.write() as session:
        undelete_repo_row(session, org.id, "r", state=6)
    assert names(listed(database, repo_id).journal) == ["b"]


def test_no_rows_are_dropped_of_a_repository_that_is_cleaned_up(database: Database, org: Org) -> None:
    repo_id = add_repo(database, org.id, "r")
    write_rows(database, repo_id, small_pack("a", b"a"))
    rows = listed(database, repo_id).journal
    with database.write() as session:
        mark_repo_deleted(session, org.id, "r", state=5, now=200)
        session.define(f"UPDATE repos SET cleaning_at = 300 WHERE id = {repo_id}")
        assert list_repos_with_journal(session, rows_min=1, after=0, limit=9) == []
        assert list_journals(session, rows_min=1, bytes_min=1, limit=9) == []
    assert not drop(database, repo_id, rows)
    assert not drop(database, RepoKey(2**31 - 1), [])
    assert counters(database, repo_id)[0] == 1


def test_the_whole_journal_is_measured(database: Database, org: Org, repo_id: RepoKey) -> None:
    with database.read() as session:
        assert measure_journal(session) == JournalSize(0, 0)
    packs = [small_pack("a", b"a"), small_pack("b", b"b" * 1000), small_pack("c", b"c" * 9)]
    write_rows(database, repo_id, *packs[:2])
    write_rows(database, add_repo(database, org.id), packs[2])
    with database.read() as session:
        assert measure_journal(session) == JournalSize(3, sum_of(*packs))


def test_journals_are_listed_largest_first_and_of_equal_ones_the_oldest(database: Database, org: Org) -> None:
    younger, older, large, small = (add_repo(database, org.id) for _ in range(4))
    for repo_id, content in ((older, b"same"), (younger, b"same"), (large, bytes(range(200))), (small, b"")):
        write_rows(database, repo_id, small_pack(f"a{repo_id}", content))
    write_rows(database, small, small_pack("more", b""))
    sizes = {repo_id: JournalSize(*counters(database, repo_id)) for repo_id in (younger, older, large, small)}  # type: ignore[arg-type]  # two integers
    expected = sorted((large, older, younger, small), key=lambda repo_id: -sizes[repo_id].size_bytes)
    with database.read() as session:
        found = list_journals(session, rows_min=1, bytes_min=1, limit=9)
        assert [journal.repo_id for journal in found] == expected
        assert [journal.size for journal in found] == [sizes[repo_id] for repo_id in expected]
        repo = find_repo_by_id(session, expected[0])
        assert repo is not None
        assert found[0].public_id == repo.public_id
        assert list_journals(session, rows_min=1, bytes_min=1, limit=2) == found[:2]
        enough = sizes[large].size_bytes
        many_or_large = list_journals(session, rows_min=2, bytes_min=enough, limit=9)
    assert {journal.repo_id for journal in many_or_large} == {large, small}


def test_repositories_with_a_journal_are_listed_in_pages_by_id(database: Database, org: Org) -> None:
    ids = [add_repo(database, org.id) for _ in range(5)]
    for repo_id in (ids[3], ids[0], ids[4]):
        write_rows(database, repo_id, small_pack(f"a{repo_id}", b"a"), small_pack(f"b{repo_id}", b"b"))
    write_rows(database, ids[2], small_pack("one", b"one"))
    with database.read() as session:
        first = list_repos_with_journal(session, rows_min=1, after=0, limit=3)
        rest = list_repos_with_journal(session, rows_min=1, after=first[-1][0], limit=3)
        full = list_repos_with_journal(session, rows_min=2, after=0, limit=9)
    assert [repo_id for repo_id, _ in first] == [ids[0], ids[2], ids[3]]
    assert [repo_id for repo_id, _ in rest] == [ids[4]]
    assert [repo_id for repo_id, _ in full] == [ids[0], ids[3], ids[4]]


def test_replacing_stored_packs_leaves_the_journal_alone(database: Database, repo_id: RepoKey) -> None:
    one = note_pack(database, repo_id, 1)
    apply(database, repo_id, packs=[one], small_packs=[small_pack("a", b"a")])
    joined = note_pack(database, repo_id, 2)
    before = counters(database, repo_id)
    with database.write() as session:
        assert replace_packs(session, repo_id, old=[one.name], new=[joined], state=70, now=300)
    after = listed(database, repo_id)
    assert (after.packs, names(after.journal)) == ((joined,), ["a"])
    assert counters(database, repo_id) == before
