"""The facts about a repository that callers see."""

from dataclasses import dataclass

from packhouse.db import Repo
from packhouse.ids import RepoId, RepoKey


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

    `created_at` is in seconds since 1970. `upstream` is None unless the repository follows an upstream.
    """

    public_id: RepoId
    id: RepoKey
    name: str
    default_branch: str
    created_at: int
    upstream: UpstreamInfo | None = None


def repo_info(repo: Repo) -> RepoInfo:
    """Return the facts that callers see about the repository in a row."""
    return RepoInfo(
        public_id=repo.public_id,
        id=repo.id,
        name=repo.name,
        default_branch=repo.default_branch,
        created_at=repo.created_at,
        upstream=_upstream_info(repo),
    )


def _upstream_info(repo: Repo) -> UpstreamInfo | None:
    upstream = repo.upstream
    if upstream is None:
        return None
    return UpstreamInfo(upstream.provider, upstream.owner, upstream.name, upstream.host)
