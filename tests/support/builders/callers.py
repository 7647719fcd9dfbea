"""Callers with restricted rights."""

from dataclasses import replace

from packhouse.auth.policy import RefPolicy
from packhouse.auth.principal import Principal


def with_policy(caller: Principal, *rules: list[object]) -> Principal:
    """Return the caller with these rules for refs, written as in tokens: `["main", ["no-push"]]`."""
    return replace(caller, policy=RefPolicy.parse({"refs": list(rules)}))


def limited_to(caller: Principal, repo: str) -> Principal:
    """Return the caller with a token for one repository only."""
    return replace(caller, repo_claim=repo)


def named(caller: Principal, subject: str) -> Principal:
    """Return the caller with this subject, which the ref log shows."""
    return replace(caller, subject=subject)
