"""The facts about a repository that callers see, and the check of the time at which it deletes itself."""

from dataclasses import dataclass

from packhouse.db import Repo
from packhouse.errors import Code, Invalid
from packhouse.ids import RepoId, RepoKey


class ExpiryNotInFuture(Invalid):
    """A repository was to be deleted at a time that has come already. `expires_at` is in seconds since 1970."""

    code = Code.EXPIRY_NOT_IN_FUTURE
    expires_at: int


@dataclass(frozen=True, slots=True)
class UpstreamInfo:
    """The upstream that a repository follows; `host` is "" for a provider's usual host."""

    provider: str
    owner: str
    name: str
    host: str = ""


@dataclass(frozen=True, slots=True)
class RepoInfo:
    """A repository. `public_id` is the internal `repo_…` id; `id` is a positive integer that is never reused.

    `created_at` is in seconds since 1970. At `expires_at` the repository is deleted; None means never. `upstream` is
    None unless the repository follows an upstream.
    """

    public_id: RepoId
    id: RepoKey
    name: str
    default_branch: str
    created_at: int
    upstream: UpstreamInfo | None = None
    expires_at: int | None = None


def repo_info(repo: Repo) -> RepoInfo:
    """Return the facts that callers see about the repository in a row."""
    return RepoInfo(
        public_id=repo.public_id,
        id=repo.id,
        name=repo.name,
        default_branch=repo.default_branch,
        created_at=repo.created_at,
        upstream=_upstream_info(repo),
        expires_at=repo.expires_at,
    )


def _upstream_info(repo: Repo) -> UpstreamInfo | None:
    upstream = repo.upstream
    if upstream is None:
        return None
    return UpstreamInfo(upstream.provider, upstream.owner, upstream.name, upstream.host)


def check_expiry(expires_at: int | None, *, now: int) -> None:
    """Raise ExpiryNotInFuture for a time that has come already; None, never, is fine."""
    if expires_at is not None and expires_at <= now:
        raise ExpiryNotInFuture(expires_at)
