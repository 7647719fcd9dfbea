"""Creating a repository: one row. Its folder comes with its first object."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from packhouse.auth.principal import Principal
from packhouse.error_codes import Code
from packhouse.errors import Invalid
from packhouse.git.refname import branch_refname, check_new_name, short_name
from packhouse.ids import new_repo_id
from packhouse.node.node import Node
from packhouse.node.repo_name import check_repo_name
from packhouse.operations.repos.base_repo import (
    ForkBase,
    InitialCommitUnexpected,
    SnapshotBase,
    parse_base,
    read_base_branch,
)
from packhouse.operations.repos.fork_repo import fork_repo
from packhouse.operations.repos.new_repo import insert_new_repo
from packhouse.operations.repos.repo_info import RepoInfo
from packhouse.operations.repos.snapshot_repo import snapshot_repo
from packhouse.operations.repos.upstream_create import follow_upstream
from packhouse.repository.refs.receipts import Receipt

DEFAULT_BRANCH: Final = "main"


class DeploymentNotSupported(Invalid):
    """The request has settings of a hosted service."""

    code = Code.DEPLOYMENT_NOT_SUPPORTED


@dataclass(frozen=True, slots=True)
class CreateRepo:
    """What the caller asked for. `base_repo` and `initial_commit` are the JSON objects of the request.

    `default_branch` is the body's or else the query's; None or blank: not given. `deployment` tells that the
    request has such settings.
    """

    name: str
    default_branch: str | None = None
    base_repo: Mapping[str, object] | None = None
    initial_commit: Mapping[str, object] | None = None
    deployment: bool = False


def create_repo(
    node: Node, caller: Principal, command: CreateRepo, *, receipt: Receipt[RepoInfo] | None = None
) -> RepoInfo:
    """Create a repository in the caller's organisation and return what became of it.

    An empty one touches the database only; a fork or snapshot is complete when this returns. Raises
    RepoNameInvalid, Invalid for the branch or the base, DeploymentNotSupported, RepoExists, and for a base what
    fork_repo, snapshot_repo and follow_upstream raise.
    """
    name = check_repo_name(command.name)
    if command.deployment:
        raise DeploymentNotSupported()
    default_branch = check_default_branch(command.default_branch)
    if command.base_repo is not None:
        return _create_from_base(node, caller, command, command.base_repo, name, default_branch, receipt)
    if command.initial_commit is not None:
        raise InitialCommitUnexpected()
    return _create_empty(node, caller, name, default_branch or DEFAULT_BRANCH, receipt)


def _create_empty(
    node: Node, caller: Principal, name: str, default_branch: str, receipt: Receipt[RepoInfo] | None
) -> RepoInfo:
    public_id = new_repo_id(node.random_bytes)
    now = node.clock()
    with node.database.write() as session:
        return insert_new_repo(
            session,
            caller,
            public_id=public_id,
            name=name,
            default_branch=default_branch,
            receipt=receipt,
            now=now,
        )


def _create_from_base(
    node: Node,
    caller: Principal,
    command: CreateRepo,
    given: Mapping[str, object],
    name: str,
    default_branch: str | None,
    receipt: Receipt[RepoInfo] | None,
) -> RepoInfo:
    base = parse_base(given, command.initial_commit, now=node.clock())
    default_branch = check_default_branch(read_base_branch(given)) or default_branch
    if isinstance(base, ForkBase):
        return fork_repo(node, caller, base, name=name, default_branch=default_branch, receipt=receipt)
    branch = default_branch or DEFAULT_BRANCH
    if isinstance(base, SnapshotBase):
        return snapshot_repo(node, caller, base, name=name, default_branch=branch, receipt=receipt)
    return follow_upstream(node, caller, base, name=name, default_branch=branch, receipt=receipt)


def check_default_branch(branch: str | None) -> str | None:
    """Return the short name of `branch`, trimmed; None when it is absent or blank.

    Raises Invalid, also for what no new branch may be called: it could never be pushed.
    """
    trimmed = (branch or "").strip()
    return short_name(check_new_name(branch_refname(trimmed))) if trimmed else None
