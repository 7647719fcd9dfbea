"""A repository by its number, as callers without its name know it."""

import pytest

from packhouse.auth.principal import Principal
from packhouse.db.repos import RepoNotFound
from packhouse.node.node import Node
from packhouse.operations.catalog.lookup import FirstSyncRunning
from packhouse.operations.repos.bases import UpstreamBase
from packhouse.operations.repos.create_repo import CreateRepo, create_repo
from packhouse.operations.repos.delete_repo import DeleteRepo, delete_repo
from packhouse.operations.repos.get_repo import GetRepo, get_repo
from packhouse.operations.repos.read_numbered_repo import ReadNumberedRepo, read_numbered_repo

pytestmark = pytest.mark.quick


def test_a_number_leads_to_the_same_repository_as_its_name(node: Node, caller: Principal, repo: str) -> None:
    named = get_repo(node, caller, GetRepo(repo))
    assert read_numbered_repo(node, caller, ReadNumberedRepo(named.id)) == named


def test_a_foreign_or_unknown_number_is_not_found(
    node: Node, caller: Principal, stranger: Principal, repo: str
) -> None:
    number = get_repo(node, caller, GetRepo(repo)).id
    with pytest.raises(RepoNotFound) as refused:
        read_numbered_repo(node, stranger, ReadNumberedRepo(number))
    assert refused.value.repo == number
    for unknown in (number + 1, 0, -1, 2**31 - 1):
        with pytest.raises(RepoNotFound):
            read_numbered_repo(node, caller, ReadNumberedRepo(unknown))


def test_a_new_repository_with_a_deleted_ones_name_has_another_number(
    node: Node, caller: Principal, repo: str
) -> None:
    number = get_repo(node, caller, GetRepo(repo)).id
    delete_repo(node, caller, DeleteRepo(repo))
    create_repo(node, caller, CreateRepo(repo))
    with pytest.raises(RepoNotFound):
        read_numbered_repo(node, caller, ReadNumberedRepo(number))


def test_a_repository_has_no_content_during_its_first_sync(node: Node, caller: Principal) -> None:
    base = UpstreamBase("github", "acme", "shop", is_public=True)
    number = create_repo(node, caller, CreateRepo("followed", base=base)).id
    with pytest.raises(FirstSyncRunning):
        read_numbered_repo(node, caller, ReadNumberedRepo(number))
