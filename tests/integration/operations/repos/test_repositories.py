"""Creating, listing, showing, changing and deleting repositories."""

import base64
from functools import partial

import pytest

from packhouse.auth.principal import Principal, operator_principal
from packhouse.cursors import BadCursor
from packhouse.db.repos import RepoExists, RepoNotFound
from packhouse.errors import Invalid
from packhouse.git.refname import EPHEMERAL, branch_refname
from packhouse.node.node import Node
from packhouse.operations.refs.branches import BranchNotFound
from packhouse.operations.repos.create_repo import CreateRepo, create_repo
from packhouse.operations.repos.delete_repo import DeleteRepo, DeletionPending, delete_repo
from packhouse.operations.repos.get_repo import GetRepo, get_repo
from packhouse.operations.repos.list_repos import ListRepos, list_repos
from packhouse.operations.repos.repo_info import RepoInfo
from packhouse.operations.repos.update_repo import UpdateRepo, update_repo
from packhouse.operations.tenants.create_org import CreateOrg, create_org
from packhouse.web.json.base_repo import parse_default_branch
from tests.support.builders.rows import apply, branch_update, oid


def list_all(node: Node, caller: Principal, **query: object) -> list[RepoInfo]:
    repos: list[RepoInfo] = []
    cursor: str | None = None
    while True:
        page = list_repos(node, caller, ListRepos(cursor=cursor, **query))  # type: ignore[arg-type]  # by name
        repos.extend(page.repos)
        if page.cursor is None:
            return repos
        cursor = page.cursor


def test_a_new_repository_has_ids_and_defaults(node: Node, caller: Principal) -> None:
    repo = create_repo(node, caller, CreateRepo("apps/shop"))
    assert repo.public_id.startswith("repo_")
    assert len(repo.public_id) == len("repo_") + 24
    assert 1 <= repo.id < 2**31
    assert (repo.name, repo.default_branch, repo.created_at) == ("apps/shop", "main", 1000)
    assert get_repo(node, caller, GetRepo("apps/shop")) == repo


def test_creating_a_repository_touches_the_database_only(node: Node, caller: Principal) -> None:
    def files() -> set[str]:
        found = {str(path.relative_to(node.config.data)) for path in node.config.data.rglob("*")}
        return {name for name in found if not name.startswith("packhouse.db")}

    before = files()
    create_repo(node, caller, CreateRepo("apps/shop"))
    assert files() == before


@pytest.mark.parametrize(
    ("given", "branch"),
    [
        ("trunk", "trunk"),
        ("refs/heads/trunk", "trunk"),
        (" a/b ", "a/b"),
        ("  ", "main"),
        ("", "main"),
        (None, "main"),
    ],
)
def test_the_default_branch_is_the_requested_one(
    node: Node, caller: Principal, given: str | None, branch: str
) -> None:
    assert (
        create_repo(
            node, caller, CreateRepo("shop", default_branch=parse_default_branch(given))
        ).default_branch
        == branch
    )


@pytest.mark.parametrize(
    "branch", ["refs/tags/x", "a..b", "-a", "a b", "HEAD", "a.lock", "\ud800", "x" * 2000]
)
def test_a_default_branch_that_git_refuses_is_refused(node: Node, caller: Principal, branch: str) -> None:
    with pytest.raises(Invalid):
        create_repo(node, caller, CreateRepo("shop", default_branch=parse_default_branch(branch)))
    assert list_all(node, caller) == []


def test_a_taken_name_is_refused_but_may_be_used_in_another_organisation(
    node: Node, caller: Principal
) -> None:
    first = create_repo(node, caller, CreateRepo("shop"))
    with pytest.raises(RepoExists):
        create_repo(node, caller, CreateRepo("shop", default_branch=branch_refname("other")))
    assert get_repo(node, caller, GetRepo("shop")) == first
    other = create_org(node, CreateOrg("other"))
    second = create_repo(node, operator_principal(other.id, other.name), CreateRepo("shop"))
    assert second.public_id != first.public_id


@pytest.mark.parametrize("name", ["none", "", "a\0b", "\ud800", "org", "x" * 300, "shop.git"])
def test_a_name_that_no_repository_has_is_not_found(node: Node, caller: Principal, name: str) -> None:
    create_repo(node, caller, CreateRepo("shop"))
    with pytest.raises(RepoNotFound):
        get_repo(node, caller, GetRepo(name))
    with pytest.raises(RepoNotFound):
        delete_repo(node, caller, DeleteRepo(name))
    with pytest.raises(RepoNotFound):
        update_repo(node, caller, UpdateRepo(name, branch_refname("main")))


def test_pages_hold_every_repository_once_in_order_of_creation(node: Node, caller: Principal) -> None:
    for number in range(47):
        node.clock = partial(int, 1000 + number // 10)
        create_repo(node, caller, CreateRepo(f"repo-{99 - number}"))
    everything = [f"repo-{99 - number}" for number in range(47)]
    assert [repo.name for repo in list_all(node, caller)] == everything
    assert [repo.name for repo in list_all(node, caller, count_max=7)] == everything
    page = list_repos(node, caller, ListRepos())
    assert len(page.repos) == 20
    assert len(list_repos(node, caller, ListRepos(count_max=0)).repos) == 20
    assert len(list_repos(node, caller, ListRepos(count_max=10_000)).repos) == 47
    assert list_repos(node, caller, ListRepos(count_max=47)).cursor is None


def test_the_listing_has_only_the_callers_repositories_without_deleted_ones(
    node: Node, caller: Principal
) -> None:
    other = create_org(node, CreateOrg("other"))
    create_repo(node, operator_principal(other.id, other.name), CreateRepo("theirs"))
    create_repo(node, caller, CreateRepo("ours"))
    create_repo(node, caller, CreateRepo("gone"))
    delete_repo(node, caller, DeleteRepo("gone"))
    assert [repo.name for repo in list_all(node, caller)] == ["ours"]


def test_search_trims_and_ignores_case(node: Node, caller: Principal) -> None:
    for name in ("apps/Shop", "apps/mail", "100%"):
        create_repo(node, caller, CreateRepo(name))
    assert [repo.name for repo in list_all(node, caller, text="  sHOP ")] == ["apps/Shop"]
    assert [repo.name for repo in list_all(node, caller, text="%")] == ["100%"]
    assert len(list_all(node, caller, text="   ")) == 3
    assert list_all(node, caller, text="\ud800") == []


@pytest.mark.parametrize(
    "cursor",
    ["x", "====", "é", "YQ", "MTA6", "LTE6MQ", "\ud800"]
    + [base64.urlsafe_b64encode(raw).decode() for raw in (b"1:2:3", b"1:x", b"9" * 30 + b":1", b" 1:2")],
)
def test_a_cursor_that_this_server_did_not_make_is_refused(
    node: Node, caller: Principal, cursor: str
) -> None:
    with pytest.raises(BadCursor):
        list_repos(node, caller, ListRepos(cursor=cursor))


def test_a_negative_limit_is_refused_and_a_blank_cursor_is_absent(node: Node, caller: Principal) -> None:
    with pytest.raises(Invalid):
        list_repos(node, caller, ListRepos(count_max=-1))
    assert list_repos(node, caller, ListRepos(cursor="")).repos == []


def test_the_default_branch_of_an_empty_repository_may_be_any(node: Node, caller: Principal) -> None:
    repo = create_repo(node, caller, CreateRepo("shop"))
    apply(node.database, repo.id, branch_update("elsewhere", None, oid(1), namespace=EPHEMERAL))
    assert update_repo(node, caller, UpdateRepo("shop", branch_refname("trunk"))).default_branch == "trunk"
    assert get_repo(node, caller, GetRepo("shop")).default_branch == "trunk"


def test_the_default_branch_must_exist_once_there_are_branches(node: Node, caller: Principal) -> None:
    repo = create_repo(node, caller, CreateRepo("shop"))
    apply(node.database, repo.id, branch_update("trunk", None, oid(1)))
    with pytest.raises(BranchNotFound):
        update_repo(node, caller, UpdateRepo("shop", branch_refname("other")))
    assert get_repo(node, caller, GetRepo("shop")).default_branch == "main"
    assert update_repo(node, caller, UpdateRepo("shop", branch_refname("trunk"))).default_branch == "trunk"


def test_a_deleted_repository_is_gone_and_its_name_free(node: Node, caller: Principal) -> None:
    repo = create_repo(node, caller, CreateRepo("shop"))
    deleted = delete_repo(node, caller, DeleteRepo("shop"))
    assert (deleted.public_id, deleted.name) == (repo.public_id, "shop")
    with pytest.raises(RepoNotFound):
        get_repo(node, caller, GetRepo("shop"))
    with pytest.raises(DeletionPending):
        delete_repo(node, caller, DeleteRepo("shop"))
    again = create_repo(node, caller, CreateRepo("shop"))
    assert again.id > repo.id
    assert again.public_id != repo.public_id
    assert delete_repo(node, caller, DeleteRepo("shop")).public_id == again.public_id


def test_a_deletion_queues_the_clean_up(node: Node, caller: Principal) -> None:
    repo = create_repo(node, caller, CreateRepo("shop"))
    delete_repo(node, caller, DeleteRepo("shop"))
    with node.database.read() as session:
        connection = session._connection  # type: ignore[attr-defined]  # no query lists jobs yet
        rows = connection.execute("SELECT kind, key, repo_id, run_at FROM jobs").fetchall()
    assert rows == [("clean_repo", repo.public_id, repo.id, 1000 + 30 * 24 * 3600)]
