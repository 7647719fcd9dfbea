"""The caller, and what the token of the call allows."""

from dataclasses import dataclass

from packhouse.auth.policy import RefPolicy
from packhouse.auth.scopes import Scope
from packhouse.clock import TIMESTAMP_MAX
from packhouse.errors import Code, Denied

ORGANISATION_CLAIM = "org"
"""The `repo` claim of a token for calls about no single repository. No repository can have this name."""


class ScopeMissing(Denied):
    """The token is valid, but has none of the scopes that the call needs."""

    code = Code.SCOPE_MISSING
    needed: list[str]


class RepoClaimMismatch(Denied):
    """The token is valid, but for another repository or for none."""

    code = Code.REPO_CLAIM_MISMATCH


@dataclass(frozen=True, slots=True)
class Principal:
    """The verified content of a token.

    `subject` is any text of the issuer, "" when absent; only logs and the ref log use it. `repo_claim` is None if the
    token names no repository. `expires_at` is in seconds since 1970. `key_id` names the key that verified the
    signature.
    """

    org_id: int
    org_name: str
    subject: str
    scopes: frozenset[Scope]
    repo_claim: str | None
    policy: RefPolicy
    expires_at: int
    key_id: str = ""

    def require_scope(self, *any_of: Scope) -> None:
        """Check that the token has one of the scopes `any_of`. Raises ScopeMissing."""
        if self.scopes.isdisjoint(any_of):
            raise ScopeMissing([scope.value for scope in any_of])

    def require_repo(self, name: str) -> None:
        """Check that the token is for the repository `name`, code point for code point.

        Raises RepoClaimMismatch, also for organisation tokens, whose claim is absent or `org`.
        """
        if self.repo_claim in (None, ORGANISATION_CLAIM) or self.repo_claim != name:
            raise RepoClaimMismatch()

    def read_repo_claim(self) -> str:
        """Return the name of the repository that the token is for.

        Raises RepoClaimMismatch for an organisation token.
        """
        if self.repo_claim is None or self.repo_claim == ORGANISATION_CLAIM:
            raise RepoClaimMismatch()
        return self.repo_claim

    def require_organisation(self) -> None:
        """Check that the token is for the organisation: its claim is absent or `org`. Raises RepoClaimMismatch."""
        if self.repo_claim not in (None, ORGANISATION_CLAIM):
            raise RepoClaimMismatch()


def operator_principal(org_id: int, org_name: str) -> Principal:
    """Return the principal of an operator at the command line. It may do everything, since it can open the database."""
    return _may_do_all(org_id, org_name, "operator")


def upstream_principal(org_id: int, org_name: str) -> Principal:
    """Return the principal for changes that an upstream made: the upstream is the truth for the refs that it shares."""
    return _may_do_all(org_id, org_name, "upstream")


def _may_do_all(org_id: int, org_name: str, subject: str) -> Principal:
    return Principal(
        org_id=org_id,
        org_name=org_name,
        subject=subject,
        scopes=frozenset(Scope),
        repo_claim=None,
        policy=RefPolicy(),
        expires_at=TIMESTAMP_MAX,
    )
