"""Changing the settings of a repository: at present only its default branch."""

from dataclasses import dataclass, replace

from packhouse.auth import Principal
from packhouse.db import RepoNotFound, Session, find_repo, get_ref, has_branches, set_default_branch
from packhouse.git import PERSISTENT, RefName, check_new_name, short_name
from packhouse.node import Node
from packhouse.operations.refs.branches import BranchNotFound
from packhouse.operations.repos.repo_info import RepoInfo, repo_info


@dataclass(frozen=True, slots=True)
class UpdateRepo:
    """The repository, and its new default branch."""

    repo: str
    default_branch: RefName


def update_repo(node: Node, caller: Principal, command: UpdateRepo) -> RepoInfo:
    """Make another branch the default branch and return the changed repository.

    The branch must exist, unless the repository has no branches. Raises NewNameRefused, RepoNotFound and
    BranchNotFound.
    """
    refname = check_new_name(command.default_branch)
    default_branch = short_name(refname)
    state = node.new_state()

    def change(session: Session) -> RepoInfo:
        repo = find_repo(session, caller.org_id, command.repo)
        if repo is None:
            raise RepoNotFound(command.repo)
        # The change comes first because it locks the row: no branch is created or deleted during the checks.
        set_default_branch(session, repo.id, default_branch, state=state)
        exists = get_ref(session, repo.id, PERSISTENT, refname) is not None
        if not exists and has_branches(session, repo.id):
            raise BranchNotFound(default_branch)
        return repo_info(replace(repo, default_branch=default_branch))

    return node.database.transact(change)
