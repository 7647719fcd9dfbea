"""Changing what a repository says about itself: so far its default branch."""

from dataclasses import dataclass, replace

from packhouse.auth import Principal
from packhouse.db import RepoNotFound, Session, find_repo, get_ref, has_branches, set_default_branch
from packhouse.git import PERSISTENT, RefName, check_new_name, short_name
from packhouse.node import Node
from packhouse.operations.refs.branches import BranchNotFound
from packhouse.operations.repos.repo_info import RepoInfo, repo_info


@dataclass(frozen=True, slots=True)
class UpdateRepo:
    """Which repository, and what its default branch is from now on."""

    repo: str
    default_branch: RefName


def update_repo(node: Node, caller: Principal, command: UpdateRepo) -> RepoInfo:
    """Make another branch the default one and return the repository as it is then.

    The branch must exist unless the repository has none at all. Raises NewNameRefused,
    RepoNotFound and BranchNotFound.
    """
    refname = check_new_name(command.default_branch)
    default_branch = short_name(refname)
    state = node.new_state()

    def change(session: Session) -> RepoInfo:
        repo = find_repo(session, caller.org_id, command.repo)
        if repo is None:
            raise RepoNotFound(command.repo)
        # First the change, which locks the row: no branch comes or goes between the questions and the end.
        set_default_branch(session, repo.id, default_branch, state=state)
        exists = get_ref(session, repo.id, PERSISTENT, refname) is not None
        if not exists and has_branches(session, repo.id):
            raise BranchNotFound(default_branch)
        return repo_info(replace(repo, default_branch=default_branch))

    return node.database.transact(change)
