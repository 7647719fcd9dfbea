"""The contents of a demo: made once, completed when a part is missing, and otherwise unchanged."""

import pytest

from packhouse.auth.minting import public_pem_of
from packhouse.auth.principal import Principal
from packhouse.git.oid import Oid
from packhouse.git.refname import branch_refname
from packhouse.node.node import Node
from packhouse.operations.demo.prepare_demo import Demo, PrepareDemo, prepare_demo
from packhouse.operations.demo.prepare_shop import PrepareShop, prepare_shop
from packhouse.operations.reading.list_files import ListFiles, list_files
from packhouse.operations.reading.open_file import OpenFile, open_file
from packhouse.operations.refs.create_branch import CreateBranch, create_branch
from packhouse.operations.refs.delete_branch import DeleteBranch, delete_branch
from packhouse.operations.refs.list_branches import ListBranches, list_branches
from packhouse.operations.refs.list_tags import ListTags, list_tags
from packhouse.operations.repos.list_repos import ListRepos, list_repos
from packhouse.operations.tenants.act_as_operator import ActAsOperator, act_as_operator
from packhouse.operations.tenants.list_keys import ListKeys, list_keys
from packhouse.operations.tenants.list_orgs import ListOrgs, list_orgs
from tests.support.builders.node_writes import commit_files

pytestmark = pytest.mark.quick

NAMES = PrepareDemo("guests", "first", "examples")


def prepare(node: Node, names: PrepareDemo = NAMES) -> tuple[Demo, Principal]:
    """Prepare a demo; return it with a caller of its organisation."""
    node.config.data.mkdir(parents=True, exist_ok=True)
    return prepare_demo(node, names), act_as_operator(node, ActAsOperator(names.org))


def tips(node: Node, caller: Principal, repo: str) -> dict[str, Oid]:
    """Return the tip of each branch."""
    return {
        branch.name: branch.head for branch, _ in list_branches(node, caller, ListBranches(repo)).branches
    }


def test_a_demo_has_the_requested_names(node: Node) -> None:
    demo, caller = prepare(node)
    assert (demo.org, demo.repo, demo.shop, demo.branch) == ("guests", "first", "examples", "main")
    assert [org.name for org in list_orgs(node, ListOrgs()).orgs] == ["guests"]
    assert sorted(repo.name for repo in list_repos(node, caller, ListRepos()).repos) == ["examples", "first"]


def test_the_first_repository_has_a_file_to_read(node: Node) -> None:
    demo, caller = prepare(node)
    file = open_file(node, caller, OpenFile(demo.repo, b"README.md"))
    assert b"".join(file.iter_bytes()).startswith(b"# Hello\n")


def test_the_key_in_the_file_is_a_key_of_the_organisation(node: Node) -> None:
    demo, _ = prepare(node)
    (key,) = list_keys(node, ListKeys(demo.org))
    assert key.public_pem.strip() == public_pem_of(demo.key).strip()


def test_preparing_again_changes_nothing(node: Node) -> None:
    demo, caller = prepare(node)
    before = [tips(node, caller, name) for name in (demo.repo, demo.shop)]
    node.clock = lambda: 5000
    again, _ = prepare(node)
    assert [tips(node, caller, name) for name in (demo.repo, demo.shop)] == before
    assert (public_pem_of(again.key), again.key_path) == (public_pem_of(demo.key), demo.key_path)


def test_changes_of_a_guest_stay(node: Node) -> None:
    demo, caller = prepare(node)
    mine = commit_files(node, caller, demo.repo, "main", {"README.md": b"mine\n"}).commit
    shop = commit_files(node, caller, demo.shop, "main", {"mine": b""}).commit
    delete_branch(node, caller, DeleteBranch(demo.shop, branch_refname("feature/tax")))
    prepare(node)
    assert tips(node, caller, demo.repo) == {"main": mine}
    assert tips(node, caller, demo.shop)["main"] == shop
    assert "feature/tax" not in tips(node, caller, demo.shop), "main has moved"


def test_missing_examples_are_made_anew_with_the_same_ids(node: Node, caller: Principal) -> None:
    prepare_shop(node, caller, PrepareShop("s"))
    before = tips(node, caller, "s")
    assert sorted(before) == ["feature/cart", "feature/tax", "main"]
    delete_branch(node, caller, DeleteBranch("s", branch_refname("feature/cart")))
    prepare_shop(node, caller, PrepareShop("s"))
    assert tips(node, caller, "s") == before
    assert [tag.name for tag in list_tags(node, caller, ListTags("s")).tags] == ["release/v1"]


def test_interrupted_examples_are_completed(node: Node, caller: Principal) -> None:
    prepare_shop(node, caller, PrepareShop("whole"))
    prepare_shop(node, caller, PrepareShop("cut"))
    start = list_files(node, caller, ListFiles("cut", "main~1")).commit
    for branch in ("feature/cart", "feature/tax"):
        delete_branch(node, caller, DeleteBranch("cut", branch_refname(branch)))
    main = branch_refname("main")
    create_branch(node, caller, CreateBranch("cut", main, base_ref=start, force=True))
    prepare_shop(node, caller, PrepareShop("cut"))
    assert tips(node, caller, "cut") == tips(node, caller, "whole")
