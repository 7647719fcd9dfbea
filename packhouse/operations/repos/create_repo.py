"""Creating a repository: one row in SQL. The folder is made with the first object."""

from dataclasses import dataclass
from typing import Final

from packhouse.auth import Principal
from packhouse.git import RefName, branch_refname, check_new_name, short_name
from packhouse.ids import new_repo_id
from packhouse.node import Node, check_repo_name
from packhouse.operations.repos.bases import Base, ForkBase, SnapshotBase
from packhouse.operations.repos.follow_upstream import FollowUpstream, follow_upstream
from packhouse.operations.repos.fork_repo import ForkRepo, fork_repo
from packhouse.operations.repos.new_repo import insert_new_repo
from packhouse.operations.repos.repo_info import RepoInfo, check_expiry
from packhouse.operations.repos.snapshot_repo import SnapshotRepo, snapshot_repo
from packhouse.repository import Receipt

DEFAULT_BRANCH: Final = branch_refname("main")


@dataclass(frozen=True, slots=True)
class CreateRepo:
    """The name of the new repository, and its base. Without `base` the repository is empty.

    `default_branch` None means `main`, or the default branch of the source of a fork. At `expires_at`, in seconds since
    1970, the repository is deleted; None means never.
    """

    repo: str
    default_branch: RefName | None = None
    base: Base | None = None
    expires_at: int | None = None


def create_repo(
    node: Node, caller: Principal, command: CreateRepo, *, receipt: Receipt[RepoInfo] | None = None
) -> RepoInfo:
    """Create a repository in the caller's organisation and return it.

    An empty repository is only a row in the database. A fork or snapshot is complete when this returns. Raises
    RepoNameInvalid, ExpiryNotInFuture, NewNameRefused for a default branch that could never be pushed, RepoExists, and
    the errors of fork_repo, snapshot_repo or follow_upstream.
    """
    name, base, expires_at = check_repo_name(command.repo), command.base, command.expires_at
    check_expiry(expires_at, now=node.clock())
    if command.default_branch is not None:
        check_new_name(command.default_branch)
    if isinstance(base, ForkBase):
        return fork_repo(
            node, caller, ForkRepo(name, base, command.default_branch, expires_at), receipt=receipt
        )
    branch = command.default_branch or DEFAULT_BRANCH
    if isinstance(base, SnapshotBase):
        return snapshot_repo(node, caller, SnapshotRepo(name, base, branch, expires_at), receipt=receipt)
    if base is not None:
        return follow_upstream(node, caller, FollowUpstream(name, base, branch, expires_at), receipt=receipt)
    with node.database.write() as session:
        return insert_new_repo(
            session,
            caller,
            public_id=new_repo_id(node.random_bytes),
            name=name,
            default_branch=short_name(branch),
            receipt=receipt,
            now=node.clock(),
            expires_at=expires_at,
        )
