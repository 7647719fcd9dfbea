"""Tokens are believed by the keys in the database."""

import pytest

from packhouse.auth.minting import public_pem_of
from packhouse.auth.token_refusals import TokenRefused
from packhouse.db.keys import insert_key
from packhouse.db.orgs import insert_org
from packhouse.node.issuer_keys import load_org_keys, make_token_verifier
from packhouse.node.node import Node
from packhouse.operations.tenants.add_key import AddKey, add_key
from packhouse.operations.tenants.create_org import CreateOrg, create_org
from packhouse.operations.tenants.revoke_key import RevokeKey, revoke_key
from tests.unit.auth.forge import NOW, claims, forge, private_key

pytestmark = pytest.mark.quick


def test_an_organisation_has_its_active_keys_newest_first(memory_node: Node) -> None:
    create_org(memory_node, CreateOrg("acme"))
    create_org(memory_node, CreateOrg("other"))
    added = []
    for number in (1, 2, 3):
        memory_node.clock = lambda now=1000 + number: now  # type: ignore[misc]  # a clock takes nothing
        pem = public_pem_of(private_key("ES256", number))
        added.append(add_key(memory_node, AddKey("acme", pem, kid=f"k{number}")))
    revoke_key(memory_node, RevokeKey("acme", added[1].key_id))
    found = load_org_keys(memory_node.database, "acme")
    assert found is not None
    assert [(key.key_id, key.kid, key.algorithm) for key in found.keys] == [
        (added[2].key_id, "k3", "ES256"),
        (added[0].key_id, "k1", "ES256"),
    ]
    empty = load_org_keys(memory_node.database, "other")
    assert empty is not None and empty.keys == ()


def test_an_unknown_organisation_has_none(memory_node: Node) -> None:
    assert load_org_keys(memory_node.database, "nobody") is None


def test_a_token_is_verified_only_by_a_key_of_its_organisation(memory_node: Node) -> None:
    for name in ("northwind", "contoso"):
        create_org(memory_node, CreateOrg(name))
    pem = public_pem_of(private_key("ES256"))
    key = add_key(memory_node, AddKey("northwind", pem, kid=""))
    verifier = make_token_verifier(memory_node.database, lambda: NOW, memory_node.limits)
    assert verifier.verify(forge(claims())).key_id == key.key_id
    with pytest.raises(TokenRefused):
        verifier.verify(forge(claims(iss="contoso")))


def test_an_unusable_key_is_logged_and_left_out(memory_node: Node, caplog: pytest.LogCaptureFixture) -> None:
    with memory_node.database.write() as session:
        org_id = insert_org(session, name="acme", now=1).id
        for key_id, pem in (("key_bad", "no key at all"), ("key_good", public_pem_of(private_key("ES256")))):
            insert_key(session, key_id=key_id, org_id=org_id, public_pem=pem, kid="", label="", now=1)
    found = load_org_keys(memory_node.database, "acme")
    assert found is not None
    assert found.key_ids == {"key_good"}
    (line,) = [record for record in caplog.records if record.message == "key can not be used"]
    assert line.fields["key_id"] == "key_bad"  # type: ignore[attr-defined]  # log_event adds it
