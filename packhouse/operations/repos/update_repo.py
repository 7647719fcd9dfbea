"""Changing what a repository says about itself: so far its default branch."""

from dataclasses import dataclass, replace

from packhouse.auth.principal import Principal
from packhouse.db.refs import get_ref, has_branches
from packhouse.db.repos import RepoNotFound, find_repo, set_default_branch
from packhouse.db.session import Session
from packhouse.error_codes import Code
from packhouse.errors import Invalid
from packhouse.git.refname import PERSISTENT, branch_refname, short_name
from packhouse.node.node import Node
from packhouse.operations.refs.branches import BranchNotFound
from packhouse.operations.repos.create_repo import DeploymentNotSupported, check_default_branch
from packhouse.operations.repos.repo_info import RepoInfo, repo_info


class NothingToUpdate(Invalid):
    """The request changes nothing."""

    code = Code.NOTHING_TO_UPDATE


@dataclass(frozen=True, slots=True)
class UpdateRepo:
    """`default_branch` None or blank: not given. `deployment` tells that the request has such settings."""

    name: str
    default_branch: str | None = None
    deployment: bool = False


def update_repo(node: Node, caller: Principal, command: UpdateRepo) -> RepoInfo:
    """Make another branch the default one and return the repository as it is then.

    The branch must exist unless the repository has none at all. Raises Invalid when nothing is to be changed
    or the name is none, DeploymentNotSupported, RepoNotFound and BranchNotFound.
    """
    if command.deployment:
        raise DeploymentNotSupported()
    default_branch = check_default_branch(command.default_branch)
    if default_branch is None:
        raise NothingToUpdate()

    state = node.new_state()

    def change(session: Session) -> RepoInfo:
        repo = find_repo(session, caller.org_id, command.name)
        if repo is None:
            raise RepoNotFound(command.name)
        # First the change, which locks the row: no branch comes or goes between the questions and the end.
        set_default_branch(session, repo.id, default_branch, state=state)
        refname = branch_refname(default_branch)
        exists = get_ref(session, repo.id, PERSISTENT, refname) is not None
        if not exists and has_branches(session, repo.id):
            raise BranchNotFound(short_name(refname))
        return repo_info(replace(repo, default_branch=default_branch))

    return node.database.transact(change)
