"""Organisations and the keys that sign their tokens."""

from dataclasses import replace

import pytest

from packhouse.auth.principal import Principal
from packhouse.auth.public_keys import KeyRejected
from packhouse.auth.scopes import Scope
from packhouse.db.orgs import OrgExists
from packhouse.errors import Invalid, LimitExceeded, Unauthenticated
from packhouse.limits import Limits, key_text_max_chars
from packhouse.node.node import Node
from packhouse.operations.repos.create_repo import CreateRepo, create_repo
from packhouse.operations.repos.list_repos import ListRepos, list_repos
from packhouse.operations.tenants.act_as_operator import ActAsOperator, act_as_operator
from packhouse.operations.tenants.add_key import AddKey, KeyExists, add_key
from packhouse.operations.tenants.authenticate import Authenticate, authenticate
from packhouse.operations.tenants.create_org import CreateOrg, create_org
from packhouse.operations.tenants.list_keys import ListKeys, list_keys
from packhouse.operations.tenants.list_orgs import ListOrgs, list_orgs
from packhouse.operations.tenants.orgs import OrgNameInvalid, OrgNotFound, check_org_name
from packhouse.operations.tenants.recall_principal import RecallPrincipal, recall_principal
from packhouse.operations.tenants.revoke_key import KeyNotFound, RevokeKey, revoke_key
from tests.support.builders.keys import KeyPair, make_key_pair, sign_token

pytestmark = pytest.mark.quick


@pytest.fixture(scope="module")
def pair() -> KeyPair:
    """A key pair of acme's."""
    return make_key_pair()


def token(pair: KeyPair, org: str = "acme", **claims: object) -> str:
    """Return a token that is valid from second 1000 for an hour."""
    usual = {"iss": org, "sub": "ada", "repo": "r", "scopes": ["git:read"], "iat": 1000, "exp": 4600}
    return sign_token(pair, {**usual, **claims})


# Organisations


@pytest.mark.parametrize("name", ["a", "A1", "a.b", "a_b", "a-b", "0", "x" * 100])
def test_an_organisation_has_a_name_that_fits_a_host_and_an_issuer(node: Node, name: str) -> None:
    org = create_org(node, CreateOrg(name))
    assert (org.name, org.created_at) == (name, 1000)
    assert act_as_operator(node, ActAsOperator(name)).org_id == org.id


@pytest.mark.parametrize(
    "name", ["", ".a", "a.", "-a", "a-", "_a", "a b", "a/b", "ä", "a\n", "a" * 101, "a\0"]
)
def test_any_other_name_is_refused_before_anything_is_made(node: Node, name: str) -> None:
    with pytest.raises(OrgNameInvalid):
        check_org_name(name)
    with pytest.raises(OrgNameInvalid):
        create_org(node, CreateOrg(name))
    assert list_orgs(node, ListOrgs()).orgs == []


def test_a_name_is_given_once_and_case_tells_names_apart(node: Node) -> None:
    create_org(node, CreateOrg("acme"))
    with pytest.raises(OrgExists):
        create_org(node, CreateOrg("acme"))
    create_org(node, CreateOrg("Acme"))
    assert [org.name for org in list_orgs(node, ListOrgs()).orgs] == ["Acme", "acme"]


@pytest.mark.parametrize("count_max", [1, 2, 3, 4])
def test_pages_hold_every_organisation_once(node: Node, count_max: int) -> None:
    for name in ("c", "a", "b"):
        create_org(node, CreateOrg(name))
    found: list[str] = []
    has_more = True
    while has_more:
        page = list_orgs(node, ListOrgs(after=found[-1] if found else "", count_max=count_max))
        found += [org.name for org in page.orgs]
        has_more = page.has_more
    assert found == ["a", "b", "c"]


def test_an_operator_may_do_everything_in_one_organisation(node: Node, caller: Principal) -> None:
    operator = act_as_operator(node, ActAsOperator("acme"))
    assert (operator.scopes, operator.subject) == (frozenset(Scope), "operator")
    create_repo(node, operator, CreateRepo("r"))
    create_org(node, CreateOrg("other"))
    assert list_repos(node, act_as_operator(node, ActAsOperator("other")), ListRepos()).repos == []
    with pytest.raises(OrgNotFound):
        act_as_operator(node, ActAsOperator("nobody"))


# Keys


def test_keys_are_listed_newest_first_with_label_and_kid(
    node: Node, caller: Principal, pair: KeyPair
) -> None:
    first = add_key(node, AddKey("acme", pair.public_pem, label="laptop", kid="k1"))
    node.clock = lambda: 2000
    second = add_key(node, AddKey("acme", make_key_pair("ed25519").public_pem))
    assert (first.label, first.kid, first.created_at) == ("laptop", "k1", 1000)
    assert list_keys(node, ListKeys("acme")) == [second, first]


def test_a_revoked_key_is_still_listed_and_may_be_added_again(
    node: Node, caller: Principal, pair: KeyPair
) -> None:
    first = add_key(node, AddKey("acme", pair.public_pem))
    node.clock = lambda: 2000
    revoked = revoke_key(node, RevokeKey("acme", first.key_id))
    assert revoked == replace(first, revoked_at=2000)
    again = add_key(node, AddKey("acme", pair.public_pem))
    assert {key.key_id for key in list_keys(node, ListKeys("acme"))} == {first.key_id, again.key_id}


def test_a_key_is_active_once_in_an_organisation_and_in_each(
    node: Node, caller: Principal, stranger: Principal, pair: KeyPair
) -> None:
    first = add_key(node, AddKey("acme", pair.public_pem))
    with pytest.raises(KeyExists) as refused:
        add_key(node, AddKey("acme", pair.public_pem))
    assert refused.value.fields == {"key_id": first.key_id}
    add_key(node, AddKey("elsewhere", pair.public_pem))


def test_keys_of_other_organisations_are_not_listed(
    node: Node, caller: Principal, stranger: Principal, pair: KeyPair
) -> None:
    key = add_key(node, AddKey("acme", pair.public_pem))
    assert list_keys(node, ListKeys("elsewhere")) == []
    with pytest.raises(KeyNotFound):
        revoke_key(node, RevokeKey("elsewhere", key.key_id))
    assert list_keys(node, ListKeys("acme")) == [key]


def test_an_unknown_key_or_organisation_is_not_found(node: Node, caller: Principal, pair: KeyPair) -> None:
    for attempt in (
        lambda: add_key(node, AddKey("nobody", pair.public_pem)),
        lambda: list_keys(node, ListKeys("nobody")),
        lambda: revoke_key(node, RevokeKey("nobody", "key_1")),
    ):
        with pytest.raises(OrgNotFound):
            attempt()
    with pytest.raises(KeyNotFound):
        revoke_key(node, RevokeKey("acme", "key_1"))


def test_a_private_key_and_plain_text_are_refused_as_public_keys(
    node: Node, caller: Principal, pair: KeyPair
) -> None:
    for text in ("", "no key", pair.private_pem):
        with pytest.raises(KeyRejected):
            add_key(node, AddKey("acme", text))
    assert list_keys(node, ListKeys("acme")) == []


@pytest.mark.parametrize("text", ["x" * (key_text_max_chars + 1), "a\0", "\ud800"])
def test_label_and_kid_are_short_text_that_can_be_stored(
    node: Node, caller: Principal, pair: KeyPair, text: str
) -> None:
    with pytest.raises(Invalid):
        add_key(node, AddKey("acme", pair.public_pem, label=text))
    with pytest.raises(Invalid):
        add_key(node, AddKey("acme", pair.public_pem, kid=text))


def test_active_keys_are_counted_and_revoked_ones_make_room(node: Node, caller: Principal) -> None:
    strict = replace(node, limits=Limits(active_keys_max=2))
    keys = [add_key(strict, AddKey("acme", make_key_pair("ed25519").public_pem)) for _ in range(2)]
    third = make_key_pair("ed25519").public_pem
    with pytest.raises(LimitExceeded):
        add_key(strict, AddKey("acme", third))
    revoke_key(strict, RevokeKey("acme", keys[0].key_id))
    add_key(strict, AddKey("acme", third))


# Tokens


def test_a_token_tells_who_calls_and_what_it_allows(node: Node, caller: Principal, pair: KeyPair) -> None:
    key = add_key(node, AddKey("acme", pair.public_pem))
    found = authenticate(node, Authenticate(token(pair)))
    assert (found.org_id, found.org_name, found.subject) == (caller.org_id, "acme", "ada")
    assert (found.scopes, found.repo_claim) == (frozenset({Scope.GIT_READ}), "r")
    assert (found.expires_at, found.key_id) == (4600, key.key_id)


def test_a_token_is_recalled_once_it_was_verified(node: Node, caller: Principal, pair: KeyPair) -> None:
    add_key(node, AddKey("acme", pair.public_pem))
    text = token(pair)
    assert recall_principal(node, RecallPrincipal(text)) is None
    found = authenticate(node, Authenticate(text))
    assert recall_principal(node, RecallPrincipal(text)) == found
    assert recall_principal(node, RecallPrincipal(text + "x")) is None


def test_a_remembered_token_expires_at_its_time(node: Node, caller: Principal, pair: KeyPair) -> None:
    add_key(node, AddKey("acme", pair.public_pem))
    text = token(pair)
    authenticate(node, Authenticate(text))
    node.clock = lambda: 4600 + 3600
    with pytest.raises(Unauthenticated):
        authenticate(node, Authenticate(text))
    assert recall_principal(node, RecallPrincipal(text)) is None


def test_a_key_of_another_organisation_does_not_verify_tokens_of_acme(
    node: Node, caller: Principal, stranger: Principal, pair: KeyPair
) -> None:
    add_key(node, AddKey("elsewhere", pair.public_pem))
    with pytest.raises(Unauthenticated):
        authenticate(node, Authenticate(token(pair)))
    assert authenticate(node, Authenticate(token(pair, "elsewhere"))).org_name == "elsewhere"


def test_tokens_of_a_revoked_key_are_refused(node: Node, caller: Principal, pair: KeyPair) -> None:
    key = add_key(node, AddKey("acme", pair.public_pem))
    authenticate(node, Authenticate(token(pair)))
    revoke_key(node, RevokeKey("acme", key.key_id))
    restarted = replace(node)  # a process that remembers nothing
    with pytest.raises(Unauthenticated):
        authenticate(restarted, Authenticate(token(pair)))


def test_a_command_does_not_show_the_token_that_it_holds() -> None:
    assert "secret" not in repr(Authenticate("secret")) + repr(RecallPrincipal("secret"))
