"""Ref transactions: guards, name conflicts, the default branch, the log, and updates that are atomic or not."""

from typing import cast

import pytest

from packhouse.db.engines.database import Database
from packhouse.db.orgs import Org
from packhouse.db.packs import insert_incoming_pack, list_packs, note_pack_name
from packhouse.db.ref_transaction import (
    DefaultBranchProtected,
    RefMismatch,
    RefMissing,
    RefNameConflict,
    RefUpdate,
    apply_ref_updates,
    preview_ref_updates,
)
from packhouse.db.refs import (
    get_ref,
    has_branches,
    list_branches_page,
    list_ref_log,
    list_refs,
    list_refs_page,
)
from packhouse.db.repos import RepoNotFound, find_repo_by_id, mark_repo_deleted
from packhouse.errors import Invalid, PackhouseError
from packhouse.git.oid import Oid
from packhouse.git.packs.pack import Pack
from packhouse.git.refname import (
    EPHEMERAL,
    HEADS,
    NOTES,
    PERSISTENT,
    TAGS,
    NewNameRefused,
    RefName,
    trusted_refname,
)
from packhouse.ids import RepoKey
from tests.support.builders.rows import apply, branch_update, oid, write_ref_of_older_release

A, B, C = oid("a"), oid("b"), oid("c")


def state(database: Database, repo_id: RepoKey) -> dict[str, str]:
    with database.read() as session:
        refs = list_refs(session, repo_id)
    return {f"{ref.namespace}:{ref.refname.decode()}": ref.oid for ref in refs}


def version(database: Database, repo_id: RepoKey) -> int:
    with database.read() as session:
        repo = find_repo_by_id(session, repo_id)
    assert repo is not None
    return repo.refs_version


def test_a_ref_is_created_moved_and_deleted_under_its_guard(database: Database, repo_id: RepoKey) -> None:
    apply(database, repo_id, branch_update("topic", None, A), now=10)
    apply(database, repo_id, branch_update("topic", A, B), now=20)
    with database.read() as session:
        ref = get_ref(session, repo_id, PERSISTENT, RefName(b"refs/heads/topic"))
    assert ref is not None
    assert (ref.oid, ref.created_at, ref.updated_at) == (B, 10, 20)
    apply(database, repo_id, branch_update("topic", B, None), now=30)
    assert state(database, repo_id) == {}
    assert version(database, repo_id) == 3


@pytest.mark.parametrize(
    ("expected", "new"), [(None, B), (C, B), (C, None)], ids=["create", "move", "delete"]
)
def test_a_wrong_guard_changes_nothing_and_reports_the_present_value(
    database: Database, repo_id: RepoKey, expected: str | None, new: str | None
) -> None:
    apply(database, repo_id, branch_update("topic", None, A))
    with pytest.raises(RefMismatch) as refusal:
        apply(database, repo_id, branch_update("topic", expected, new))  # type: ignore[arg-type]  # oids
    assert (refusal.value.expected, refusal.value.actual) == (expected, A)
    assert state(database, repo_id) == {":refs/heads/topic": A}
    assert version(database, repo_id) == 1


def test_a_guard_on_a_missing_ref_does_not_hold(database: Database, repo_id: RepoKey) -> None:
    for new in (B, None):
        with pytest.raises(RefMismatch) as refusal:
            apply(database, repo_id, branch_update("topic", A, new))
        assert refusal.value.actual is None


def test_any_old_moves_a_ref_from_any_value(database: Database, repo_id: RepoKey) -> None:
    for old, new in ((None, A), (A, B), (B, None)):
        (outcome,) = apply(database, repo_id, branch_update("topic", None, new, any_old=True))
        assert outcome.previous_oid == old
        assert outcome.moved
    with pytest.raises(RefMissing):
        apply(database, repo_id, branch_update("topic", None, None, any_old=True))


def test_an_update_to_the_present_value_is_not_logged_as_a_move(database: Database, repo_id: RepoKey) -> None:
    apply(database, repo_id, branch_update("topic", None, A))
    (outcome,) = apply(database, repo_id, branch_update("topic", A, A))
    assert (outcome.error, outcome.moved) == (None, False)
    (absent,) = apply(database, repo_id, branch_update("none", None, None))
    assert (absent.error, absent.moved) == (None, False)
    with database.read() as session:
        assert len(list_ref_log(session, repo_id, limit=10)) == 1


def test_a_failed_atomic_transaction_changes_no_ref_and_not_the_log(
    database: Database, repo_id: RepoKey
) -> None:
    apply(database, repo_id, branch_update("one", None, A))
    with pytest.raises(RefMismatch):
        apply(database, repo_id, branch_update("two", None, A), branch_update("one", B, C))
    assert state(database, repo_id) == {":refs/heads/one": A}
    with database.read() as session:
        assert [entry.refname for entry in list_ref_log(session, repo_id, limit=10)] == [b"refs/heads/one"]


def test_without_atomic_the_good_updates_are_applied(database: Database, repo_id: RepoKey) -> None:
    apply(database, repo_id, branch_update("one", None, A))
    updates = (
        branch_update("two", None, A),
        branch_update("one", B, C),
        branch_update("one/below", None, C),
        branch_update("three", None, B),
    )
    outcomes = apply(database, repo_id, *updates, atomic=False)
    assert [outcome.update for outcome in outcomes] == list(updates)
    assert [type(outcome.error) for outcome in outcomes] == [
        type(None),
        RefMismatch,
        RefNameConflict,
        type(None),
    ]
    assert state(database, repo_id) == {
        ":refs/heads/one": A,
        ":refs/heads/two": A,
        ":refs/heads/three": B,
    }


@pytest.mark.parametrize(
    ("existing", "new"),
    [
        ("a", "a/b"),
        ("a", "a/b/c"),
        ("a/b", "a"),
        ("a/b/c", "a"),
        ("a/b/c", "a/b"),
        ("ä", "ä/ö"),
    ],
)
def test_a_name_beside_its_own_folder_is_refused(
    database: Database, repo_id: RepoKey, existing: str, new: str
) -> None:
    apply(database, repo_id, branch_update(existing, None, A))
    with pytest.raises(RefNameConflict) as refusal:
        apply(database, repo_id, branch_update(new, None, B))
    assert refusal.value.existing == HEADS + existing.encode()
    with pytest.raises(RefNameConflict):
        apply(database, repo_id, branch_update(f"x{new}", None, B), branch_update(f"x{existing}", None, B))


@pytest.mark.parametrize(
    ("existing", "new"), [("a", "ab"), ("a", "a-b"), ("a-b", "a"), ("a.b", "a"), ("a0", "a"), ("A", "a/b")]
)
def test_names_that_only_begin_alike_do_not_conflict(
    database: Database, repo_id: RepoKey, existing: str, new: str
) -> None:
    apply(database, repo_id, branch_update(existing, None, A))
    apply(database, repo_id, branch_update(new, None, B))
    assert len(state(database, repo_id)) == 2


def test_a_deletion_makes_room_in_the_same_transaction_whatever_the_order(
    database: Database, repo_id: RepoKey
) -> None:
    apply(database, repo_id, branch_update("a", None, A))
    apply(database, repo_id, branch_update("a/b", None, B), branch_update("a", A, None))
    assert state(database, repo_id) == {":refs/heads/a/b": B}
    many = [branch_update(f"a/c{number:03}", None, A) for number in range(300)]
    apply(database, repo_id, *many)
    gone = [branch_update(f"a/c{number:03}", A, None) for number in range(300)]
    with pytest.raises(RefNameConflict) as refusal:
        apply(database, repo_id, branch_update("a", None, A), *gone)
    assert refusal.value.existing == b"refs/heads/a/b"
    apply(database, repo_id, branch_update("a", None, A), branch_update("a/b", B, None), *gone)
    assert state(database, repo_id) == {":refs/heads/a": A}


def test_namespaces_are_independent(database: Database, repo_id: RepoKey) -> None:
    apply(database, repo_id, branch_update("a", None, A))
    apply(database, repo_id, branch_update("a/b", None, B, namespace=EPHEMERAL))
    apply(database, repo_id, branch_update("a", None, C, namespace="other"))
    assert state(database, repo_id) == {
        ":refs/heads/a": A,
        "ephemeral:refs/heads/a/b": B,
        "other:refs/heads/a": C,
    }


def test_branches_and_tags_of_one_name_do_not_conflict(database: Database, repo_id: RepoKey) -> None:
    tag = RefUpdate(PERSISTENT, RefName(TAGS + b"a/b"), None, B, peeled_oid=C)
    apply(database, repo_id, branch_update("a", None, A), tag)
    with database.read() as session:
        ref = get_ref(session, repo_id, PERSISTENT, RefName(TAGS + b"a/b"))
    assert ref is not None
    assert ref.peeled_oid == C


def test_the_default_branch_cannot_be_deleted_but_its_ephemeral_namesake_can(
    database: Database, repo_id: RepoKey
) -> None:
    apply(
        database,
        repo_id,
        branch_update("main", None, A),
        branch_update("main", None, A, namespace=EPHEMERAL),
    )
    for update in (branch_update("main", A, None), branch_update("main", None, None, any_old=True)):
        with pytest.raises(DefaultBranchProtected):
            apply(database, repo_id, update)
    apply(database, repo_id, branch_update("main", A, None, namespace=EPHEMERAL))
    assert state(database, repo_id) == {":refs/heads/main": A}


def test_a_ref_named_twice_is_refused(database: Database, repo_id: RepoKey) -> None:
    twice = (branch_update("a", None, A), branch_update("a", None, B))
    with pytest.raises(Invalid):
        apply(database, repo_id, *twice)
    outcomes = apply(database, repo_id, *twice, branch_update("b", None, A), atomic=False)
    assert [outcome.error is None for outcome in outcomes] == [False, False, True]
    assert state(database, repo_id) == {":refs/heads/b": A}


@pytest.mark.parametrize("refname", [b"refs/heads", b"heads/main", b"HEAD", b"refs/stash"])
def test_only_names_below_a_folder_of_refs_are_stored(
    database: Database, repo_id: RepoKey, refname: bytes
) -> None:
    with pytest.raises(Invalid):
        apply(database, repo_id, RefUpdate(PERSISTENT, trusted_refname(refname), None, A))


@pytest.mark.parametrize(
    "refname", [b"refs/heads/../x", b"refs/heads/x.lock", b"refs/heads/x\n" + b"0" * 40, b"refs/heads/x y"]
)
def test_a_name_that_git_refuses_is_not_stored_whatever_its_type(
    database: Database, repo_id: RepoKey, refname: bytes
) -> None:
    for claimed in (trusted_refname(refname), cast(RefName, refname)):
        for restores in (False, True):
            with pytest.raises(Invalid):
                apply(database, repo_id, RefUpdate(PERSISTENT, claimed, None, A, restores=restores))
    assert state(database, repo_id) == {}


@pytest.mark.parametrize("text", ["", "main", "a" * 39, "A" * 40, "../up"])
def test_text_that_is_not_an_object_id_is_not_stored_whatever_its_type(
    database: Database, repo_id: RepoKey, text: str
) -> None:
    tag = RefName(TAGS + b"v1")
    for update in (
        branch_update("x", None, Oid(text)),
        RefUpdate(PERSISTENT, tag, None, A, peeled_oid=Oid(text)),
    ):
        with pytest.raises(Invalid):
            apply(database, repo_id, update)
    assert state(database, repo_id) == {}


@pytest.mark.parametrize("namespace", [PERSISTENT, EPHEMERAL])
@pytest.mark.parametrize("name", ["heads/HEAD", "tags/HEAD", "heads/-x", "tags/-x", "heads/" + "aB" * 20])
def test_a_ref_whose_name_no_new_ref_can_have_is_moved_and_deleted_but_not_created(
    database: Database, repo_id: RepoKey, namespace: str, name: str
) -> None:
    refname = RefName(f"refs/{name}".encode())
    for any_old in (False, True):
        with pytest.raises(NewNameRefused):
            apply(database, repo_id, RefUpdate(namespace, refname, None, A, any_old=any_old))
    fine = RefUpdate(namespace, RefName(b"refs/heads/fine"), None, A)
    outcomes = apply(database, repo_id, RefUpdate(namespace, refname, None, A), fine, atomic=False)
    assert [outcome.error is None for outcome in outcomes] == [False, True]
    write_ref_of_older_release(database, repo_id, f"refs/{name}", A, namespace=namespace)
    apply(database, repo_id, RefUpdate(namespace, refname, A, B))
    assert state(database, repo_id)[f"{namespace}:refs/{name}"] == B
    apply(database, repo_id, RefUpdate(namespace, refname, B, None))
    with pytest.raises(NewNameRefused):
        apply(database, repo_id, RefUpdate(namespace, refname, None, A))
    apply(database, repo_id, RefUpdate(namespace, refname, None, B, restores=True))
    assert state(database, repo_id)[f"{namespace}:refs/{name}"] == B


def test_notes_refs_may_have_any_name(database: Database, repo_id: RepoKey) -> None:
    for name in ("HEAD", "-x", "a" * 40):
        apply(database, repo_id, RefUpdate(PERSISTENT, RefName(f"refs/notes/{name}".encode()), None, A))


def test_a_deleted_repository_accepts_no_updates(database: Database, org: Org, repo_id: RepoKey) -> None:
    with database.write() as session:
        repo = find_repo_by_id(session, repo_id)
        assert repo is not None
        mark_repo_deleted(session, org.id, repo.name, state=5, now=1)
    with pytest.raises(RepoNotFound):
        apply(database, repo_id, branch_update("a", None, A))
    with pytest.raises(RepoNotFound):
        apply(database, RepoKey(2**31 - 1), branch_update("a", None, A))


def test_the_log_has_every_move_with_actor_action_and_time(database: Database, repo_id: RepoKey) -> None:
    apply(database, repo_id, branch_update("a", None, A), branch_update("b", None, B), now=10)
    apply(database, repo_id, branch_update("a", A, C), now=20)
    apply(database, repo_id, branch_update("a", C, None), now=30)
    with database.read() as session:
        entries = list_ref_log(session, repo_id, limit=10)
        of_a = list_ref_log(session, repo_id, ref=(PERSISTENT, RefName(b"refs/heads/a")), limit=10)
        older = list_ref_log(session, repo_id, before=entries[0].id, limit=2)
    assert [(e.refname, e.old_oid, e.new_oid, e.refs_version, e.created_at) for e in reversed(entries)] == [
        (b"refs/heads/a", None, A, 1, 10),
        (b"refs/heads/b", None, B, 1, 10),
        (b"refs/heads/a", A, C, 2, 20),
        (b"refs/heads/a", C, None, 3, 30),
    ]
    assert {(entry.actor, entry.action) for entry in entries} == {("tester", "test")}
    assert [entry.new_oid for entry in of_a] == [None, C, A]
    assert older == entries[1:3]


def test_the_transaction_that_uses_packs_lists_them(database: Database, repo_id: RepoKey) -> None:
    first, refused, second = (Pack(digit * 40, 10, 2) for digit in "132")
    with database.write() as session:
        for pack in (first, refused, second):
            insert_incoming_pack(session, repo_id, pack, now=4)

    def move(pack: Pack, *updates: RefUpdate) -> None:
        with database.write() as session:
            apply_ref_updates(session, repo_id, updates, actor="", action="", state=9, now=5, packs=[pack])

    move(first, branch_update("a", None, A))
    with pytest.raises(RefMismatch):
        move(refused, branch_update("a", B, A))
    move(second, branch_update("a", A, B))
    with database.read() as session:
        listed = list_packs(session, repo_id)
    assert listed is not None
    assert listed.packs == (first, second)


def test_a_pack_with_a_name_noted_in_advance_is_listed_with_its_final_size(
    database: Database, repo_id: RepoKey
) -> None:
    pack = Pack("1" * 40, 10, 2)
    with database.write() as session:
        note_pack_name(session, repo_id, pack.name, now=4)
    apply(database, repo_id, branch_update("a", None, A), packs=[pack])
    with database.read() as session:
        listed = list_packs(session, repo_id)
    assert listed is not None
    assert listed.packs == (pack,)


def test_refs_are_listed_by_the_bytes_of_their_names(database: Database, repo_id: RepoKey) -> None:
    branches = ["Z", "a", "é", "z", "a-b", "\U0001f600", "\uffee", "B"]
    apply(database, repo_id, *(branch_update(branch, None, A) for branch in branches))
    with database.read() as session:
        listed = [ref.refname for ref in list_refs(session, repo_id, PERSISTENT)]
    assert listed == sorted(HEADS + branch.encode() for branch in branches)


def test_branches_are_listed_in_order_of_creation_whatever_the_clock_says(
    database: Database, repo_id: RepoKey
) -> None:
    for branch, now in (("c", 10), ("b", 20), ("a", 20), ("é", 20), ("d", 5)):
        apply(database, repo_id, branch_update(branch, None, A), now=now)
    apply(database, repo_id, branch_update("c", A, B), now=99)
    apply(database, repo_id, RefUpdate(PERSISTENT, RefName(TAGS + b"t"), None, A), now=15)
    pages: list[list[bytes]] = []
    after: tuple[int, RefName] | None = None
    while True:
        with database.read() as session:
            page = list_branches_page(session, repo_id, PERSISTENT, after=after, limit=2)
        if not page:
            break
        pages.append([ref.refname.removeprefix(HEADS) for ref in page])
        assert page[-1].creation is not None
        after = (page[-1].creation, page[-1].refname)
    assert pages == [[b"c", b"b"], [b"a", "é".encode()], [b"d"]]


def test_folders_of_refs_are_listed_in_pages(database: Database, repo_id: RepoKey) -> None:
    names = [b"a", b"a%", b"a_b", b"b", b"c"]
    updates = [RefUpdate(PERSISTENT, RefName(TAGS + name), None, A) for name in names]
    note = RefUpdate(PERSISTENT, RefName(NOTES + b"commits"), None, A)
    apply(database, repo_id, branch_update("a", None, A), note, *updates)
    with database.read() as session:
        first = list_refs_page(session, repo_id, PERSISTENT, prefix=TAGS, after=None, limit=3)
        rest = list_refs_page(session, repo_id, PERSISTENT, prefix=TAGS, after=first[-1].refname, limit=3)
    assert [ref.refname.removeprefix(TAGS) for ref in first + rest] == names


def test_a_repository_with_tags_only_has_no_branches(database: Database, repo_id: RepoKey) -> None:
    tag = RefUpdate(PERSISTENT, RefName(TAGS + b"v1"), None, A)
    apply(database, repo_id, tag, branch_update("a", None, A, namespace=EPHEMERAL))
    with database.read() as session:
        assert not has_branches(session, repo_id)
        assert has_branches(session, repo_id, EPHEMERAL)
    apply(database, repo_id, branch_update("a", None, A))
    with database.read() as session:
        assert has_branches(session, repo_id)


def test_thousands_of_refs_move_in_one_transaction(database: Database, repo_id: RepoKey) -> None:
    updates = [branch_update(f"team/{number % 50}/b{number}", None, A) for number in range(2000)]
    outcomes = apply(database, repo_id, *updates)
    assert all(outcome.moved for outcome in outcomes)
    errors: list[PackhouseError | None] = [
        outcome.error
        for outcome in apply(
            database,
            repo_id,
            *(branch_update(f"team/{number}", None, A) for number in range(50)),
            atomic=False,
        )
    ]
    assert {type(error) for error in errors} == {RefNameConflict}


def test_a_preview_returns_the_outcomes_and_changes_nothing(database: Database, repo_id: RepoKey) -> None:
    apply(database, repo_id, branch_update("one", None, A))
    updates = (branch_update("two", None, A), branch_update("one", B, C))
    before = state(database, repo_id), version(database, repo_id)
    with database.snapshot() as session:
        foreseen = preview_ref_updates(session, repo_id, updates, atomic=False)
        with pytest.raises(RefMismatch):
            preview_ref_updates(session, repo_id, updates)
        with pytest.raises(RepoNotFound):
            preview_ref_updates(session, RepoKey(2**31 - 1), updates)
    assert (state(database, repo_id), version(database, repo_id)) == before
    outcomes = apply(database, repo_id, *updates, atomic=False)
    assert [(o.previous_oid, type(o.error)) for o in foreseen] == [
        (o.previous_oid, type(o.error)) for o in outcomes
    ]
