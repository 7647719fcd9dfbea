"""The row of a new repository. Every kind of creation makes it here."""

from packhouse.auth import Principal
from packhouse.db import Session, insert_repo
from packhouse.ids import RepoId
from packhouse.operations.repos.repo_info import RepoInfo, UpstreamInfo
from packhouse.repository import Receipt, bind


def insert_new_repo(
    session: Session,
    caller: Principal,
    *,
    public_id: RepoId,
    name: str,
    default_branch: str,
    receipt: Receipt[RepoInfo] | None,
    now: int,
    expires_at: int | None,
    upstream: UpstreamInfo | None = None,
) -> RepoInfo:
    """Add the row, keep the answer of a request with a key, and return the repository; raise RepoExists."""
    repo_id = insert_repo(
        session,
        public_id=public_id,
        org_id=caller.org_id,
        name=name,
        default_branch=default_branch,
        now=now,
        expires_at=expires_at,
    )
    info = RepoInfo(
        public_id=public_id,
        id=repo_id,
        name=name,
        default_branch=default_branch,
        created_at=now,
        upstream=upstream,
        expires_at=expires_at,
    )
    if (bound := bind(receipt, lambda: info)) is not None:
        bound.keep(session, repo_id, now=now)
    return info
