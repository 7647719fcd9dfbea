"""Repositories whose time has come: deleted as by a call, unless the time was moved."""

from dataclasses import replace

import pytest

from packhouse import limits
from packhouse.auth.principal import Principal
from packhouse.clock import TIMESTAMP_MAX
from packhouse.db.repos import RepoNotFound
from packhouse.git.refname import branch_refname
from packhouse.limits import Limits
from packhouse.node.node import Node
from packhouse.operations.jobs.list_jobs import ListJobs, list_jobs
from packhouse.operations.refs.read_branch import ReadBranch, read_branch
from packhouse.operations.removal.expire_repos import ExpireRepos, expire_repos
from packhouse.operations.repos.bases import UpstreamBase
from packhouse.operations.repos.create_repo import CreateRepo, create_repo
from packhouse.operations.repos.delete_repo import DeleteRepo, DeletionPending, delete_repo
from packhouse.operations.repos.get_repo import GetRepo, get_repo
from packhouse.operations.repos.list_repos import ListRepos, list_repos
from packhouse.operations.repos.repo_info import RepoInfo
from packhouse.operations.repos.undelete_repo import UndeleteRepo, undelete_repo
from packhouse.operations.repos.update_repo import Expiry, UpdateRepo, update_repo
from tests.support.builders.node_writes import commit_files

pytestmark = pytest.mark.quick


def make(node: Node, caller: Principal, name: str, expires_at: int | None = 2000) -> RepoInfo:
    return create_repo(node, caller, CreateRepo(name, expires_at=expires_at))


def names(node: Node, caller: Principal) -> list[str]:
    return [repo.name for repo in list_repos(node, caller, ListRepos(count_max=100)).repos]


def test_a_repository_expires_at_its_second_and_others_stay(node: Node, caller: Principal) -> None:
    make(node, caller, "now")
    make(node, caller, "later", 2001)
    make(node, caller, "never", None)
    node.clock = lambda: 1999
    assert expire_repos(node, ExpireRepos()) == 0
    node.clock = lambda: 2000
    assert expire_repos(node, ExpireRepos()) == 1
    assert expire_repos(node, ExpireRepos()) == 0
    assert names(node, caller) == ["later", "never"]


def test_an_expired_repository_was_deleted_as_by_a_call(
    node: Node, caller: Principal, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    gone = make(node, caller, "shop")
    node.clock = lambda: 2000
    expire_repos(node, ExpireRepos())
    with pytest.raises(RepoNotFound):
        get_repo(node, caller, GetRepo("shop"))
    with pytest.raises(DeletionPending):
        delete_repo(node, caller, DeleteRepo("shop"))
    assert [(job.kind, job.key, job.repo_id, job.run_at) for job in list_jobs(node, ListJobs())] == [
        ("clean_repo", gone.public_id, gone.id, 2000 + limits.deleted_repo_keep_s)
    ]
    assert make(node, caller, "shop", None).id != gone.id, "its name is free"
    assert "repository expired" in [record.message for record in caplog.records]


def test_an_expired_repository_that_was_brought_back_stays(node: Node, caller: Principal) -> None:
    gone = make(node, caller, "shop")
    commit = commit_files(node, caller, "shop", "main", {"a": b"1"}).commit
    node.clock = lambda: 2000
    expire_repos(node, ExpireRepos())
    undelete_repo(node, caller, UndeleteRepo("shop"))
    assert expire_repos(node, ExpireRepos()) == 0
    back = get_repo(node, caller, GetRepo("shop"))
    assert (back.id, back.expires_at) == (gone.id, None)
    assert read_branch(node, caller, ReadBranch("shop", branch_refname("main"))).head == commit


def test_a_repository_that_was_deleted_before_its_time_does_not_expire(node: Node, caller: Principal) -> None:
    make(node, caller, "shop")
    delete_repo(node, caller, DeleteRepo("shop"))
    node.clock = lambda: 3000
    assert expire_repos(node, ExpireRepos()) == 0


def test_a_time_that_is_moved_after_it_has_come_still_counts(node: Node, caller: Principal) -> None:
    make(node, caller, "shop")
    node.clock = lambda: 2005
    assert update_repo(node, caller, UpdateRepo("shop", expiry=Expiry(2006))).expires_at == 2006
    assert expire_repos(node, ExpireRepos()) == 0
    update_repo(node, caller, UpdateRepo("shop", expiry=Expiry(None)))
    node.clock = lambda: TIMESTAMP_MAX
    assert expire_repos(node, ExpireRepos()) == 0
    assert names(node, caller) == ["shop"]


def test_many_expire_in_transactions_of_bounded_size(node: Node, caller: Principal) -> None:
    node = replace(node, limits=Limits(deletion_batch=3))
    for number in range(8):
        make(node, caller, f"r{number}")
    node.clock = lambda: 2000
    asked = 0

    def stop_at_second() -> bool:
        nonlocal asked
        asked += 1
        return asked > 1

    assert expire_repos(node, ExpireRepos(should_stop=stop_at_second)) == 3
    assert len(names(node, caller)) == 5
    assert expire_repos(node, ExpireRepos()) == 5


def test_a_repository_that_follows_an_upstream_expires_too(node: Node, caller: Principal) -> None:
    base = UpstreamBase("github", "northwind", "shop", is_public=True)
    made = create_repo(node, caller, CreateRepo("shop", base=base, expires_at=2000))
    assert made == get_repo(node, caller, GetRepo("shop"))
    node.clock = lambda: 2000
    assert expire_repos(node, ExpireRepos()) == 1
    assert names(node, caller) == []
