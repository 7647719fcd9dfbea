"""The states of a stored pack: each changes only to the next one, and the versions of the list show each change."""

import re
import sqlite3
import threading
from dataclasses import dataclass

import psycopg
import pytest

from packhouse.db.engines.database import Database
from packhouse.db.orgs import Org
from packhouse.db.packs import (
    PackList,
    PackNotIncoming,
    PackState,
    PassingPack,
    adopt_packs,
    delete_pack_rows,
    find_pack_state,
    insert_incoming_pack,
    list_known_packs,
    list_packs,
    list_passing_packs,
    list_repos_to_adopt,
    replace_packs,
    start_deleting,
    start_deleting_all,
)
from packhouse.db.refs import list_ref_log, list_refs
from packhouse.db.repos import (
    find_repo_by_id,
    insert_unborn_repo,
    mark_repo_deleted,
    set_default_branch,
    undelete_repo_row,
)
from packhouse.db.session import QUERIES
from packhouse.git.packs.pack import Pack
from packhouse.ids import RepoId, RepoKey
from tests.support.builders.rows import add_repo, apply, branch_update, note_pack, oid

A, B, C = oid("a"), oid("b"), oid("c")


@dataclass(frozen=True)
class Versions:
    """The versions and states of refs and packs in the row of a repository."""

    refs: tuple[int, int]
    packs: tuple[int, int]
    generation: int


def versions(database: Database, repo_id: RepoKey) -> Versions:
    with database.snapshot() as session:
        repo, listed = find_repo_by_id(session, repo_id), list_packs(session, repo_id)
    assert repo is not None
    assert listed is not None
    assert (listed.version, listed.state) == (repo.packs_version, repo.packs_state)
    return Versions(
        (repo.refs_version, repo.refs_state), (repo.packs_version, repo.packs_state), listed.generation
    )


def live(database: Database, repo_id: RepoKey) -> PackList:
    with database.read() as session:
        listed = list_packs(session, repo_id)
    assert listed is not None
    return listed


def state_of(database: Database, repo_id: RepoKey, pack: Pack) -> PackState | None:
    with database.read() as session:
        return find_pack_state(session, repo_id, pack.name)


def replace(
    database: Database, repo_id: RepoKey, old: list[Pack], new: list[Pack], *, state: int = 70, now: int = 300
) -> bool:
    with database.write() as session:
        return replace_packs(
            session,
            repo_id,
            old=[pack.name for pack in old],
            new=new,
            state=state,
            now=now,
        )


def passing(database: Database, state: PackState, before: int, limit: int = 100) -> list[PassingPack]:
    with database.read() as session:
        return list_passing_packs(session, state, before=before, limit=limit)


def start(
    database: Database, packs: list[PassingPack], state: PackState, *, before: int, now: int = 900
) -> None:
    with database.write() as session:
        start_deleting(session, packs, state, before=before, now=now)


def as_passing(database: Database, repo_id: RepoKey, pack: Pack) -> PassingPack:
    with database.read() as session:
        repo = find_repo_by_id(session, repo_id)
    assert repo is not None
    return PassingPack(repo_id, repo.public_id, pack.name)


def delete_rows(database: Database, repo_id: RepoKey, *packs: Pack) -> int:
    with database.write() as session:
        return delete_pack_rows(session, repo_id, [pack.name for pack in packs])


def make_live(database: Database, repo_id: RepoKey, *seeds: object, now: int = 150) -> list[Pack]:
    packs = [note_pack(database, repo_id, seed, now=now) for seed in seeds]
    apply(database, repo_id, packs=packs, now=now)
    return packs


def test_an_incoming_pack_is_known_and_not_listed(database: Database, repo_id: RepoKey) -> None:
    pack = note_pack(database, repo_id, 1)
    assert live(database, repo_id).packs == ()
    with database.read() as session:
        assert list_known_packs(session, repo_id) == {pack.name: PackState.INCOMING}


def test_a_pack_name_is_used_once(database: Database, repo_id: RepoKey) -> None:
    pack = note_pack(database, repo_id, 1)
    for step in ("incoming", "live", "retired", "deleting"):
        assert state_of(database, repo_id, pack) == step
        with (
            pytest.raises((sqlite3.IntegrityError, psycopg.errors.UniqueViolation)),
            database.write() as session,
        ):
            insert_incoming_pack(session, repo_id, pack, now=160)
        if step == "incoming":
            apply(database, repo_id, packs=[pack])
        elif step == "live":
            replace(database, repo_id, [pack], [])
        elif step == "retired":
            start(database, passing(database, PackState.RETIRED, 300), PackState.RETIRED, before=300)


def test_live_packs_are_listed_oldest_first(database: Database, repo_id: RepoKey) -> None:
    late = note_pack(database, repo_id, "late", now=30)
    early = [note_pack(database, repo_id, seed, now=20) for seed in range(3)]
    apply(database, repo_id, packs=[late, *early])
    by_name = tuple(sorted(early, key=lambda pack: pack.name))
    assert live(database, repo_id).packs == (*by_name, late)


@pytest.mark.parametrize("state", ["unknown", "live", "retired", "deleting"])
def test_a_pack_becomes_live_only_from_incoming_or_the_refs_do_not_move(
    database: Database, repo_id: RepoKey, state: str
) -> None:
    fine, pack = note_pack(database, repo_id, "fine"), Pack(oid("other"), 1, 1)
    if state != "unknown":
        pack = note_pack(database, repo_id, "other")
    if state in ("live", "retired"):
        apply(database, repo_id, packs=[pack])
    if state == "retired":
        replace(database, repo_id, [pack], [])
    if state == "deleting":
        start(database, passing(database, PackState.INCOMING, 150), PackState.INCOMING, before=150)
        fine = note_pack(database, repo_id, "fine too")
    apply(database, repo_id, branch_update("main", None, A))
    before = versions(database, repo_id)
    with pytest.raises(PackNotIncoming) as refusal:
        apply(
            database,
            repo_id,
            branch_update("main", A, B),
            branch_update("new", None, B),
            atomic=False,
            state=50,
            packs=[fine, pack],
        )
    assert refusal.value.pack == pack.name
    assert versions(database, repo_id) == before
    assert state_of(database, repo_id, fine) is PackState.INCOMING
    assert state_of(database, repo_id, pack) == (None if state == "unknown" else state)
    with database.read() as session:
        assert [(ref.refname, ref.oid) for ref in list_refs(session, repo_id)] == [(b"refs/heads/main", A)]
        assert [entry.new_oid for entry in list_ref_log(session, repo_id, limit=10)] == [A]


def test_a_pack_of_another_repository_is_not_listed(database: Database, org: Org, repo_id: RepoKey) -> None:
    pack = note_pack(database, add_repo(database, org.id), 1)
    with pytest.raises(PackNotIncoming):
        apply(database, repo_id, packs=[pack])
    assert live(database, repo_id).packs == ()


def test_only_one_of_a_writer_and_a_sweeper_gets_the_pack(database: Database, repo_id: RepoKey) -> None:
    for number in range(20):
        pack = note_pack(database, repo_id, number, now=100)
        refused = threading.Event()

        def write(name: str = f"b{number}", pack: Pack = pack, refused: threading.Event = refused) -> None:
            try:
                apply(database, repo_id, branch_update(name, None, A), packs=[pack])
            except PackNotIncoming:
                refused.set()

        writer = threading.Thread(target=write)
        writer.start()
        start(database, [as_passing(database, repo_id, pack)], PackState.INCOMING, before=100)
        writer.join()
        state = state_of(database, repo_id, pack)
        assert state is (PackState.DELETING if refused.is_set() else PackState.LIVE)
        with database.read() as session:
            moved = {ref.refname for ref in list_refs(session, repo_id)}
        assert (f"refs/heads/b{number}".encode() in moved) is (state is PackState.LIVE)


def test_a_replacement_lists_the_new_packs_and_retires_the_old_ones_at_once(
    database: Database, repo_id: RepoKey
) -> None:
    one, two, three = make_live(database, repo_id, 1, 2, 3)
    joined = note_pack(database, repo_id, "joined", now=160)
    assert replace(database, repo_id, [one, two], [joined], now=170)
    assert live(database, repo_id).packs == (three, joined)
    assert {state_of(database, repo_id, pack) for pack in (one, two)} == {PackState.RETIRED}


def test_a_replacement_by_a_pack_that_is_being_deleted_retires_nothing(
    database: Database, repo_id: RepoKey
) -> None:
    one, two = make_live(database, repo_id, 1, 2)
    joined = note_pack(database, repo_id, "joined", now=160)
    start(database, passing(database, PackState.INCOMING, 160), PackState.INCOMING, before=160)
    before = versions(database, repo_id)
    with pytest.raises(PackNotIncoming):
        replace(database, repo_id, [one, two], [joined])
    assert set(live(database, repo_id).packs) == {one, two}
    assert versions(database, repo_id) == before


def test_nothing_is_replaced_in_a_repository_that_is_gone(database: Database, org: Org) -> None:
    repo_id = add_repo(database, org.id, "r")
    (one,) = make_live(database, repo_id, 1)
    joined = note_pack(database, repo_id, "joined")
    with database.write() as session:
        mark_repo_deleted(session, org.id, "r", state=5, now=200)
    assert not replace(database, repo_id, [one], [joined])
    with database.read() as session:
        assert list_packs(session, repo_id) is None
        known = list_known_packs(session, repo_id)
    assert known == {one.name: PackState.LIVE, joined.name: PackState.INCOMING}
    assert not replace(database, RepoKey(2**31 - 1), [], [])


def test_only_a_live_pack_retires(database: Database, repo_id: RepoKey) -> None:
    going, incoming = note_pack(database, repo_id, 2, now=100), note_pack(database, repo_id, 1, now=200)
    start(database, passing(database, PackState.INCOMING, 100), PackState.INCOMING, before=100)
    assert replace(database, repo_id, [incoming, going], [])
    assert state_of(database, repo_id, incoming) is PackState.INCOMING
    assert state_of(database, repo_id, going) is PackState.DELETING


def test_a_row_goes_only_while_the_pack_is_being_deleted(database: Database, repo_id: RepoKey) -> None:
    pack = note_pack(database, repo_id, 1)
    assert delete_rows(database, repo_id, pack) == 0
    apply(database, repo_id, packs=[pack])
    assert delete_rows(database, repo_id, pack) == 0
    replace(database, repo_id, [pack], [], now=300)
    assert delete_rows(database, repo_id, pack) == 0
    start(database, passing(database, PackState.RETIRED, 300), PackState.RETIRED, before=300)
    assert delete_rows(database, repo_id, pack, Pack(oid("never"), 1, 1)) == 1
    assert delete_rows(database, repo_id, pack) == 0  # somebody else's turn to do it again
    assert state_of(database, repo_id, pack) is None


def test_passing_packs_are_found_by_the_age_of_their_state(database: Database, repo_id: RepoKey) -> None:
    pack = note_pack(database, repo_id, 1, now=100)
    one = as_passing(database, repo_id, pack)
    assert passing(database, PackState.INCOMING, 99) == []
    assert passing(database, PackState.INCOMING, 100) == [one]
    assert passing(database, PackState.RETIRED, 10**6) == []
    apply(database, repo_id, packs=[pack], now=200)
    for state in PackState:
        assert passing(database, state, 10**6) == []  # a live one is never among them
    replace(database, repo_id, [pack], [], now=300)
    assert passing(database, PackState.RETIRED, 299) == []
    assert passing(database, PackState.RETIRED, 300) == [one]
    start(database, [one], PackState.RETIRED, before=300, now=400)
    assert passing(database, PackState.RETIRED, 10**6) == []
    assert passing(database, PackState.DELETING, 399) == []
    assert passing(database, PackState.DELETING, 400) == [one]


def test_passing_packs_are_listed_in_pages_oldest_first(database: Database, org: Org) -> None:
    expected = []
    for now in (120, 110, 130):
        repo_id = add_repo(database, org.id)
        expected.append((now, as_passing(database, repo_id, note_pack(database, repo_id, now, now=now))))
    assert passing(database, PackState.INCOMING, 1000, limit=2) == [one for _, one in sorted(expected)[:2]]


def test_a_pack_whose_state_changed_since_it_was_listed_is_not_deleted(
    database: Database, repo_id: RepoKey
) -> None:
    pack = note_pack(database, repo_id, 1, now=100)
    (found,) = passing(database, PackState.INCOMING, 100)
    apply(database, repo_id, packs=[pack], now=200)
    start(database, [found], PackState.INCOMING, before=100)
    assert state_of(database, repo_id, pack) is PackState.LIVE
    replace(database, repo_id, [pack], [], now=300)
    start(database, [found], PackState.RETIRED, before=299)
    assert state_of(database, repo_id, pack) is PackState.RETIRED


def test_all_packs_of_a_deleted_repository_can_be_deleted(database: Database, org: Org) -> None:
    repo_id, other_id = add_repo(database, org.id, "r"), add_repo(database, org.id)
    one, two = make_live(database, repo_id, 1, 2, now=100)
    (kept,) = make_live(database, other_id, 1)
    replace(database, repo_id, [two], [], now=150)
    three = note_pack(database, repo_id, 3, now=160)
    with database.write() as session:
        mark_repo_deleted(session, org.id, "r", state=5, now=200)
        start_deleting_all(session, repo_id, now=900)
    assert {p.name for p in passing(database, PackState.DELETING, 900)} == {one.name, two.name, three.name}
    with database.write() as session:
        start_deleting_all(session, repo_id, now=950)
    assert len(passing(database, PackState.DELETING, 900)) == 3  # the time is that of the first call
    assert state_of(database, other_id, kept) is PackState.LIVE


def test_refs_without_a_new_pack_do_not_change_the_version_of_the_packs(
    database: Database, repo_id: RepoKey
) -> None:
    make_live(database, repo_id, 1)
    before = versions(database, repo_id)
    apply(database, repo_id, branch_update("main", None, A), state=50)
    after = versions(database, repo_id)
    assert after == Versions((before.refs[0] + 1, 50), before.packs, before.generation)


def test_refs_with_new_packs_raise_the_version_of_the_packs_and_keep_the_generation(
    database: Database, repo_id: RepoKey
) -> None:
    apply(database, repo_id, branch_update("main", None, A), state=50)
    before = versions(database, repo_id)
    packs = [note_pack(database, repo_id, seed) for seed in (1, 2)]
    assert versions(database, repo_id) == before  # an incoming pack does not change the list
    apply(database, repo_id, branch_update("main", A, B), state=60, packs=packs)
    after = versions(database, repo_id)
    assert after.refs == (before.refs[0] + 1, 60)
    assert after.packs[0] > before.packs[0]
    assert after.packs[1] == 60
    assert after.generation == before.generation


def test_a_retirement_changes_the_generation_and_not_the_version_of_the_refs(
    database: Database, repo_id: RepoKey
) -> None:
    one, two = make_live(database, repo_id, 1, 2)
    joined = note_pack(database, repo_id, "joined")
    before = versions(database, repo_id)
    replace(database, repo_id, [one, two], [joined], state=70)
    assert versions(database, repo_id) == Versions(before.refs, (before.packs[0] + 1, 70), 70)
    before = versions(database, repo_id)
    start(database, passing(database, PackState.RETIRED, 300), PackState.RETIRED, before=300)
    assert delete_rows(database, repo_id, one, two) == 2
    assert versions(database, repo_id) == before  # the list of live packs is the same


def test_a_refused_transaction_changes_no_version(database: Database, repo_id: RepoKey) -> None:
    apply(database, repo_id, branch_update("main", None, A), state=50)
    before = versions(database, repo_id)
    with pytest.raises(Exception, match="ref has moved"):
        apply(
            database,
            repo_id,
            branch_update("main", B, C),
            state=60,
            packs=[note_pack(database, repo_id, 1)],
        )
    assert versions(database, repo_id) == before


def test_every_version_of_the_refs_has_a_state_of_its_own(database: Database, org: Org) -> None:
    repo_id = add_repo(database, org.id, "r")
    apply(database, repo_id, branch_update("main", None, A), state=11)
    seen = [versions(database, repo_id).refs]
    with database.write() as session:
        set_default_branch(session, repo_id, "trunk", state=12)
    seen.append(versions(database, repo_id).refs)
    with database.write() as session:
        assert mark_repo_deleted(session, org.id, "r", state=13, now=200) is not None
    with database.read() as session:
        gone = find_repo_by_id(session, repo_id)
    assert gone is not None
    seen.append((gone.refs_version, gone.refs_state))
    with database.write() as session:
        assert undelete_repo_row(session, org.id, "r", state=14) is not None
    seen.append(versions(database, repo_id).refs)
    assert seen == [(1, 11), (2, 12), (3, 13), (4, 14)]


def test_no_statement_raises_a_version_without_writing_its_state() -> None:
    assigned = re.compile(r"\b(refs|packs)_version = \1_version \+")
    counting = {
        (name, kind) for name, query in QUERIES.items() for kind in assigned.findall(_assignments(query))
    }
    assert len(counting) >= 6
    for name, kind in counting:
        assert f"{kind}_state = " in _assignments(QUERIES[name]), name


def _assignments(query: str) -> str:
    """Return the assignments of an UPDATE of repositories."""
    match = re.match(
        r"UPDATE repos\s+SET (.*?)\bWHERE id = |UPDATE repos\s+SET (.*?)\bWHERE ", query, re.DOTALL
    )
    return "" if match is None else match[1] or match[2]


def adopt(database: Database, repo_id: RepoKey, packs: list[Pack], *, state: int = 80) -> bool:
    with database.write() as session:
        return adopt_packs(session, repo_id, packs, state=state, now=400)


def forget_adoption(database: Database, *repo_ids: int) -> None:
    """Give rows of repositories the values that the migration gives to rows of the release before."""
    with database.write() as session:
        for repo_id in repo_ids:
            session.define(f"UPDATE repos SET adopted_at = NULL WHERE id = {repo_id}")


def to_adopt(database: Database, after: int = 0, limit: int = 100) -> list[int]:
    with database.read() as session:
        found = list_repos_to_adopt(session, after=after, limit=limit)
        for repo_id, public_id in found:
            repo = find_repo_by_id(session, repo_id)
            assert repo is not None
            assert repo.public_id == public_id
    return [repo_id for repo_id, _ in found]


def test_a_repository_made_by_this_release_has_nothing_to_adopt(database: Database, org: Org) -> None:
    repo_id = add_repo(database, org.id)
    with database.write() as session:
        insert_unborn_repo(session, public_id=RepoId("repo_unborn"), org_id=org.id, name="u", now=1)
    assert to_adopt(database) == []
    assert live(database, repo_id).is_adopted
    assert not adopt(database, repo_id, [Pack(oid(1), 1, 1)])
    assert live(database, repo_id).packs == ()


def test_repositories_to_adopt_are_listed_in_pages_and_leave_the_list_once_adopted(
    database: Database, org: Org
) -> None:
    repo_ids = [add_repo(database, org.id) for _ in range(5)]
    forget_adoption(database, *repo_ids)
    assert to_adopt(database, limit=2) == repo_ids[:2]
    assert to_adopt(database, after=repo_ids[1], limit=2) == repo_ids[2:4]
    assert adopt(database, repo_ids[2], [])
    assert to_adopt(database) == [*repo_ids[:2], *repo_ids[3:]]


def test_a_folder_is_adopted_once_and_packs_with_a_row_keep_their_state(
    database: Database, org: Org, repo_id: RepoKey
) -> None:
    listed, retired = make_live(database, repo_id, "listed", "retired")
    replace(database, repo_id, [retired], [])
    forget_adoption(database, repo_id)
    assert not live(database, repo_id).is_adopted
    before = versions(database, repo_id)
    stray, late = Pack(oid("stray"), 77, 7), Pack(oid("late"), 88, 8)
    assert adopt(database, repo_id, [Pack(listed.name, 5, 5), retired, stray], state=80)
    after = live(database, repo_id)
    assert after.is_adopted
    assert set(after.packs) == {listed, stray}
    assert state_of(database, repo_id, retired) is PackState.RETIRED
    assert versions(database, repo_id) == Versions(before.refs, (before.packs[0] + 1, 80), 80)
    assert not adopt(database, repo_id, [late], state=81)
    assert live(database, repo_id) == after


def test_only_one_of_two_processes_adopts_a_folder(database: Database, repo_id: RepoKey) -> None:
    forget_adoption(database, repo_id)
    stray, outcomes = Pack(oid("stray"), 77, 7), []

    def run() -> None:
        outcomes.append(
            database.transact(lambda session: adopt_packs(session, repo_id, [stray], state=1, now=400))
        )

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == [False, False, False, True]
    assert live(database, repo_id).packs == (stray,)
