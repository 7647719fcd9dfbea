"""Changing the settings of a repository: its default branch, and the time at which it deletes itself."""

from dataclasses import dataclass

from packhouse.auth import Principal
from packhouse.db import (
    RepoNotFound,
    Session,
    find_repo,
    get_ref,
    has_branches,
    set_default_branch,
    set_repo_expiry,
)
from packhouse.git import PERSISTENT, RefName, check_new_name, short_name
from packhouse.ids import RepoKey
from packhouse.node import Node
from packhouse.operations.refs.branches import BranchNotFound
from packhouse.operations.repos.repo_info import RepoInfo, check_expiry, repo_info


@dataclass(frozen=True, slots=True)
class Expiry:
    """The time at which a repository is deleted, in seconds since 1970. None means never."""

    at: int | None


@dataclass(frozen=True, slots=True)
class UpdateRepo:
    """The repository, its new default branch and its new expiry. None leaves a setting as it is."""

    repo: str
    default_branch: RefName | None = None
    expiry: Expiry | None = None


def update_repo(node: Node, caller: Principal, command: UpdateRepo) -> RepoInfo:
    """Change the settings, all or none, and return the changed repository.

    The new default branch must exist, unless the repository has no branches. Raises NewNameRefused, ExpiryNotInFuture,
    RepoNotFound and BranchNotFound.
    """
    refname = None if command.default_branch is None else check_new_name(command.default_branch)
    expiry = command.expiry
    if expiry is not None:
        check_expiry(expiry.at, now=node.clock())
    state = node.new_state()

    def change(session: Session) -> RepoInfo:
        repo = find_repo(session, caller.org_id, command.repo)
        if repo is None:
            raise RepoNotFound(command.repo)
        if expiry is not None:
            set_repo_expiry(session, repo.id, expiry.at)
        if refname is not None:
            _change_default_branch(session, repo.id, refname, state=state)
        changed = find_repo(session, caller.org_id, command.repo)
        assert changed is not None, "its row is locked"
        return repo_info(changed)

    return node.database.transact(change)


def _change_default_branch(session: Session, repo_id: RepoKey, refname: RefName, *, state: int) -> None:
    default_branch = short_name(refname)
    # The change comes first because it locks the row: no branch is created or deleted during the checks.
    set_default_branch(session, repo_id, default_branch, state=state)
    exists = get_ref(session, repo_id, PERSISTENT, refname) is not None
    if not exists and has_branches(session, repo_id):
        raise BranchNotFound(default_branch)
