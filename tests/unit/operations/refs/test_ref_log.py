"""The ref log, and restoring refs to values in it."""

import pytest

from packhouse.auth.policy import PolicyDenied
from packhouse.auth.principal import Principal
from packhouse.cursors import BadCursor, encode_cursor
from packhouse.db.ref_transaction import RefUpdate
from packhouse.db.repos import RepoNotFound
from packhouse.errors import NotFound
from packhouse.git.oid import Oid
from packhouse.git.refname import EPHEMERAL, HEAD, PERSISTENT, RefName, branch_refname, tag_refname
from packhouse.node.node import Node
from packhouse.operations.catalog.lookup import lookup_repo
from packhouse.operations.refs.create_branch import CreateBranch, create_branch
from packhouse.operations.refs.create_tag import CreateTag, create_tag
from packhouse.operations.refs.delete_branch import DeleteBranch, delete_branch
from packhouse.operations.refs.delete_tag import DeleteTag, delete_tag
from packhouse.operations.refs.read_branch import ReadBranch, read_branch
from packhouse.operations.refs.read_ref_log import ReadRefLog, RefMove, read_ref_log
from packhouse.operations.refs.read_tag import ReadTag, read_tag
from packhouse.operations.refs.restore_ref import RestoredRef, RestoreRef, restore_ref
from tests.support.builders.callers import named, with_policy
from tests.support.builders.node_writes import commit_files, move_refs

pytestmark = pytest.mark.quick

MAIN = branch_refname("main")
SIDE = branch_refname("side")
V1 = tag_refname("v1")


@pytest.fixture
def first(node: Node, caller: Principal, repo: str) -> Oid:
    """The first commit, on main since second 1000."""
    return commit_files(node, caller, repo, "main", {"a": b"1\n"}).commit


@pytest.fixture
def second(node: Node, caller: Principal, repo: str, first: Oid) -> Oid:
    """The commit after it, on main since second 2000."""
    set_clock(node, 2000)
    return commit_files(node, caller, repo, "main", {"a": b"2\n"}).commit


def set_clock(node: Node, now: int) -> None:
    """Set the node's clock to another time."""
    node.clock = lambda: now


def tip(node: Node, caller: Principal, refname: RefName, *, ephemeral: bool = False) -> Oid:
    """Return the commit that a branch is at."""
    return read_branch(node, caller, ReadBranch("r", refname, ephemeral)).head


def log(node: Node, caller: Principal, refname: RefName | None = None) -> list[RefMove]:
    """Return the moves of a ref, or of all, newest first."""
    return read_ref_log(node, caller, ReadRefLog("r", refname)).moves


# The log


def test_the_log_has_caller_ref_values_time_and_action_of_each_move(
    node: Node, caller: Principal, second: Oid, first: Oid
) -> None:
    set_clock(node, 3000)
    ada = named(caller, "ada")
    create_branch(node, ada, CreateBranch("r", SIDE, ephemeral=True, base_ref="main"))
    set_clock(node, 4000)
    delete_branch(node, ada, DeleteBranch("r", SIDE, ephemeral=True))
    told = [
        (
            move.namespace,
            move.refname,
            move.old_oid,
            move.new_oid,
            move.actor,
            move.action,
            move.moved_at,
        )
        for move in log(node, caller)
    ]
    assert told == [
        (EPHEMERAL, SIDE, second, None, "ada", "delete-branch", 4000),
        (EPHEMERAL, SIDE, None, second, "ada", "create-branch", 3000),
        (PERSISTENT, MAIN, first, second, "operator", "test", 2000),
        (PERSISTENT, MAIN, None, first, "operator", "test", 1000),
    ]


def test_the_log_of_one_ref_is_that_of_its_namespace(node: Node, caller: Principal, first: Oid) -> None:
    create_branch(node, caller, CreateBranch("r", SIDE, base_ref="main"))
    create_branch(node, caller, CreateBranch("r", SIDE, ephemeral=True, base_ref="main"))
    for namespace in (PERSISTENT, EPHEMERAL):
        moves = read_ref_log(node, caller, ReadRefLog("r", SIDE, namespace)).moves
        assert [(move.namespace, move.refname) for move in moves] == [(namespace, SIDE)]
    assert read_ref_log(node, caller, ReadRefLog("r", V1)).moves == []


def test_head_is_the_default_branch_in_the_log(node: Node, caller: Principal, second: Oid) -> None:
    create_branch(node, caller, CreateBranch("r", SIDE, base_ref="main"))
    assert log(node, caller, HEAD) == log(node, caller, MAIN)
    assert log(node, caller, HEAD)[0].new_oid == second


@pytest.mark.parametrize("count_max", [1, 2, 3, 4])
def test_pages_hold_every_move_once(node: Node, caller: Principal, second: Oid, count_max: int) -> None:
    create_branch(node, caller, CreateBranch("r", SIDE, base_ref="main"))
    found: list[RefMove] = []
    cursor, has_more = None, True
    while has_more:
        page = read_ref_log(node, caller, ReadRefLog("r", cursor=cursor, count_max=count_max))
        found += page.moves
        cursor, has_more = page.moves[-1].cursor, page.has_more
    assert found == log(node, caller)
    assert len(found) == 3


def test_a_page_holds_nothing_that_came_after_its_cursor(node: Node, caller: Principal, second: Oid) -> None:
    cursor = read_ref_log(node, caller, ReadRefLog("r", count_max=1)).moves[0].cursor
    create_branch(node, caller, CreateBranch("r", SIDE, base_ref="main"))
    rest = read_ref_log(node, caller, ReadRefLog("r", cursor=cursor)).moves
    assert [move.moved_at for move in rest] == [1000]


@pytest.mark.parametrize("cursor", ["", "x", "\ud800", encode_cursor(b"-1"), encode_cursor(b"1", b"2")])
def test_a_cursor_of_another_listing_is_refused(
    node: Node, caller: Principal, repo: str, cursor: str
) -> None:
    with pytest.raises(BadCursor):
        read_ref_log(node, caller, ReadRefLog(repo, cursor=cursor))


def test_another_organisation_reads_no_log_and_restores_nothing(
    node: Node, stranger: Principal, caller: Principal, first: Oid
) -> None:
    with pytest.raises(RepoNotFound):
        read_ref_log(node, stranger, ReadRefLog("r"))
    with pytest.raises(RepoNotFound):
        restore_ref(node, stranger, RestoreRef("r", PERSISTENT, MAIN, at=1000))


# Restoring


def test_a_branch_goes_back_to_where_it_was_at_a_time(
    node: Node, caller: Principal, first: Oid, second: Oid
) -> None:
    set_clock(node, 3000)
    restored = restore_ref(node, caller, RestoreRef("r", PERSISTENT, MAIN, at=1999))
    assert restored == RestoredRef(MAIN, second, first)
    assert tip(node, caller, MAIN) == first
    newest = log(node, caller, MAIN)[0]
    assert (newest.action, newest.moved_at, newest.old_oid) == ("restore-ref", 3000, second)


def test_the_end_of_the_second_counts_when_a_ref_moved_twice_in_it(
    node: Node, caller: Principal, first: Oid
) -> None:
    second = commit_files(node, caller, "r", "main", {"a": b"2\n"}).commit  # in the same second
    set_clock(node, 3000)
    commit_files(node, caller, "r", "main", {"a": b"3\n"})
    assert restore_ref(node, caller, RestoreRef("r", PERSISTENT, MAIN, at=1000)).new_oid == second


def test_a_branch_goes_back_to_before_an_entry_of_the_log(
    node: Node, caller: Principal, first: Oid, second: Oid
) -> None:
    entry = log(node, caller, MAIN)[0].id
    assert restore_ref(node, caller, RestoreRef("r", PERSISTENT, MAIN, entry=entry)).new_oid == first


def test_a_restore_is_undone_by_another_restore(
    node: Node, caller: Principal, first: Oid, second: Oid
) -> None:
    restore_ref(node, caller, RestoreRef("r", PERSISTENT, MAIN, at=1000))
    entry = log(node, caller, MAIN)[0].id
    restore_ref(node, caller, RestoreRef("r", PERSISTENT, MAIN, entry=entry))
    assert tip(node, caller, MAIN) == second


def test_a_ref_with_the_restored_value_already_is_not_moved(
    node: Node, caller: Principal, second: Oid
) -> None:
    before = log(node, caller)
    restored = restore_ref(node, caller, RestoreRef("r", PERSISTENT, MAIN, at=2000))
    assert restored == RestoredRef(MAIN, second, second)
    assert log(node, caller) == before


def test_a_deleted_branch_and_a_deleted_tag_come_back(node: Node, caller: Principal, first: Oid) -> None:
    create_branch(node, caller, CreateBranch("r", SIDE, ephemeral=True, base_ref="main"))
    create_tag(node, caller, CreateTag("r", V1, "main"))
    set_clock(node, 2000)
    delete_branch(node, caller, DeleteBranch("r", SIDE, ephemeral=True))
    delete_tag(node, caller, DeleteTag("r", V1))
    assert restore_ref(node, caller, RestoreRef("r", EPHEMERAL, SIDE, at=1999)).old_oid is None
    restore_ref(node, caller, RestoreRef("r", PERSISTENT, V1, at=1999))
    assert tip(node, caller, SIDE, ephemeral=True) == first
    assert read_tag(node, caller, ReadTag("r", V1)).target == first


def test_head_is_the_default_branch_to_restore(
    node: Node, caller: Principal, first: Oid, second: Oid
) -> None:
    assert restore_ref(node, caller, RestoreRef("r", PERSISTENT, HEAD, at=1000)) == RestoredRef(
        MAIN, second, first
    )


@pytest.mark.parametrize("at", [0, 999])
def test_a_ref_does_not_go_back_to_before_it_existed(
    node: Node, caller: Principal, second: Oid, at: int
) -> None:
    with pytest.raises(NotFound):
        restore_ref(node, caller, RestoreRef("r", PERSISTENT, MAIN, at=at))
    creation = log(node, caller, MAIN)[-1].id
    with pytest.raises(NotFound):
        restore_ref(node, caller, RestoreRef("r", PERSISTENT, MAIN, entry=creation))
    assert tip(node, caller, MAIN) == second


def test_an_entry_of_another_ref_is_not_found(node: Node, caller: Principal, second: Oid) -> None:
    create_branch(node, caller, CreateBranch("r", SIDE, base_ref="main"))
    entry = log(node, caller, MAIN)[0].id
    with pytest.raises(NotFound):
        restore_ref(node, caller, RestoreRef("r", PERSISTENT, SIDE, entry=entry))


def test_a_log_longer_than_a_page_is_searched_to_its_end(node: Node, caller: Principal, first: Oid) -> None:
    second = commit_files(node, caller, "r", "main", {"a": b"2\n"}).commit
    repo = lookup_repo(node, caller, "r")
    set_clock(node, 2000)
    for _ in range(60):
        move_refs(node, caller, repo, RefUpdate(PERSISTENT, MAIN, second, first))
        move_refs(node, caller, repo, RefUpdate(PERSISTENT, MAIN, first, second))
    oldest = read_ref_log(node, caller, ReadRefLog("r", MAIN, count_max=1000)).moves[-2]
    restored = restore_ref(node, caller, RestoreRef("r", PERSISTENT, MAIN, entry=oldest.id))
    assert (oldest.moved_at, restored.new_oid) == (1000, first)


def test_a_name_that_no_new_branch_may_have_comes_back(node: Node, caller: Principal, first: Oid) -> None:
    odd = RefName(b"refs/heads/-old")
    repo = lookup_repo(node, caller, "r")
    move_refs(node, caller, repo, RefUpdate(PERSISTENT, odd, None, first, restores=True))
    set_clock(node, 2000)
    delete_branch(node, caller, DeleteBranch("r", odd))
    assert restore_ref(node, caller, RestoreRef("r", PERSISTENT, odd, at=1000)).new_oid == first


def test_ref_policies_apply_to_restoring(node: Node, caller: Principal, first: Oid, second: Oid) -> None:
    for op in ("no-push", "no-force-push"):
        with pytest.raises(PolicyDenied):
            restore_ref(node, with_policy(caller, ["main", [op]]), RestoreRef("r", PERSISTENT, MAIN, at=1000))
    assert tip(node, caller, MAIN) == second
