"""Organisations and their keys, as an operator uses them."""

from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key

from packhouse.auth.public_keys import KeyRejected, encode_public_key
from packhouse.db.orgs import OrgExists
from packhouse.errors import Invalid, LimitExceeded
from packhouse.git.oid import EMPTY_TREE_OID
from packhouse.ids import RepoKey
from packhouse.limits import Limits
from packhouse.node.node import Node
from packhouse.operations.tenants.add_key import AddKey, KeyExists, add_key
from packhouse.operations.tenants.create_org import CreateOrg, create_org
from packhouse.operations.tenants.list_keys import ListKeys, list_keys
from packhouse.operations.tenants.list_orgs import ListOrgs, list_orgs
from packhouse.operations.tenants.orgs import OrgNameInvalid, OrgNotFound
from packhouse.operations.tenants.revoke_key import KeyNotFound, RevokeKey, revoke_key


@pytest.fixture
def pem() -> str:
    return encode_public_key(generate_private_key(SECP256R1()).public_key())


def test_organisations_are_created_once_and_listed_by_name(node: Node) -> None:
    for number in range(120):
        create_org(node, CreateOrg(f"org-{number:03}"))
    with pytest.raises(OrgExists):
        create_org(node, CreateOrg("org-007"))
    names = [f"org-{number:03}" for number in range(120)]
    first = list_orgs(node, ListOrgs())
    assert ([org.name for org in first.orgs], first.has_more) == (names[:100], True)
    rest = list_orgs(node, ListOrgs(after="org-099"))
    assert ([org.name for org in rest.orgs], rest.has_more) == (names[100:], False)


@pytest.mark.parametrize("name", ["", "-a", "a-", "a b", "a/b", "ä", "a\n", "a" * 101, "a\0", "\ud800"])
def test_a_name_that_fits_no_host_and_no_issuer_is_refused(node: Node, name: str) -> None:
    with pytest.raises(OrgNameInvalid):
        create_org(node, CreateOrg(name))


def test_a_key_is_added_listed_and_revoked_for_good(node: Node, pem: str) -> None:
    create_org(node, CreateOrg("acme"))
    key = add_key(node, AddKey("acme", public_pem=pem, label="laptop", kid="k1"))
    assert key.key_id.startswith("key_")
    assert (key.label, key.kid, key.created_at, key.revoked_at) == ("laptop", "k1", 1000, None)
    assert list_keys(node, ListKeys("acme")) == [key]
    assert revoke_key(node, RevokeKey("acme", key.key_id)).revoked_at == 1000
    node.clock = lambda: 2000
    assert revoke_key(node, RevokeKey("acme", key.key_id)).revoked_at == 1000


def test_one_key_is_active_once_however_it_is_written(node: Node, pem: str) -> None:
    create_org(node, CreateOrg("acme"))
    key = add_key(node, AddKey("acme", public_pem=pem))
    with pytest.raises(KeyExists) as refusal:
        add_key(node, AddKey("acme", public_pem="\n" + pem.replace("\n", "\r\n")))
    assert refusal.value.key_id == key.key_id
    revoke_key(node, RevokeKey("acme", key.key_id))
    assert add_key(node, AddKey("acme", public_pem=pem)).key_id != key.key_id


def test_wrong_keys_words_and_names_are_refused(node: Node, pem: str) -> None:
    create_org(node, CreateOrg("acme"))
    with pytest.raises(KeyRejected):
        add_key(node, AddKey("acme", public_pem="no key"))
    for words in ({"label": "x" * 201}, {"kid": "a\0"}, {"label": "\ud800"}):
        with pytest.raises(Invalid):
            add_key(node, AddKey("acme", public_pem=pem, **words))
    with pytest.raises(OrgNotFound):
        add_key(node, AddKey("nobody", public_pem=pem))
    with pytest.raises(OrgNotFound):
        list_keys(node, ListKeys("a\0b"))
    with pytest.raises(KeyNotFound):
        revoke_key(node, RevokeKey("acme", "key_none"))
    assert list_keys(node, ListKeys("acme")) == []


def test_two_nodes_of_one_process_have_bounds_of_their_own(node: Node) -> None:
    create_org(node, CreateOrg("acme"))
    strict = replace(node, limits=Limits(active_keys_max=2, tree_table_entries_max=10))
    pems = [encode_public_key(generate_private_key(SECP256R1()).public_key()) for _ in range(3)]
    for pem in pems[:2]:
        add_key(strict, AddKey("acme", public_pem=pem))
    with pytest.raises(LimitExceeded, match="too many active keys"):
        add_key(strict, AddKey("acme", public_pem=pems[2]))
    add_key(node, AddKey("acme", public_pem=pems[2]))
    for number in range(9):
        strict.tree_tables.put((RepoKey(number), EMPTY_TREE_OID), {})
        node.tree_tables.put((RepoKey(number), EMPTY_TREE_OID), {})
    assert (len(strict.tree_tables), len(node.tree_tables)) == (2, 9)
