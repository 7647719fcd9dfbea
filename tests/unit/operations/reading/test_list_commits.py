"""A history page by page: its order, its places, and pages while the branch moves."""

from dataclasses import replace

import pytest

from packhouse.auth.principal import Principal
from packhouse.db.ref_transaction import RefUpdate
from packhouse.db.repos import RepoNotFound
from packhouse.git.oid import Oid
from packhouse.git.refname import PERSISTENT, branch_refname
from packhouse.limits import Limits, page_default
from packhouse.node.caches import STRETCH_COMMITS
from packhouse.node.node import Node
from packhouse.operations.catalog.lookup import lookup_repo
from packhouse.operations.reading.list_commits import CommitPage, HistoryPlace, ListCommits, list_commits
from packhouse.operations.refs.create_branch import CreateBranch, create_branch
from packhouse.operations.refs.delete_branch import DeleteBranch, delete_branch
from packhouse.repository.refs.resolve import RefNotFound
from packhouse.repository.view import open_view
from packhouse.repository.write import Write
from tests.support.builders.node_writes import (
    ADA,
    MAIN,
    commit_files,
    move_refs,
    put_commit,
    write_commit_object,
)
from tests.unit.operations.reading.entries import make_ephemeral

pytestmark = pytest.mark.quick


@pytest.fixture
def line(node: Node, caller: Principal, repo: str) -> list[Oid]:
    """Five commits on main, the newest first."""
    return [
        commit_files(node, caller, repo, "main", {"a": b"%d\n" % n, f"f{n}": b""}).commit for n in range(5)
    ][::-1]


def oids(page: CommitPage) -> list[Oid]:
    """Return the ids of a page."""
    return [listed.oid for listed in page.commits]


def test_a_history_begins_with_the_tip_and_ends_with_the_root(
    node: Node, caller: Principal, line: list[Oid]
) -> None:
    page = list_commits(node, caller, ListCommits("r"))
    assert (oids(page), page.following, page.is_by_id) == (line, None, False)
    newest = page.commits[0].commit
    assert (list(newest.parents), newest.message, newest.committer) == ([line[1]], "message", ADA)


@pytest.mark.parametrize("size", [1, 2, 3, 5, 6])
def test_pages_are_the_history_cut_in_pieces(
    node: Node, caller: Principal, line: list[Oid], size: int
) -> None:
    seen: list[Oid] = []
    place, is_last = None, False
    while not is_last:
        page = list_commits(node, caller, ListCommits("r", start=place, count_max=size))
        seen += oids(page)
        assert len(seen) <= len(line)
        place = page.following
        is_last = place is None
        assert place in (None, HistoryPlace(len(seen), line[0]))
    assert seen == line


def test_a_place_keeps_its_tip_while_the_branch_moves(node: Node, caller: Principal, line: list[Oid]) -> None:
    place = list_commits(node, caller, ListCommits("r", count_max=2)).following
    commit_files(node, caller, "r", "main", {"later": b""})
    assert oids(list_commits(node, caller, ListCommits("r", start=place, count_max=2))) == line[2:4]


def test_a_place_with_an_unreachable_tip_counts_from_the_refs_present_tip(
    node: Node, caller: Principal, line: list[Oid]
) -> None:
    side = branch_refname("side")
    create_branch(node, caller, CreateBranch("r", side, base_ref="main"))
    tip = commit_files(node, caller, "r", "side", {"s": b""}).commit
    place = HistoryPlace(1, tip)
    assert oids(list_commits(node, caller, ListCommits("r", start=place, count_max=1))) == [line[0]]
    delete_branch(node, caller, DeleteBranch("r", side))
    assert oids(list_commits(node, caller, ListCommits("r", start=place, count_max=1))) == [line[1]]


def test_a_place_without_a_tip_is_a_number_of_commits(node: Node, caller: Principal, line: list[Oid]) -> None:
    assert oids(list_commits(node, caller, ListCommits("r", start=HistoryPlace(3)))) == line[3:]
    for skip in (5, 10**17):
        page = list_commits(node, caller, ListCommits("r", start=HistoryPlace(skip)))
        assert (oids(page), page.following) == ([], None)


def test_only_a_page_that_counts_from_a_full_id_never_changes(
    node: Node, caller: Principal, line: list[Oid]
) -> None:
    for place, is_by_id in ((None, True), (HistoryPlace(1), True), (HistoryPlace(1, line[1]), True)):
        assert list_commits(node, caller, ListCommits("r", line[1], start=place)).is_by_id is is_by_id
    assert not list_commits(node, caller, ListCommits("r", line[1], start=HistoryPlace(1, line[0]))).is_by_id
    assert not list_commits(node, caller, ListCommits("r", "main~1")).is_by_id


def test_a_path_selects_the_commits_that_changed_it(node: Node, caller: Principal, line: list[Oid]) -> None:
    assert oids(list_commits(node, caller, ListCommits("r", path=b"f2"))) == [line[2]]
    assert oids(list_commits(node, caller, ListCommits("r", path=b"absent"))) == []
    page = list_commits(node, caller, ListCommits("r", path=b"a", count_max=2))
    assert oids(page) == line[:2]
    assert oids(list_commits(node, caller, ListCommits("r", path=b"a", start=page.following))) == line[2:]


def test_both_sides_of_a_merge_come_before_their_base(node: Node, caller: Principal, repo: str) -> None:
    row = lookup_repo(node, caller, repo)
    base = put_commit(node, caller, row)
    sides = [put_commit(node, caller, row, base, message=b"%d\n" % number) for number in range(2)]
    merge = put_commit(node, caller, row, *sides)
    found = oids(list_commits(node, caller, ListCommits("r")))
    assert (found[0], set(found[1:3]), found[3:]) == (merge, set(sides), [base])


def test_pages_go_on_from_one_stretch_of_history_to_the_next(
    node: Node, caller: Principal, repo: str
) -> None:
    row = lookup_repo(node, caller, repo)
    with open_view(node, row) as view, Write(view) as write:
        line = [write_commit_object(write)]
        for number in range(STRETCH_COMMITS + 1):
            line.append(write_commit_object(write, line[-1], message=b"%d\n" % number))
        commit = line[-1]
        move_refs(node, caller, row, RefUpdate(PERSISTENT, MAIN, None, commit), write=write)
    line.reverse()
    near_the_end = HistoryPlace(STRETCH_COMMITS - 1, commit)
    page = list_commits(node, caller, ListCommits("r", start=near_the_end, count_max=2))
    assert oids(page) == line[STRETCH_COMMITS - 1 : STRETCH_COMMITS + 1]
    assert page.following == HistoryPlace(STRETCH_COMMITS + 1, commit)
    last = list_commits(node, caller, ListCommits("r", start=page.following))
    assert (oids(last), last.following) == (line[-1:], None)


def test_a_page_of_large_commits_is_shorter_and_the_next_one_goes_on(
    node: Node, caller: Principal, line: list[Oid]
) -> None:
    few = replace(node, limits=Limits(commits_page_max_bytes=1))
    page = list_commits(few, caller, ListCommits("r"))
    assert oids(page) == line[:1]
    assert oids(list_commits(few, caller, ListCommits("r", start=page.following))) == line[1:2]


def test_a_page_has_the_default_number_of_commits(node: Node, caller: Principal, repo: str) -> None:
    row = lookup_repo(node, caller, repo)
    tip = put_commit(node, caller, row)
    for number in range(page_default):
        tip = put_commit(node, caller, row, tip, message=b"%d\n" % number)
    page = list_commits(node, caller, ListCommits("r"))
    assert (len(page.commits), page.following) == (page_default, HistoryPlace(page_default, tip))


def test_an_ephemeral_branch_has_a_history_in_its_own_namespace_only(
    node: Node, caller: Principal, line: list[Oid]
) -> None:
    make_ephemeral(node, caller, "try", base=line[3])
    assert oids(list_commits(node, caller, ListCommits("r", "try", ephemeral=True))) == line[3:]
    with pytest.raises(RefNotFound):
        list_commits(node, caller, ListCommits("r", "try"))


def test_an_empty_repository_and_a_stranger_get_no_history(
    node: Node, caller: Principal, stranger: Principal, repo: str
) -> None:
    with pytest.raises(RefNotFound):
        list_commits(node, caller, ListCommits("r"))
    for who, name in ((stranger, "r"), (caller, "other")):
        with pytest.raises(RepoNotFound):
            list_commits(node, who, ListCommits(name))
