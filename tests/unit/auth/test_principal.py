"""What a token lets its bearer do: scopes, and the one repository that it is for."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from packhouse.auth.policy import RefChange, RefPolicy
from packhouse.auth.principal import (
    ORGANISATION_CLAIM,
    Principal,
    RepoClaimMismatch,
    ScopeMissing,
    operator_principal,
    upstream_principal,
)
from packhouse.auth.scopes import Scope, parse_scopes
from packhouse.errors import Denied
from packhouse.git.refname import RefName

pytestmark = pytest.mark.quick


def bearer(*scopes: Scope, repo: str | None = "apps/shop") -> Principal:
    return Principal(
        org_id=1,
        org_name="acme",
        subject="ada",
        scopes=frozenset(scopes),
        repo_claim=repo,
        policy=RefPolicy(),
        expires_at=9,
    )


def test_one_of_the_scopes_that_a_call_names_is_enough() -> None:
    reader = bearer(Scope.GIT_READ)
    reader.require_scope(Scope.GIT_READ)
    reader.require_scope(Scope.REPO_WRITE, Scope.GIT_READ)
    with pytest.raises(ScopeMissing) as caught:
        reader.require_scope(Scope.GIT_WRITE, Scope.ORG_READ)
    assert caught.value.fields == {"needed": ["git:write", "org:read"]}
    assert isinstance(caught.value, Denied)


@pytest.mark.parametrize("name", ["apps", "apps/shop/", "Apps/shop", "apps%2Fshop", "apps/sho\u0440", ""])
def test_a_token_is_valid_only_for_the_repository_of_exactly_its_name(name: str) -> None:
    bearer().require_repo("apps/shop")
    with pytest.raises(RepoClaimMismatch):
        bearer().require_repo(name)


@pytest.mark.parametrize("claim", [None, ORGANISATION_CLAIM])
def test_an_organisation_token_is_for_no_repository(claim: str | None) -> None:
    caller = bearer(repo=claim)
    for name in ("org", "", "None"):
        with pytest.raises(RepoClaimMismatch):
            caller.require_repo(name)
    with pytest.raises(RepoClaimMismatch):
        caller.read_repo_claim()
    assert bearer().read_repo_claim() == "apps/shop"


def test_a_token_of_a_repository_does_not_speak_for_the_organisation() -> None:
    for claim in (None, "org"):
        replace(bearer(), repo_claim=claim).require_organisation()
    for claim in ("apps/shop", "", "Org", "org "):
        with pytest.raises(RepoClaimMismatch):
            replace(bearer(), repo_claim=claim).require_organisation()


@pytest.mark.parametrize(
    ("make", "subject"), [(operator_principal, "operator"), (upstream_principal, "upstream")]
)
def test_operators_and_upstreams_may_do_everything_and_have_no_repository_claim(
    make: Callable[[int, str], Principal], subject: str
) -> None:
    caller = make(7, "acme")
    caller.require_scope(*Scope)
    assert (caller.org_id, caller.org_name, caller.subject, caller.repo_claim) == (7, "acme", subject, None)
    for change in RefChange:
        caller.policy.decide("", RefName(b"refs/heads/main"), change)


ENTRIES = st.lists(
    st.sampled_from([*(scope.value for scope in Scope), "x:y", "", 7, None, ["git:read"]]), max_size=8
)


@given(ENTRIES)
def test_a_token_has_the_named_scopes_and_those_that_writing_includes(entries: list[object]) -> None:
    found = parse_scopes(entries)
    named = {scope for scope in Scope if scope.value in entries}
    assert found == named | ({Scope.GIT_READ} if Scope.GIT_WRITE in named else set())


def test_a_repeated_scope_counts_once() -> None:
    assert parse_scopes(["org:read", "org:read"]) == {Scope.ORG_READ}
