"""Creating a repository that follows an upstream: two rows, and for github the job of the first pull."""

from dataclasses import dataclass

from packhouse.auth import Principal
from packhouse.db import FollowedUpstream, Session, insert_upstream
from packhouse.git import RefName, short_name
from packhouse.ids import new_repo_id
from packhouse.node import Node
from packhouse.operations.repos.bases import UpstreamBase
from packhouse.operations.repos.new_repo import insert_new_repo
from packhouse.operations.repos.repo_info import RepoInfo, UpstreamInfo
from packhouse.repository import GITHUB, Receipt, check_upstream_address, queue_sync


@dataclass(frozen=True, slots=True)
class FollowUpstream:
    """The name of the new repository, and the upstream to follow. `expires_at`: see CreateRepo."""

    repo: str
    base: UpstreamBase
    default_branch: RefName
    expires_at: int | None = None


def follow_upstream(
    node: Node, caller: Principal, command: FollowUpstream, *, receipt: Receipt[RepoInfo] | None = None
) -> RepoInfo:
    """Create the repository and return it without contacting the upstream.

    A pull from a github upstream is queued at once. Other upstreams need a credential and a request for a pull. Raises
    RepoExists, and Invalid for an address that this server never connects to.
    """
    base = command.base
    is_github = base.provider == GITHUB
    mode = "public" if base.is_public else "app" if is_github else "credential"
    check_upstream_address(
        node, FollowedUpstream(base.provider, base.host, base.owner, base.name, mode, in_first_sync=False)
    )
    public_id = new_repo_id(node.random_bytes)
    now = node.clock()

    def insert(session: Session) -> RepoInfo:
        info = insert_new_repo(
            session,
            caller,
            public_id=public_id,
            name=command.repo,
            default_branch=short_name(command.default_branch),
            upstream=UpstreamInfo(base.provider, base.owner, base.name, base.host),
            receipt=receipt,
            now=now,
            expires_at=command.expires_at,
        )
        insert_upstream(
            session,
            info.id,
            provider=base.provider,
            host=base.host,
            owner=base.owner,
            name=base.name,
            auth_mode=mode,
            syncing=is_github,
            now=now,
        )
        if is_github:
            queue_sync(session, info.id, public_id, now=now)
        return info

    info = node.database.transact(insert)
    node.wakeups.notify()
    return info
