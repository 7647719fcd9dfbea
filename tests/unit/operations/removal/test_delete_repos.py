"""Repositories deleted by the start of their names, and who may do so."""

from dataclasses import replace

import pytest

from packhouse import limits
from packhouse.auth.policy import PolicyUnusable, RefPolicy
from packhouse.auth.principal import Principal, RepoClaimMismatch, ScopeMissing
from packhouse.auth.scopes import Scope
from packhouse.errors import Denied
from packhouse.limits import Limits
from packhouse.node.node import Node
from packhouse.operations.jobs.list_jobs import ListJobs, list_jobs
from packhouse.operations.removal.count_repos import CountRepos, count_repos
from packhouse.operations.removal.delete_repos import (
    DeletedRepos,
    DeleteRepos,
    RefPolicyPresent,
    delete_repos,
)
from packhouse.operations.removal.name_prefix import NamePrefixInvalid
from packhouse.operations.repos.create_repo import CreateRepo, create_repo
from packhouse.operations.repos.delete_repo import DeleteRepo, DeletionPending, delete_repo
from packhouse.operations.repos.list_repos import ListRepos, list_repos
from packhouse.operations.repos.undelete_repo import UndeleteRepo, undelete_repo

pytestmark = pytest.mark.quick


def make(node: Node, caller: Principal, *wanted: str) -> None:
    for name in wanted:
        create_repo(node, caller, CreateRepo(name))


def names(node: Node, caller: Principal) -> list[str]:
    return [repo.name for repo in list_repos(node, caller, ListRepos(count_max=100)).repos]


def found(deleted: DeletedRepos) -> list[str]:
    return [repo.name for repo in deleted.repos]


def test_every_repository_with_the_prefix_is_deleted_and_no_other(
    node: Node, caller: Principal, stranger: Principal
) -> None:
    make(node, caller, "ci/2", "ci/1", "ci", "c", "apps/ci/1", "cj")
    make(node, stranger, "ci/1")
    assert count_repos(node, caller, CountRepos("ci")) == 3
    deleted = delete_repos(node, caller, DeleteRepos("ci"))
    assert (found(deleted), deleted.has_more) == (["ci", "ci/1", "ci/2"], False)
    assert names(node, caller) == ["c", "apps/ci/1", "cj"]
    assert names(node, stranger) == ["ci/1"]
    assert delete_repos(node, caller, DeleteRepos("ci")) == DeletedRepos([], has_more=False)
    assert count_repos(node, caller, CountRepos("ci")) == 0


@pytest.mark.parametrize(
    ("prefix", "others"),
    [
        ("a%", ["ab", "a"]),
        ("a_", ["ab", "a-"]),
        ("a*", ["ab"]),
        ("A", ["a", "ä"]),
        ("ä", ["a", "Ä", "a\u0308", "å"]),
        (" ", ["a", "x "]),
        ("a\ud7ff", ["a\ue000", "a"]),
        ("a\U0010ffff", ["a", "b", "a\uffff"]),
        ("\U0010ffff", ["\uffff", "z"]),
        ("'; --", ["'"]),
    ],
)
def test_a_prefix_is_literal(node: Node, caller: Principal, prefix: str, others: list[str]) -> None:
    make(node, caller, prefix, prefix + "x", prefix + "\U0010ffff", *others)
    assert set(found(delete_repos(node, caller, DeleteRepos(prefix)))) == {
        prefix,
        prefix + "x",
        prefix + "\U0010ffff",
    }
    assert names(node, caller) == others


@pytest.mark.parametrize("prefix", ["", "x" * 256, "é" * 128, "a\ud800"])
def test_a_prefix_that_starts_no_name_or_all_is_refused(node: Node, caller: Principal, prefix: str) -> None:
    make(node, caller, "a")
    with pytest.raises(NamePrefixInvalid):
        delete_repos(node, caller, DeleteRepos(prefix))
    with pytest.raises(NamePrefixInvalid):
        count_repos(node, caller, CountRepos(prefix))
    assert names(node, caller) == ["a"]


def test_a_prefix_with_a_nul_finds_nothing(node: Node, caller: Principal) -> None:
    make(node, caller, "a")
    assert delete_repos(node, caller, DeleteRepos("a\0")) == DeletedRepos([], has_more=False)
    assert count_repos(node, caller, CountRepos("a\0")) == 0


def test_a_call_deletes_a_bounded_number_and_tells_of_the_rest(node: Node, caller: Principal) -> None:
    node = replace(node, limits=Limits(deletion_batch=2))
    make(node, caller, *(f"ci/{number}" for number in range(8)))
    first = delete_repos(node, caller, DeleteRepos("ci/", count_max=5))
    assert (found(first), first.has_more) == ([f"ci/{number}" for number in range(5)], True)
    rest = delete_repos(node, caller, DeleteRepos("ci/", count_max=10**9))
    assert (len(rest.repos), rest.has_more) == (3, False)


def test_exactly_the_number_asked_for_leaves_nothing(node: Node, caller: Principal) -> None:
    make(node, caller, "ci/1", "ci/2")
    assert not delete_repos(node, caller, DeleteRepos("ci/", count_max=2)).has_more


def test_each_is_deleted_as_by_a_call_of_its_own(node: Node, caller: Principal) -> None:
    make(node, caller, "ci/1", "ci/2")
    deleted = delete_repos(node, caller, DeleteRepos("ci/"))
    assert [(job.kind, job.key, job.run_at) for job in list_jobs(node, ListJobs())] == [
        ("clean_repo", repo.public_id, 1000 + limits.deleted_repo_keep_s) for repo in deleted.repos
    ]
    with pytest.raises(DeletionPending):
        delete_repo(node, caller, DeleteRepo("ci/1"))
    make(node, caller, "ci/1")
    undelete_repo(node, caller, UndeleteRepo("ci/2"))
    assert sorted(names(node, caller)) == ["ci/1", "ci/2"]


NO_PUSH = RefPolicy.parse({"refs": [["refs/heads/main", ["no-push"]]]})


@pytest.mark.parametrize(
    ("changes", "refusal"),
    [
        ({"repo_claim": "ci/1"}, RepoClaimMismatch),
        ({"repo_claim": "ci/"}, RepoClaimMismatch),
        ({"repo_claim": ""}, RepoClaimMismatch),
        ({"scopes": frozenset({Scope.REPO_WRITE})}, ScopeMissing),
        ({"scopes": frozenset({Scope.ORG_READ})}, ScopeMissing),
        ({"scopes": frozenset({Scope.ORG_READ, Scope.GIT_WRITE})}, ScopeMissing),
        ({"policy": NO_PUSH}, RefPolicyPresent),
        ({"policy": RefPolicy.parse({"refs": "?"})}, PolicyUnusable),
    ],
)
def test_a_token_that_may_not_delete_all_of_them_deletes_none(
    node: Node, caller: Principal, changes: dict[str, object], refusal: type[Denied]
) -> None:
    make(node, caller, "ci/1")
    with pytest.raises(refusal):
        delete_repos(node, replace(caller, **changes), DeleteRepos("ci/"))  # type: ignore[arg-type]  # fields vary
    assert names(node, caller) == ["ci/1"]


@pytest.mark.parametrize("claim", [None, "org"])
def test_a_token_of_the_organisation_with_both_scopes_deletes(
    node: Node, caller: Principal, claim: str | None
) -> None:
    make(node, caller, "ci/1")
    scopes = frozenset({Scope.REPO_WRITE, Scope.ORG_READ})
    deleted = delete_repos(node, replace(caller, repo_claim=claim, scopes=scopes), DeleteRepos("ci/"))
    assert found(deleted) == ["ci/1"]
