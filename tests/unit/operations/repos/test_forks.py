"""Forks and snapshots: the copied refs and objects, and the permissions."""

import pytest

from packhouse.auth.principal import Principal, RepoClaimMismatch, ScopeMissing
from packhouse.db.repos import RepoExists, RepoNotFound
from packhouse.errors import Denied, Unauthenticated
from packhouse.git.objects.codec import Person, parse_commit
from packhouse.git.oid import EMPTY_TREE_OID, Oid
from packhouse.git.refname import NewNameRefused, branch_refname, tag_refname
from packhouse.node.node import Node
from packhouse.operations.catalog.lookup import lookup_repo
from packhouse.operations.refs.create_branch import CreateBranch, create_branch
from packhouse.operations.refs.create_tag import CreateTag, create_tag
from packhouse.operations.refs.list_branches import ListBranches, list_branches
from packhouse.operations.refs.list_tags import ListTags, list_tags
from packhouse.operations.refs.read_ref_log import ReadRefLog, read_ref_log
from packhouse.operations.refs.tags import Tag
from packhouse.operations.removal.expire_repos import ExpireRepos, expire_repos
from packhouse.operations.repos.bases import Base, ForkBase, SnapshotBase
from packhouse.operations.repos.create_repo import CreateRepo, create_repo
from packhouse.operations.repos.delete_repo import DeleteRepo, delete_repo
from packhouse.operations.repos.get_repo import GetRepo, get_repo
from packhouse.operations.repos.list_repos import ListRepos, list_repos
from packhouse.operations.repos.repo_info import RepoInfo
from packhouse.operations.tenants.add_key import AddKey, add_key
from packhouse.repository.refs.resolve import RefNotFound
from packhouse.repository.view import open_view
from tests.support.builders.keys import KeyPair, make_key_pair, sign_token
from tests.support.builders.node_writes import commit_files

pytestmark = pytest.mark.quick

ADA = Person("Ada", "ada@example.test", 5000, "+0100")


@pytest.fixture(scope="module")
def pair() -> KeyPair:
    """The key pair that signs tokens."""
    return make_key_pair()


@pytest.fixture
def token(node: Node, caller: Principal, pair: KeyPair, repo: str) -> str:
    """A token of acme's that reads the source."""
    add_key(node, AddKey("acme", pair.public_pem))
    return sign(pair)


@pytest.fixture
def history(node: Node, caller: Principal, repo: str) -> tuple[Oid, Oid, Oid]:
    """Two commits of main, the first with tag v1 and the second with v2, and one more on side."""
    first = commit_files(node, caller, "r", "main", {"a": b"1\n"}).commit
    create_tag(node, caller, CreateTag("r", tag_refname("v1"), "main"))
    second = commit_files(node, caller, "r", "main", {"a": b"2\n"}).commit
    create_tag(node, caller, CreateTag("r", tag_refname("v2"), "main"))
    side = commit_files(node, caller, "r", "side", {"s": b"s\n"}, base="main").commit
    return first, second, side


def sign(pair: KeyPair, **claims: object) -> str:
    """Return a token that is valid at second 1000."""
    usual = {"iss": "acme", "repo": "r", "scopes": ["git:read"], "iat": 1000, "exp": 4600}
    return sign_token(pair, {**usual, **claims})


def create(node: Node, caller: Principal, base: Base, default_branch: str | None = None) -> RepoInfo:
    """Make the repository `copy`."""
    branch = None if default_branch is None else branch_refname(default_branch)
    return create_repo(node, caller, CreateRepo("copy", branch, base))


def branches(node: Node, caller: Principal) -> dict[str, Oid]:
    """Return the branches of `copy` in the order of their creation."""
    page = list_branches(node, caller, ListBranches("copy"))
    return {branch.name: branch.head for branch, _ in page.branches}


def tags(node: Node, caller: Principal) -> list[Tag]:
    """Return the tags of `copy`."""
    return list_tags(node, caller, ListTags("copy")).tags


# Forks


def test_a_fork_has_every_branch_and_tag_in_the_order_of_the_source(
    node: Node, caller: Principal, token: str, history: tuple[Oid, Oid, Oid]
) -> None:
    first, second, side = history
    create_branch(
        node, caller, CreateBranch("r", branch_refname("draft"), ephemeral=True, base_ref="refs/heads/main")
    )
    made = create(node, caller, ForkBase("r", token))
    assert (made.name, made.default_branch, made.upstream) == ("copy", "main", None)
    assert list(branches(node, caller).items()) == [("main", second), ("side", side)]
    assert tags(node, caller) == [Tag("v1", first), Tag("v2", second)]
    assert list_branches(node, caller, ListBranches("copy", ephemeral=True)).branches == []
    assert {move.action for move in read_ref_log(node, caller, ReadRefLog("copy")).moves} == {"fork"}


def test_a_fork_of_one_branch_has_the_tags_that_it_reaches(
    node: Node, caller: Principal, token: str, history: tuple[Oid, Oid, Oid]
) -> None:
    first, _second, _side = history
    create_branch(node, caller, CreateBranch("r", branch_refname("old"), base_ref="v1"))
    made = create(node, caller, ForkBase("r", token, ref="old"))
    assert made.default_branch == "old"
    assert branches(node, caller) == {"old": first}
    assert tags(node, caller) == [Tag("v1", first)]


@pytest.mark.parametrize("ref", ["v1", "refs/tags/v1"])
def test_a_fork_of_a_tag_puts_its_commit_on_the_default_branch(
    node: Node, caller: Principal, token: str, history: tuple[Oid, Oid, Oid], ref: str
) -> None:
    create(node, caller, ForkBase("r", token, ref=ref))
    assert branches(node, caller) == {"main": history[0]}


def test_a_fork_of_a_commit_begins_there_whatever_the_ref_says(
    node: Node, caller: Principal, token: str, history: tuple[Oid, Oid, Oid]
) -> None:
    made = create(node, caller, ForkBase("r", token, ref="side", oid=history[0]))
    assert made.default_branch == "side", "the ref still gives the name"
    assert branches(node, caller) == {"side": history[0]}


def test_a_fork_has_the_default_branch_that_is_asked_for(
    node: Node, caller: Principal, token: str, history: tuple[Oid, Oid, Oid]
) -> None:
    made = create(node, caller, ForkBase("r", token, ref="side"), "trunk")
    assert made.default_branch == "trunk"
    assert branches(node, caller) == {"trunk": history[2]}


def test_an_empty_repository_forks_to_an_empty_one_with_its_default_branch(
    node: Node, caller: Principal, token: str
) -> None:
    assert create(node, caller, ForkBase("r", token)).default_branch == "main"
    assert branches(node, caller) == {}
    with pytest.raises(RefNotFound):
        create_repo(node, caller, CreateRepo("more", None, ForkBase("r", token, ref="main")))


@pytest.mark.parametrize("ref", ["nowhere", "refs/heads/v1", "refs/notes/commits", "{first}", "{first:.8}"])
def test_a_fork_of_an_unknown_branch_or_tag_is_not_found(
    node: Node, caller: Principal, token: str, history: tuple[Oid, Oid, Oid], ref: str
) -> None:
    with pytest.raises(RefNotFound):
        create(node, caller, ForkBase("r", token, ref=ref.format(first=history[0])))


def test_a_fork_of_a_commit_that_no_branch_reaches_is_not_found(
    node: Node, caller: Principal, token: str, history: tuple[Oid, Oid, Oid]
) -> None:
    lost = commit_files(node, caller, "r", "side", {"s": b"lost\n"}).commit
    create_branch(node, caller, CreateBranch("r", branch_refname("side"), base_ref=history[2], force=True))
    for oid in (lost, Oid("1" * 40)):
        with pytest.raises(RefNotFound):
            create(node, caller, ForkBase("r", token, oid=oid))
    assert [repo.name for repo in list_repos(node, caller, ListRepos()).repos] == ["r"]


def test_a_fork_lives_on_without_its_source(
    node: Node, caller: Principal, token: str, history: tuple[Oid, Oid, Oid]
) -> None:
    create(node, caller, ForkBase("r", token))
    delete_repo(node, caller, DeleteRepo("r"))
    commit_files(node, caller, "copy", "main", {"b": b"more\n"})
    with open_view(node, lookup_repo(node, caller, "copy")) as view:
        assert parse_commit(view.read(history[2], kind="commit")[1]).parents == (history[1],)


# Permissions


def test_a_source_is_opened_by_a_token_of_its_own(
    node: Node, caller: Principal, pair: KeyPair, token: str, history: tuple[Oid, Oid, Oid]
) -> None:
    for refused, error in (
        ("no token", Unauthenticated),
        (sign(pair, exp=500), Unauthenticated),
        (sign(pair, repo="other"), RepoClaimMismatch),
        (sign(pair, repo="org"), RepoClaimMismatch),
        (sign(pair, repo=None), RepoClaimMismatch),
        (sign(pair, scopes=["repo:write"]), ScopeMissing),
    ):
        with pytest.raises(error):
            create(node, caller, ForkBase("r", refused))
    create(node, caller, ForkBase("r", sign(pair, scopes=["git:write"])))


def test_a_repository_of_another_organisation_is_not_forked(
    node: Node, caller: Principal, stranger: Principal, pair: KeyPair, token: str
) -> None:
    add_key(node, AddKey("elsewhere", pair.public_pem))
    create_repo(node, stranger, CreateRepo("r"))
    with pytest.raises(Denied):
        create(node, caller, ForkBase("r", sign(pair, iss="elsewhere")))
    with pytest.raises(Denied):
        create(node, stranger, ForkBase("r", token))


def test_a_source_that_is_gone_is_not_found(
    node: Node, caller: Principal, token: str, history: tuple[Oid, Oid, Oid]
) -> None:
    delete_repo(node, caller, DeleteRepo("r"))
    with pytest.raises(RepoNotFound):
        create(node, caller, ForkBase("r", token))


def test_a_taken_name_is_refused_and_its_repository_is_unchanged(
    node: Node, caller: Principal, token: str, history: tuple[Oid, Oid, Oid]
) -> None:
    taken = create_repo(node, caller, CreateRepo("copy"))
    with pytest.raises(RepoExists):
        create(node, caller, ForkBase("r", token))
    assert get_repo(node, caller, GetRepo("copy")) == taken
    assert branches(node, caller) == {}


def test_a_fork_is_not_given_a_default_branch_that_nobody_could_push(
    node: Node, caller: Principal, token: str, history: tuple[Oid, Oid, Oid]
) -> None:
    with pytest.raises(NewNameRefused):
        create(node, caller, ForkBase("r", token), "-x")


# Snapshots


def snapshot(token: str, ref: str | None = None) -> SnapshotBase:
    """Return a base for a snapshot with a commit by Ada."""
    return SnapshotBase("r", token, ref, b"Start over\n", ADA)


@pytest.mark.parametrize(("ref", "place"), [(None, 1), ("HEAD", 1), ("v1", 0), ("side", 2)])
def test_a_snapshot_is_one_root_commit_with_the_tree_of_the_ref(
    node: Node, caller: Principal, token: str, history: tuple[Oid, Oid, Oid], ref: str | None, place: int
) -> None:
    made = create(node, caller, snapshot(token, ref))
    assert made.default_branch == "main"
    (tip,) = branches(node, caller).values()
    with open_view(node, lookup_repo(node, caller, "copy")) as view:
        commit = parse_commit(view.read(tip, kind="commit")[1])
        assert view.kind_and_size(history[place]) is None, "none of the history comes along"
    with open_view(node, lookup_repo(node, caller, "r")) as view:
        source = parse_commit(view.read(history[place], kind="commit")[1])
    assert (commit.tree, commit.parents, commit.author, commit.committer) == (source.tree, (), ADA, ADA)
    assert tags(node, caller) == []
    assert [move.action for move in read_ref_log(node, caller, ReadRefLog("copy")).moves] == ["snapshot"]


def test_a_snapshot_of_an_empty_tree_is_a_commit_of_it(
    node: Node, caller: Principal, token: str, history: tuple[Oid, Oid, Oid]
) -> None:
    commit_files(node, caller, "r", "main", {"a": None})
    create(node, caller, snapshot(token), "trunk")
    with open_view(node, lookup_repo(node, caller, "copy")) as view:
        tip = branches(node, caller)["trunk"]
        assert parse_commit(view.read(tip, kind="commit")[1]).tree == EMPTY_TREE_OID


def test_a_snapshot_of_a_missing_ref_is_not_found(node: Node, caller: Principal, token: str) -> None:
    for ref in (None, "main", "nowhere"):
        with pytest.raises(RefNotFound):
            create(node, caller, snapshot(token, ref))
    assert [repo.name for repo in list_repos(node, caller, ListRepos()).repos] == ["r"]


def test_a_snapshot_asks_for_the_sources_token_as_a_fork_does(
    node: Node, caller: Principal, pair: KeyPair, token: str, history: tuple[Oid, Oid, Oid]
) -> None:
    with pytest.raises(Unauthenticated):
        create(node, caller, snapshot("no token"))
    with pytest.raises(RepoClaimMismatch):
        create(node, caller, snapshot(sign(pair, repo="other")))


# Expiry


def test_forks_and_snapshots_expire_at_the_given_time(
    node: Node, caller: Principal, token: str, history: tuple[Oid, Oid, Oid]
) -> None:
    bases: list[Base] = [ForkBase("r", token), SnapshotBase("r", token, None, b"Start\n", ADA)]
    for number, base in enumerate(bases):
        made = create_repo(node, caller, CreateRepo(f"copy{number}", base=base, expires_at=2000))
        assert made.expires_at == 2000
        assert get_repo(node, caller, GetRepo(made.name)) == made
    node.clock = lambda: 2000
    assert expire_repos(node, ExpireRepos()) == 2
    assert [repo.name for repo in list_repos(node, caller, ListRepos()).repos] == ["r"]
