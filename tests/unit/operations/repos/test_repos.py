"""Repositories: made, listed, changed, deleted and brought back."""

import base64
from dataclasses import replace

import pytest

from packhouse.auth.principal import Principal
from packhouse.cursors import BadCursor
from packhouse.db.repos import RepoExists, RepoNotFound
from packhouse.errors import Invalid
from packhouse.git.refname import NewNameRefused, RefName, branch_refname
from packhouse.limits import page_default, page_max
from packhouse.node.node import Node
from packhouse.node.repo_name import RepoNameInvalid
from packhouse.operations.jobs.list_jobs import ListJobs, list_jobs
from packhouse.operations.packs.clean_repo import CleanRepo, clean_repo
from packhouse.operations.refs.branches import BranchNotFound
from packhouse.operations.refs.create_branch import CreateBranch, create_branch
from packhouse.operations.refs.read_branch import ReadBranch, read_branch
from packhouse.operations.repos.create_repo import CreateRepo, create_repo
from packhouse.operations.repos.delete_repo import DeleteRepo, DeletionPending, delete_repo
from packhouse.operations.repos.get_repo import GetRepo, get_repo
from packhouse.operations.repos.list_repos import ListRepos, list_repos
from packhouse.operations.repos.repo_info import ExpiryNotInFuture, RepoInfo
from packhouse.operations.repos.undelete_repo import UndeletedRepo, UndeleteRepo, undelete_repo
from packhouse.operations.repos.update_repo import Expiry, UpdateRepo, update_repo
from tests.support.builders.node_writes import commit_files

pytestmark = pytest.mark.quick

MAIN = branch_refname("main")
TRUNK = branch_refname("trunk")


def make(node: Node, caller: Principal, name: str) -> RepoInfo:
    """Make an empty repository."""
    return create_repo(node, caller, CreateRepo(name))


def names(node: Node, caller: Principal, text: str = "") -> list[str]:
    """Return the names of all repositories that match, page by page."""
    found: list[str] = []
    cursor: str | None = None
    while True:
        page = list_repos(node, caller, ListRepos(text, cursor, 3))
        found += [repo.name for repo in page.repos]
        if page.cursor is None:
            return found
        cursor = page.cursor


# Creating


def test_a_new_repository_is_returned_as_it_is_read_later(node: Node, caller: Principal) -> None:
    made = make(node, caller, "apps/shop")
    assert (made.name, made.default_branch, made.created_at, made.upstream) == (
        "apps/shop",
        "main",
        1000,
        None,
    )
    assert made.public_id.startswith("repo_")
    assert get_repo(node, caller, GetRepo("apps/shop")) == made
    assert list_repos(node, caller, ListRepos()).repos == [made]


def test_a_default_branch_is_kept_by_its_short_name(node: Node, caller: Principal) -> None:
    made = create_repo(node, caller, CreateRepo("r", default_branch=branch_refname("a/b")))
    assert made.default_branch == "a/b"


@pytest.mark.parametrize("name", [b"-x", b"refs/x", b"1" * 40])
def test_a_default_branch_that_nobody_could_push_is_refused(
    node: Node, caller: Principal, name: bytes
) -> None:
    with pytest.raises(NewNameRefused):
        create_repo(node, caller, CreateRepo("r", default_branch=RefName(b"refs/heads/" + name)))
    assert names(node, caller) == []


@pytest.mark.parametrize(
    "name", ["", "org", "a//b", "../x", "a.git", "a+ephemeral", "a\\b", "a\n", "x" * 256]
)
def test_a_name_that_an_address_cannot_hold_is_refused(node: Node, caller: Principal, name: str) -> None:
    with pytest.raises(RepoNameInvalid):
        make(node, caller, name)


def test_a_name_is_taken_once_in_an_organisation_and_case_tells_names_apart(
    node: Node, caller: Principal, stranger: Principal
) -> None:
    first = make(node, caller, "r")
    with pytest.raises(RepoExists):
        make(node, caller, "r")
    assert make(node, caller, "R").id != first.id
    assert make(node, stranger, "r").id != first.id
    assert get_repo(node, caller, GetRepo("r")) == first


def test_a_time_of_expiry_is_kept_and_shown(node: Node, caller: Principal) -> None:
    made = create_repo(node, caller, CreateRepo("r", expires_at=1001))
    assert made.expires_at == 1001
    assert get_repo(node, caller, GetRepo("r")) == made
    assert list_repos(node, caller, ListRepos()).repos == [made]


@pytest.mark.parametrize("expires_at", [1000, 999, 0])
def test_a_repository_that_would_expire_at_once_is_not_made(
    node: Node, caller: Principal, expires_at: int
) -> None:
    with pytest.raises(ExpiryNotInFuture):
        create_repo(node, caller, CreateRepo("r", expires_at=expires_at))
    assert names(node, caller) == []


# Finding and listing


@pytest.mark.parametrize("name", ["nowhere", "R", "r ", "", "a\0b", "\ud800"])
def test_only_the_exact_name_finds_a_repository(node: Node, caller: Principal, repo: str, name: str) -> None:
    with pytest.raises(RepoNotFound):
        get_repo(node, caller, GetRepo(name))
    with pytest.raises(RepoNotFound):
        delete_repo(node, caller, DeleteRepo(name))
    with pytest.raises(RepoNotFound):
        update_repo(node, caller, UpdateRepo(name, MAIN))
    with pytest.raises(RepoNotFound):
        undelete_repo(node, caller, UndeleteRepo(name))


def test_repositories_are_listed_in_the_order_of_their_creation(node: Node, caller: Principal) -> None:
    given = ["z", "a", "m", "b", "y", "c", "x"]
    for number, name in enumerate(given):
        node.clock = lambda now=1000 + number // 3: now  # type: ignore[misc]  # a clock without arguments
        make(node, caller, name)
    assert names(node, caller) == given


def test_a_page_has_twenty_repositories_by_default(node: Node, caller: Principal) -> None:
    for number in range(page_max + 1):
        make(node, caller, f"r{number}")

    def count(count_max: int | None) -> int:
        return len(list_repos(node, caller, ListRepos(count_max=count_max)).repos)

    assert [count(n) for n in (None, 0, 1, 50, page_max, 10**9)] == [
        page_default,
        page_default,
        1,
        50,
        page_max,
        page_max,
    ]
    with pytest.raises(Invalid):
        count(-1)


def test_a_full_last_page_has_no_cursor(node: Node, caller: Principal) -> None:
    for name in ("a", "b"):
        make(node, caller, name)
    assert list_repos(node, caller, ListRepos(count_max=2)).cursor is None
    first = list_repos(node, caller, ListRepos(count_max=1))
    assert first.cursor is not None
    rest = list_repos(node, caller, ListRepos(cursor=first.cursor, count_max=1))
    assert ([repo.name for repo in rest.repos], rest.cursor) == (["b"], None)


def test_a_page_may_begin_after_a_deleted_repository(node: Node, caller: Principal) -> None:
    for name in ("a", "b", "c"):
        make(node, caller, name)
    cursor = list_repos(node, caller, ListRepos(count_max=2)).cursor
    delete_repo(node, caller, DeleteRepo("b"))
    assert [repo.name for repo in list_repos(node, caller, ListRepos(cursor=cursor)).repos] == ["c"]


def test_names_are_searched_whatever_the_case_and_literally(node: Node, caller: Principal) -> None:
    for name in ("apps/Shop", "apps/mail", "100%", "a_b", "axb"):
        make(node, caller, name)
    assert names(node, caller, " SHOP ") == ["apps/Shop"]
    assert names(node, caller, "apps/") == ["apps/Shop", "apps/mail"]
    assert (names(node, caller, "%"), names(node, caller, "_")) == (["100%"], ["a_b"])
    assert names(node, caller, "nothing") == []


@pytest.mark.parametrize(
    "raw", [b"", b"x", b"1", b"1:2:3", b"1:x", b"-1:2", b"9" * 13 + b":1", b"1:" + b"9" * 11]
)
def test_a_cursor_of_another_listing_is_refused(node: Node, caller: Principal, raw: bytes) -> None:
    with pytest.raises(BadCursor):
        list_repos(node, caller, ListRepos(cursor=base64.urlsafe_b64encode(raw).decode() or "="))


def test_the_listing_has_only_repositories_of_the_callers_organisation(
    node: Node, caller: Principal, stranger: Principal
) -> None:
    make(node, caller, "ours")
    make(node, stranger, "theirs")
    assert (names(node, caller), names(node, stranger)) == (["ours"], ["theirs"])
    with pytest.raises(RepoNotFound):
        get_repo(node, stranger, GetRepo("ours"))


# Changing


def test_another_branch_becomes_the_default_one(node: Node, caller: Principal, repo: str) -> None:
    first = commit_files(node, caller, "r", "main", {"a": b"1\n"}).commit
    create_branch(node, caller, CreateBranch("r", TRUNK, base_ref="main"))
    before = get_repo(node, caller, GetRepo("r"))
    assert update_repo(node, caller, UpdateRepo("r", TRUNK)) == replace(before, default_branch="trunk")
    assert get_repo(node, caller, GetRepo("r")).default_branch == "trunk"
    assert create_branch(node, caller, CreateBranch("r", branch_refname("n"), base_ref="HEAD")).tip == first


def test_the_default_branch_must_exist_once_there_are_branches(
    node: Node, caller: Principal, repo: str
) -> None:
    assert update_repo(node, caller, UpdateRepo("r", TRUNK)).default_branch == "trunk"
    commit_files(node, caller, "r", "main", {"a": b"1\n"})
    create_branch(
        node, caller, CreateBranch("r", branch_refname("draft"), ephemeral=True, base_ref="refs/heads/main")
    )
    for branch in ("nowhere", "draft"):  # a branch of the other namespace does not count
        with pytest.raises(BranchNotFound):
            update_repo(node, caller, UpdateRepo("r", branch_refname(branch)))
    assert get_repo(node, caller, GetRepo("r")).default_branch == "trunk"


def test_a_time_of_expiry_is_set_moved_and_taken_away(node: Node, caller: Principal, repo: str) -> None:
    for expires_at in (1001, 5000, None, 2000):
        changed = update_repo(node, caller, UpdateRepo("r", expiry=Expiry(expires_at)))
        assert (changed.expires_at, changed.default_branch) == (expires_at, "main")
        assert get_repo(node, caller, GetRepo("r")) == changed
    assert update_repo(node, caller, UpdateRepo("r", TRUNK)).expires_at == 2000


def test_of_an_update_with_a_fault_nothing_happens(node: Node, caller: Principal, repo: str) -> None:
    commit_files(node, caller, "r", "main", {"a": b"1"})
    before = get_repo(node, caller, GetRepo("r"))
    with pytest.raises(ExpiryNotInFuture):
        update_repo(node, caller, UpdateRepo("r", MAIN, Expiry(1000)))
    with pytest.raises(BranchNotFound):
        update_repo(node, caller, UpdateRepo("r", TRUNK, Expiry(2000)))
    assert get_repo(node, caller, GetRepo("r")) == before


def test_another_organisation_changes_and_deletes_nothing(
    node: Node, caller: Principal, stranger: Principal, repo: str
) -> None:
    for attempt in (
        lambda: update_repo(node, stranger, UpdateRepo("r", TRUNK)),
        lambda: delete_repo(node, stranger, DeleteRepo("r")),
        lambda: undelete_repo(node, stranger, UndeleteRepo("r")),
    ):
        with pytest.raises(RepoNotFound):
            attempt()
    assert get_repo(node, caller, GetRepo("r")).default_branch == "main"


# Deleting and bringing back


def test_a_deleted_repository_is_gone_at_once_and_its_name_is_free(
    node: Node, caller: Principal, repo: str
) -> None:
    first = get_repo(node, caller, GetRepo("r"))
    deleted = delete_repo(node, caller, DeleteRepo("r"))
    assert (deleted.public_id, deleted.name) == (first.public_id, "r")
    assert names(node, caller) == []
    with pytest.raises(DeletionPending):
        delete_repo(node, caller, DeleteRepo("r"))
    second = make(node, caller, "r")
    assert second.id > first.id
    assert second.public_id != first.public_id


def test_a_repository_comes_back_with_its_branches(node: Node, caller: Principal, repo: str) -> None:
    first = commit_files(node, caller, "r", "main", {"a": b"1\n"}).commit
    public_id = delete_repo(node, caller, DeleteRepo("r")).public_id
    assert undelete_repo(node, caller, UndeleteRepo("r")) == UndeletedRepo(public_id, "r")
    assert read_branch(node, caller, ReadBranch("r", MAIN)).head == first


def test_the_repository_that_was_deleted_last_comes_back(node: Node, caller: Principal) -> None:
    ids = []
    for now in (1000, 2000):
        node.clock = lambda now=now: now  # type: ignore[misc]  # a clock without arguments
        ids.append(make(node, caller, "r").public_id)
        delete_repo(node, caller, DeleteRepo("r"))
    assert undelete_repo(node, caller, UndeleteRepo("r")).public_id == ids[1]
    with pytest.raises(RepoExists):
        undelete_repo(node, caller, UndeleteRepo("r"))
    delete_repo(node, caller, DeleteRepo("r"))
    assert clean_repo(node, CleanRepo(ids[1]))
    assert undelete_repo(node, caller, UndeleteRepo("r")).public_id == ids[0]


def test_a_repository_does_not_come_back_under_a_name_that_is_taken(
    node: Node, caller: Principal, repo: str
) -> None:
    delete_repo(node, caller, DeleteRepo("r"))
    second = make(node, caller, "r")
    with pytest.raises(RepoExists):
        undelete_repo(node, caller, UndeleteRepo("r"))
    assert get_repo(node, caller, GetRepo("r")) == second


def test_after_an_undeletion_the_queued_cleaning_does_nothing(
    node: Node, caller: Principal, repo: str
) -> None:
    public_id = delete_repo(node, caller, DeleteRepo("r")).public_id
    undelete_repo(node, caller, UndeleteRepo("r"))
    assert [job.key for job in list_jobs(node, ListJobs())] == [public_id]
    assert clean_repo(node, CleanRepo(public_id))
    assert names(node, caller) == ["r"]
