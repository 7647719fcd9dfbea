"""The repository of the documentation's examples: missing parts are made, and nothing else is changed."""

import pytest

from packhouse.auth.principal import Principal
from packhouse.db.ref_transaction import RefUpdate
from packhouse.db.refs import list_refs
from packhouse.git.oid import Oid
from packhouse.git.refname import PERSISTENT, RefName
from packhouse.node.node import Node
from packhouse.operations.catalog.lookup import lookup_repo
from packhouse.operations.demo.prepare_shop import PrepareShop, prepare_shop
from tests.support.builders.node_writes import move_refs

SHOP = "apps/shop"
START = Oid("905818a2a0c1cd2558e4fddd3d5426f5fd72198c")
MAIN, CART, TAX, NOTES, TAG = (
    RefName(b"refs/" + name)
    for name in (
        b"heads/main",
        b"heads/feature/cart",
        b"heads/feature/tax",
        b"notes/reviews",
        b"tags/release/v1",
    )
)
REFS = {
    MAIN: "68e25b9dbfeaef21488fdb63f79ec2694d99da63",
    CART: "ee3fe442d25cb286dada7a6d3dc2ff2e8044dcb0",
    TAX: "c15373b5a09ba929162ca26ad57593f7d56bbe3d",
    NOTES: "556c11e479e6863120d77614fd70e2003512bc24",
    TAG: "68e25b9dbfeaef21488fdb63f79ec2694d99da63",
}


@pytest.fixture(autouse=True)
def shop(node: Node, caller: Principal) -> None:
    prepare_shop(node, caller, PrepareShop(SHOP))


def refs(node: Node, caller: Principal) -> dict[RefName, str]:
    repo = lookup_repo(node, caller, SHOP)
    with node.database.read() as session:
        return {ref.refname: ref.oid for ref in list_refs(session, repo.id, PERSISTENT)}


def move(node: Node, caller: Principal, refname: RefName, target: Oid | None) -> None:
    update = RefUpdate(PERSISTENT, refname, None, target, any_old=True)
    move_refs(node, caller, lookup_repo(node, caller, SHOP), update, action="push")


def test_the_ids_are_those_in_the_documentation(node: Node, caller: Principal) -> None:
    assert refs(node, caller) == REFS


def test_the_next_start_completes_an_interrupted_one(node: Node, caller: Principal) -> None:
    move(node, caller, MAIN, START)  # the state after its first commit
    for refname in (CART, TAX, NOTES, TAG):
        move(node, caller, refname, None)
    prepare_shop(node, caller, PrepareShop(SHOP))
    assert refs(node, caller) == REFS
    for refname in (NOTES, TAX):
        move(node, caller, refname, None)
    prepare_shop(node, caller, PrepareShop(SHOP))
    assert refs(node, caller) == REFS


def test_a_repository_whose_main_has_moved_is_unchanged(node: Node, caller: Principal) -> None:
    move(node, caller, MAIN, Oid(REFS[CART]))
    move(node, caller, TAG, None)
    before = refs(node, caller)
    prepare_shop(node, caller, PrepareShop(SHOP))
    assert refs(node, caller) == before
