"""Branches: made, promoted, moved by force, listed in the order of their creation, deleted."""

from dataclasses import replace

import pytest

from packhouse.auth.policy import PolicyDenied, PolicyUnusable, RefPolicy
from packhouse.auth.principal import Principal
from packhouse.cursors import BadCursor, encode_cursor
from packhouse.db.ref_transaction import DefaultBranchProtected, RefMismatch, RefNameConflict
from packhouse.db.repos import RepoNotFound
from packhouse.errors import Conflict, Invalid
from packhouse.git.oid import Oid
from packhouse.git.refname import NewNameRefused, RefName, branch_refname
from packhouse.node.node import Node
from packhouse.operations.refs.branches import Branch, BranchNotFound
from packhouse.operations.refs.create_branch import BranchExists, CreateBranch, create_branch
from packhouse.operations.refs.delete_branch import DeleteBranch, delete_branch
from packhouse.operations.refs.list_branches import ListBranches, list_branches
from packhouse.operations.refs.read_branch import ReadBranch, read_branch
from packhouse.operations.refs.read_ref_log import ReadRefLog, read_ref_log
from packhouse.operations.repos.create_repo import CreateRepo, create_repo
from packhouse.operations.repos.delete_repo import DeleteRepo, delete_repo
from packhouse.repository.refs.resolve import RefNotFound
from packhouse.repository.refs.writer import RefWriter
from tests.support.builders.callers import with_policy
from tests.support.builders.node_writes import commit_files

pytestmark = pytest.mark.quick

MAIN = branch_refname("main")
SIDE = branch_refname("side")


@pytest.fixture
def first(node: Node, caller: Principal, repo: str) -> Oid:
    """The first commit, on main."""
    return commit_files(node, caller, repo, "main", {"a": b"1\n"}).commit


@pytest.fixture
def second(node: Node, caller: Principal, repo: str, first: Oid) -> Oid:
    """The commit after it, on main."""
    return commit_files(node, caller, repo, "main", {"a": b"2\n"}).commit


def tip(node: Node, caller: Principal, refname: RefName, *, ephemeral: bool = False) -> Oid:
    """Return the commit that a branch is at."""
    return read_branch(node, caller, ReadBranch("r", refname, ephemeral)).head


def names(node: Node, caller: Principal, *, ephemeral: bool = False) -> list[str]:
    """Return the branches of a namespace in the order of the listing."""
    return [branch.name for branch, _ in list_branches(node, caller, ListBranches("r", ephemeral)).branches]


# Creating


@pytest.mark.parametrize("base", ["main", "HEAD", "refs/heads/main", "main~0", "{id}", "{id:.8}"])
def test_a_branch_starts_at_the_commit_of_any_ref_input(
    node: Node, caller: Principal, second: Oid, base: str
) -> None:
    made = create_branch(node, caller, CreateBranch("r", SIDE, base_ref=base.format(id=second)))
    assert (made.refname, made.ephemeral, made.tip) == (SIDE, False, second)
    assert tip(node, caller, SIDE) == second


def test_a_branch_starts_at_an_earlier_commit(node: Node, caller: Principal, first: Oid, second: Oid) -> None:
    assert create_branch(node, caller, CreateBranch("r", SIDE, base_ref="main~1")).tip == first
    assert tip(node, caller, MAIN) == second


def test_a_base_given_as_a_branch_cannot_be_an_id_or_a_tag(node: Node, caller: Principal, first: Oid) -> None:
    assert create_branch(node, caller, CreateBranch("r", SIDE, base_refname=MAIN)).tip == first
    with pytest.raises(BranchNotFound) as refused:
        create_branch(
            node, caller, CreateBranch("r", branch_refname("third"), base_refname=branch_refname(first))
        )
    assert refused.value.fields == {"branch": first}


def test_a_base_given_in_both_ways_is_the_ref_input(
    node: Node, caller: Principal, first: Oid, second: Oid
) -> None:
    made = create_branch(node, caller, CreateBranch("r", SIDE, base_ref=first, base_refname=MAIN))
    assert made.tip == first


def test_a_missing_base_makes_no_branch(node: Node, caller: Principal, first: Oid) -> None:
    with pytest.raises(RefNotFound):
        create_branch(node, caller, CreateBranch("r", SIDE, base_ref="nowhere"))
    with pytest.raises(RefNotFound):  # a branch of the other namespace
        create_branch(node, caller, CreateBranch("r", SIDE, base_ref="main", base_is_ephemeral=True))
    with pytest.raises(Invalid):
        create_branch(node, caller, CreateBranch("r", SIDE, base_ref="a..b"))
    assert names(node, caller) == ["main"]


@pytest.mark.parametrize("name", [b"HEAD", b"-x", b"refs/heads/x", b"a" * 40, b"A" * 64])
def test_a_new_branch_has_no_name_that_means_something_else(
    node: Node, caller: Principal, first: Oid, name: bytes
) -> None:
    with pytest.raises(NewNameRefused):
        create_branch(node, caller, CreateBranch("r", RefName(b"refs/heads/" + name), base_ref="main"))


def test_the_name_of_a_branch_cannot_be_a_folder_of_another(
    node: Node, caller: Principal, first: Oid
) -> None:
    create_branch(node, caller, CreateBranch("r", branch_refname("a/b"), base_ref="main"))
    for name in ("a", "a/b/c"):
        with pytest.raises(RefNameConflict):
            create_branch(node, caller, CreateBranch("r", branch_refname(name), base_ref="main"))
    assert names(node, caller) == ["main", "a/b"]


def test_both_namespaces_may_have_a_branch_of_one_name(
    node: Node, caller: Principal, first: Oid, second: Oid
) -> None:
    create_branch(node, caller, CreateBranch("r", SIDE, base_ref=first))
    made = create_branch(node, caller, CreateBranch("r", SIDE, ephemeral=True, base_ref=second))
    assert made.ephemeral
    assert (tip(node, caller, SIDE), tip(node, caller, SIDE, ephemeral=True)) == (first, second)
    assert (names(node, caller), names(node, caller, ephemeral=True)) == (["main", "side"], ["side"])


def test_creating_a_branch_again_at_its_commit_changes_nothing(
    node: Node, caller: Principal, first: Oid
) -> None:
    create_branch(node, caller, CreateBranch("r", SIDE, base_ref="main"))
    moves = read_ref_log(node, caller, ReadRefLog("r")).moves
    assert create_branch(node, caller, CreateBranch("r", SIDE, base_ref="main")).tip == first
    assert read_ref_log(node, caller, ReadRefLog("r")).moves == moves


# Moving


def test_promoting_moves_a_branch_forward_only(
    node: Node, caller: Principal, first: Oid, second: Oid
) -> None:
    create_branch(node, caller, CreateBranch("r", SIDE, base_ref=first))
    create_branch(node, caller, CreateBranch("r", SIDE, ephemeral=True, base_ref=second))
    promote = CreateBranch("r", SIDE, base_refname=SIDE, base_is_ephemeral=True)
    assert create_branch(node, caller, promote).tip == second
    back = replace(promote, base_refname=branch_refname("old"))
    create_branch(node, caller, CreateBranch("r", branch_refname("old"), ephemeral=True, base_ref=first))
    with pytest.raises(BranchExists) as refused:
        create_branch(node, caller, back)
    assert refused.value.fields == {"branch": "side"}
    assert tip(node, caller, SIDE) == second


def test_a_branch_of_the_ephemeral_namespace_is_not_promoted_onto_itself(
    node: Node, caller: Principal, first: Oid, second: Oid
) -> None:
    create_branch(node, caller, CreateBranch("r", SIDE, ephemeral=True, base_ref=first))
    create_branch(node, caller, CreateBranch("r", branch_refname("new"), ephemeral=True, base_ref=second))
    command = CreateBranch("r", SIDE, ephemeral=True, base_ref="new", base_is_ephemeral=True)
    with pytest.raises(BranchExists):
        create_branch(node, caller, command)


def test_force_moves_a_branch_anywhere(node: Node, caller: Principal, first: Oid, second: Oid) -> None:
    create_branch(node, caller, CreateBranch("r", SIDE, base_ref=second))
    assert create_branch(node, caller, CreateBranch("r", SIDE, base_ref=first, force=True)).tip == first
    assert tip(node, caller, SIDE) == first
    moves = read_ref_log(node, caller, ReadRefLog("r", refname=SIDE)).moves
    assert [(move.old_oid, move.new_oid) for move in moves] == [(second, first), (None, second)]
    assert {move.action for move in moves} == {"create-branch"}


def test_a_branch_that_moves_meanwhile_is_checked_again(
    node: Node, caller: Principal, first: Oid, second: Oid, monkeypatch: pytest.MonkeyPatch
) -> None:
    create_branch(node, caller, CreateBranch("r", SIDE, base_ref=first))
    really_move = RefWriter.move
    losses = 0

    def lose_once(self: RefWriter, *args: object, **kwargs: object) -> object:
        nonlocal losses
        if losses == 0:
            losses += 1
            raise RefMismatch(SIDE, expected=first, actual=second)
        return really_move(self, *args, **kwargs)  # type: ignore[arg-type]  # handed on as they came

    monkeypatch.setattr(RefWriter, "move", lose_once)
    create_branch(node, caller, CreateBranch("r", SIDE, base_ref=second, force=True))
    assert (losses, tip(node, caller, SIDE)) == (1, second)


def test_a_branch_that_moves_at_every_attempt_is_given_up(
    node: Node, caller: Principal, first: Oid, second: Oid, monkeypatch: pytest.MonkeyPatch
) -> None:
    create_branch(node, caller, CreateBranch("r", SIDE, base_ref=first))

    def lose(self: RefWriter, *args: object, **kwargs: object) -> object:
        raise RefMismatch(SIDE, expected=first, actual=second)

    monkeypatch.setattr(RefWriter, "move", lose)
    with pytest.raises(Conflict) as refused:
        create_branch(node, caller, CreateBranch("r", SIDE, base_ref=second, force=True))
    assert refused.value.fields == {"branch": "side"}


# Permissions


def test_a_rule_against_pushes_refuses_creation_moves_and_deletion(
    node: Node, caller: Principal, first: Oid, second: Oid
) -> None:
    create_branch(node, caller, CreateBranch("r", SIDE, base_ref=first))
    bound = with_policy(caller, ["side", ["no-push"]], ["new/*", ["no-push"]])
    for command in (
        CreateBranch("r", SIDE, base_ref=second, force=True),
        CreateBranch("r", SIDE, base_ref=first),  # where it is already
        CreateBranch("r", branch_refname("new/one"), base_ref=first),
    ):
        with pytest.raises(PolicyDenied):
            create_branch(node, bound, command)
    with pytest.raises(PolicyDenied):
        delete_branch(node, bound, DeleteBranch("r", SIDE))
    create_branch(node, bound, CreateBranch("r", branch_refname("free"), base_ref=first))
    assert names(node, caller) == ["main", "side", "free"]


def test_a_rule_against_force_lets_a_branch_go_forward_only(
    node: Node, caller: Principal, first: Oid, second: Oid
) -> None:
    create_branch(node, caller, CreateBranch("r", SIDE, base_ref=first))
    bound = with_policy(caller, ["*", ["no-force-push"]])
    create_branch(node, bound, CreateBranch("r", SIDE, base_ref=second, force=True))
    with pytest.raises(PolicyDenied):
        create_branch(node, bound, CreateBranch("r", SIDE, base_ref=first, force=True))
    with pytest.raises(PolicyDenied):
        delete_branch(node, bound, DeleteBranch("r", SIDE))
    assert tip(node, caller, SIDE) == second


def test_a_rule_for_signatures_refuses_unsigned_commits_and_no_deletion(
    node: Node, caller: Principal, first: Oid
) -> None:
    create_branch(node, caller, CreateBranch("r", SIDE, base_ref=first))
    bound = with_policy(caller, ["new", ["verify-sig"]], ["side", ["verify-sig"]])
    delete_branch(node, bound, DeleteBranch("r", SIDE))
    with pytest.raises(PolicyDenied) as refused:
        create_branch(node, bound, CreateBranch("r", branch_refname("new"), base_ref=first))
    assert refused.value.op == "verify-sig"


def test_a_rule_for_signatures_skips_commits_of_other_protected_branches(
    node: Node, caller: Principal, first: Oid
) -> None:
    bound = with_policy(caller, ["*", ["verify-sig"]])
    assert create_branch(node, bound, CreateBranch("r", SIDE, base_ref=first)).tip == first


def test_a_token_whose_rules_are_malformed_reads_and_does_not_write(
    node: Node, caller: Principal, first: Oid
) -> None:
    odd = replace(caller, policy=RefPolicy.parse({"refs": "x"}))
    assert tip(node, odd, MAIN) == first
    with pytest.raises(PolicyUnusable):
        create_branch(node, odd, CreateBranch("r", SIDE, base_ref="main"))
    with pytest.raises(PolicyUnusable):
        delete_branch(node, odd, DeleteBranch("r", MAIN))


def test_another_organisation_finds_no_such_repository(
    node: Node, stranger: Principal, caller: Principal, first: Oid
) -> None:
    with pytest.raises(RepoNotFound):
        list_branches(node, stranger, ListBranches("r"))
    with pytest.raises(RepoNotFound):
        read_branch(node, stranger, ReadBranch("r", MAIN))
    with pytest.raises(RepoNotFound):
        create_branch(node, stranger, CreateBranch("r", SIDE, base_ref="main"))
    with pytest.raises(RepoNotFound):
        delete_branch(node, stranger, DeleteBranch("r", MAIN))


def test_a_deleted_repository_has_no_branches(node: Node, caller: Principal, first: Oid) -> None:
    delete_repo(node, caller, DeleteRepo("r"))
    with pytest.raises(RepoNotFound):
        list_branches(node, caller, ListBranches("r"))
    with pytest.raises(RepoNotFound):
        delete_branch(node, caller, DeleteBranch("r", MAIN))


# Listing


def test_branches_are_listed_in_the_order_in_which_they_were_made(
    node: Node, caller: Principal, first: Oid
) -> None:
    for number, name in enumerate(["z", "b", "y", "a"]):
        node.clock = lambda now=2000 + number // 2: now  # type: ignore[misc]  # two in each second
        create_branch(node, caller, CreateBranch("r", branch_refname(name), base_ref="main"))
    page = list_branches(node, caller, ListBranches("r"))
    assert [(branch.name, branch.created_at) for branch, _ in page.branches] == [
        ("main", 1000),
        ("z", 2000),
        ("b", 2000),
        ("y", 2001),
        ("a", 2001),
    ]
    assert {branch.head for branch, _ in page.branches} == {first}
    assert not page.has_more


@pytest.mark.parametrize("count_max", [1, 2, 5, 6])
def test_pages_hold_every_branch_once(node: Node, caller: Principal, first: Oid, count_max: int) -> None:
    for name in ("z", "b", "y", "a"):
        create_branch(node, caller, CreateBranch("r", branch_refname(name), base_ref="main"))
    found: list[str] = []
    cursor, has_more = None, True
    while has_more:
        page = list_branches(node, caller, ListBranches("r", cursor=cursor, count_max=count_max))
        assert len(page.branches) <= count_max
        found += [branch.name for branch, _ in page.branches]
        cursor, has_more = page.branches[-1][1], page.has_more
    assert found == ["main", "z", "b", "y", "a"]


def test_a_page_goes_on_after_a_branch_that_is_gone_and_finds_one_that_came(
    node: Node, caller: Principal, first: Oid
) -> None:
    for name in ("b", "c"):
        create_branch(node, caller, CreateBranch("r", branch_refname(name), base_ref="main"))
    cursor = list_branches(node, caller, ListBranches("r", count_max=2)).branches[-1][1]
    delete_branch(node, caller, DeleteBranch("r", branch_refname("b")))
    create_branch(node, caller, CreateBranch("r", branch_refname("a"), base_ref="main"))
    page = list_branches(node, caller, ListBranches("r", cursor=cursor))
    assert [branch.name for branch, _ in page.branches] == ["c", "a"]


def test_a_branch_that_is_made_again_is_listed_last(node: Node, caller: Principal, first: Oid) -> None:
    for name in ("a", "b"):
        create_branch(node, caller, CreateBranch("r", branch_refname(name), base_ref="main"))
    delete_branch(node, caller, DeleteBranch("r", branch_refname("a")))
    create_branch(node, caller, CreateBranch("r", branch_refname("a"), base_ref="main"))
    assert names(node, caller) == ["main", "b", "a"]


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "x",
        "\ud800",
        encode_cursor(b"1", b"refs/heads/main"),
        encode_cursor(b"time", b"1", b"refs/heads/main"),
        encode_cursor(b"creation", b"x", b"refs/heads/main"),
        encode_cursor(b"creation", b"1", b"no ref name"),
    ],
)
def test_a_cursor_of_another_listing_is_refused(
    node: Node, caller: Principal, repo: str, cursor: str
) -> None:
    with pytest.raises(BadCursor):
        list_branches(node, caller, ListBranches(repo, cursor=cursor))


def test_an_empty_repository_has_no_branches(node: Node, caller: Principal, repo: str) -> None:
    page = list_branches(node, caller, ListBranches(repo))
    assert (page.branches, page.has_more) == ([], False)
    with pytest.raises(BranchNotFound):
        read_branch(node, caller, ReadBranch(repo, MAIN))


def test_branches_of_repositories_are_apart(node: Node, caller: Principal, first: Oid) -> None:
    create_repo(node, caller, CreateRepo("other"))
    with pytest.raises(BranchNotFound):
        read_branch(node, caller, ReadBranch("other", MAIN))
    with pytest.raises(RefNotFound):
        create_branch(node, caller, CreateBranch("other", SIDE, base_ref=first))


def test_a_branch_is_read_with_its_time_of_creation_not_of_its_last_move(
    node: Node, caller: Principal, first: Oid
) -> None:
    node.clock = lambda: 5000
    second = commit_files(node, caller, "r", "main", {"a": b"2\n"}).commit
    assert read_branch(node, caller, ReadBranch("r", MAIN)) == Branch("main", second, 1000)


# Deleting


def test_a_deleted_branch_is_gone_and_may_be_made_again(node: Node, caller: Principal, first: Oid) -> None:
    create_branch(node, caller, CreateBranch("r", SIDE, base_ref="main"))
    delete_branch(node, caller, DeleteBranch("r", SIDE))
    for attempt in (
        lambda: read_branch(node, caller, ReadBranch("r", SIDE)),
        lambda: delete_branch(node, caller, DeleteBranch("r", SIDE)),
    ):
        with pytest.raises(BranchNotFound):
            attempt()
    assert create_branch(node, caller, CreateBranch("r", SIDE, base_ref="main")).tip == first


def test_the_default_branch_is_deleted_in_the_ephemeral_namespace_only(
    node: Node, caller: Principal, first: Oid
) -> None:
    create_branch(node, caller, CreateBranch("r", MAIN, ephemeral=True, base_ref="main"))
    with pytest.raises(DefaultBranchProtected):
        delete_branch(node, caller, DeleteBranch("r", MAIN))
    delete_branch(node, caller, DeleteBranch("r", MAIN, ephemeral=True))
    assert (names(node, caller), names(node, caller, ephemeral=True)) == (["main"], [])


def test_deleting_looks_in_the_named_namespace_only(node: Node, caller: Principal, first: Oid) -> None:
    create_branch(node, caller, CreateBranch("r", SIDE, ephemeral=True, base_ref="main"))
    with pytest.raises(BranchNotFound):
        delete_branch(node, caller, DeleteBranch("r", SIDE))
    assert names(node, caller, ephemeral=True) == ["side"]
