"""Repositories: create, list, get, update, delete one or many (see docs/reference/http-api.md)."""

from typing import Annotated, Any, Final, TypedDict

import msgspec
from msgspec import UNSET, UnsetType

from packhouse import limits
from packhouse.auth import Scope
from packhouse.clock import format_timestamp
from packhouse.errors import Code, Invalid
from packhouse.git.objects import parse_date
from packhouse.node import check_repo_name
from packhouse.operations.removal.delete_repos import DeleteRepos, delete_repos
from packhouse.operations.repos.bases import Base
from packhouse.operations.repos.create_repo import CreateRepo, create_repo
from packhouse.operations.repos.delete_repo import DeleteRepo, delete_repo
from packhouse.operations.repos.get_repo import GetRepo, get_repo
from packhouse.operations.repos.list_repos import ListRepos, list_repos
from packhouse.operations.repos.repo_info import RepoInfo, UpstreamInfo
from packhouse.operations.repos.update_repo import Expiry, UpdateRepo, update_repo
from packhouse.web.call import Call
from packhouse.web.json import (
    BASE_REPO,
    INITIAL_COMMIT,
    OLD_NAME,
    SNAPSHOT_HAS_A_COMMIT,
    BranchName,
    Count,
    EncodedCursor,
    ExpiryDate,
    InitialCommitUnexpected,
    Name,
    PageLimit,
    Timestamp,
    Verbatim,
    WithOldNames,
    clamped,
    needs,
    old_name_of,
    page_limit,
    parse_base,
    parse_base_branch,
    parse_default_branch,
    parse_object,
    says,
)
from packhouse.web.openapi.description import Description
from packhouse.web.prepared_write import PreparedWrite
from packhouse.web.reply import or_unset
from packhouse.web.routing.route import ADMIN, Claim, Paths, changing, of_org, reading, writing

RepoId = Annotated[str, says(pattern="^repo_")]


class CreateRepoBody(msgspec.Struct, frozen=True, kw_only=True):
    """Settings of the new repository; its name is the token's `repo` claim."""

    default_branch: BranchName = ""
    base_repo: Annotated[dict[str, Any], BASE_REPO] | None = None
    initial_commit: Annotated[dict[str, Any], INITIAL_COMMIT] | None = None
    expires_at: ExpiryDate | None = None
    deployment: Annotated[Any, says(type="null")] = None


class CreateRepoQuery(msgspec.Struct, frozen=True, kw_only=True):
    """The default branch, for callers that send no body."""

    default_branch: BranchName = ""


class ListReposQuery(msgspec.Struct, frozen=True, kw_only=True):
    """The page to return. `q` is searched in names without regard to case."""

    q: str = ""
    cursor: EncodedCursor = ""
    limit: PageLimit = 0


class UpdateRepoBody(msgspec.Struct, frozen=True, kw_only=True):
    """The new default branch, which must exist unless the repository is empty, and the new expiry.

    `expires_at` null takes the expiry away.
    """

    default_branch: BranchName = ""
    expires_at: ExpiryDate | None = None
    deployment: Annotated[Any, says(type="null")] = None


class BaseRepoReply(msgspec.Struct, frozen=True, kw_only=True):
    """The upstream that a repository follows."""

    provider: Name
    owner: Name
    name: Name
    upstream_host: Name | UnsetType = UNSET


class RepoMembers(WithOldNames, frozen=True, kw_only=True):
    """What every reply tells of a repository."""

    repo_id: RepoId
    repository_id: Annotated[int, says(minimum=1, maximum=2**31 - 1)]
    repo_name: Name
    default_branch: Name
    created_at: Timestamp
    base_repo: BaseRepoReply | UnsetType = UNSET
    expires_at: Timestamp | UnsetType = UNSET
    http_url: Name | UnsetType = UNSET


class RepoReply(RepoMembers, frozen=True, kw_only=True):
    """A repository; `url` is the old name of `repo_name`."""

    url: Annotated[Name, old_name_of("repo_name")] = OLD_NAME


class CreatedRepoReply(RepoMembers, frozen=True, kw_only=True):
    """A new repository; `id` and `url` are old names of `repo_name`."""

    message: Name
    url: Annotated[Name, old_name_of("repo_name")] = OLD_NAME
    id: Annotated[Name, old_name_of("repo_name")] = OLD_NAME


class RepoListReply(msgspec.Struct, frozen=True, kw_only=True):
    """One page of repositories."""

    repos: list[RepoReply]
    has_more: bool
    next_cursor: Name | UnsetType = UNSET


class UpdatedRepoReply(WithOldNames, frozen=True, kw_only=True):
    """A repository after a change."""

    repo_id: RepoId
    repo_name: Name
    default_branch: Name
    expires_at: Timestamp | UnsetType = UNSET
    url: Annotated[Name, old_name_of("repo_name")] = OLD_NAME


class DeletedRepoReply(msgspec.Struct, frozen=True, kw_only=True):
    """The deleted repository, by its internal id."""

    repo_id: RepoId
    message: Name


class DeleteReposBody(msgspec.Struct, frozen=True, kw_only=True):
    """The start of the names of the repositories to delete, not trimmed and compared literally."""

    prefix: Annotated[Verbatim, says(minLength=1, maxLength=limits.repo_name_max_bytes)]
    limit: Annotated[int, clamped(limits.repos_deleted_max, default=limits.repos_deleted_max)] = 0


class DeletedRepoItem(WithOldNames, frozen=True, kw_only=True):
    """One of the deleted repositories."""

    repo_id: RepoId
    repo_name: Name
    url: Annotated[Name, old_name_of("repo_name")] = OLD_NAME


class DeletedReposReply(msgspec.Struct, frozen=True, kw_only=True):
    """The deleted repositories by name. With `has_more` others are left, which the same call deletes."""

    repos: list[DeletedRepoItem]
    count: Count
    has_more: bool


class DeploymentNotSupported(Invalid):
    """The request has settings of a hosted service."""

    code = Code.DEPLOYMENT_NOT_SUPPORTED


class NothingToUpdate(Invalid):
    """The request changes nothing."""

    code = Code.NOTHING_TO_UPDATE


async def post_repo(call: Call) -> PreparedWrite[CreatedRepoReply]:
    """POST /api/repos: create the repository that the token names."""
    body = await call.read_body(CreateRepoBody)
    query = call.read_query(CreateRepoQuery)
    check_repo_name(call.caller.repo)  # an invalid name is reported before any fault of the body
    _refuse_deployment(body.deployment)
    branch = parse_default_branch(body.default_branch or query.default_branch)
    base: Base | None = None
    if body.base_repo is not None:
        base = parse_base(body.base_repo, body.initial_commit, now=call.node.clock())
        branch = parse_base_branch(body.base_repo) or branch
    elif body.initial_commit is not None:
        raise InitialCommitUnexpected()
    command = CreateRepo(call.caller.repo, branch, base, _parse_expiry(body.expires_at))

    def render(repo: RepoInfo) -> CreatedRepoReply:
        address = call.clone_address(repo.name)
        return CreatedRepoReply(**_members(repo, http_url=address), message="repository created")

    return call.prepare_write(create_repo, command, render)


async def get_repos(call: Call) -> RepoListReply:
    """GET /api/repos: the organisation's repositories, page by page."""
    query = call.read_query(ListReposQuery)
    page = await call.operate(list_repos, ListRepos(query.q, query.cursor, query.limit))
    return RepoListReply(
        repos=[RepoReply(**_members(repo)) for repo in page.repos],
        has_more=page.cursor is not None,
        next_cursor=or_unset(page.cursor),
    )


async def get_one_repo(call: Call) -> RepoReply:
    """GET /api/repos/{repo}: one repository."""
    repo = await call.operate(get_repo, GetRepo(call.caller.repo))
    return RepoReply(**_members(repo, http_url=call.clone_address(repo.name)))


async def patch_repo(call: Call) -> UpdatedRepoReply:
    """PATCH /api/repos/{repo}: change the default branch and the expiry."""
    members = await call.read_members(UpdateRepoBody)
    body = parse_object(members, UpdateRepoBody, where=call.match.operation)
    _refuse_deployment(body.deployment)
    branch = parse_default_branch(body.default_branch)
    expires_at = _parse_expiry(body.expires_at)
    # Only here does null mean something else than an absent member.
    is_expiry_given = expires_at is not None or members.get("expires_at", UNSET) is None
    if branch is None and not is_expiry_given:
        raise NothingToUpdate()
    expiry = Expiry(expires_at) if is_expiry_given else None
    repo = await call.operate(update_repo, UpdateRepo(call.caller.repo, branch, expiry))
    return UpdatedRepoReply(
        repo_id=repo.public_id,
        repo_name=repo.name,
        default_branch=repo.default_branch,
        expires_at=_expiry_time(repo),
    )


async def delete_one_repo(call: Call) -> DeletedRepoReply:
    """DELETE /api/repos/{repo}: delete the repository. A job removes its storage later."""
    deleted = await call.operate(delete_repo, DeleteRepo(call.caller.repo))
    message = f"Repository {deleted.name} deletion initiated; storage is cleaned up in the background."
    return DeletedRepoReply(repo_id=deleted.public_id, message=message)


async def delete_prefixed_repos(call: Call) -> DeletedReposReply:
    """DELETE /api/repos: delete the repositories whose names start with a text, up to a number."""
    body = await call.read_body(DeleteReposBody)
    most = limits.repos_deleted_max
    command = DeleteRepos(body.prefix, page_limit(body.limit, default=most, maximum=most))
    deleted = await call.operate(delete_repos, command)
    return DeletedReposReply(
        repos=[DeletedRepoItem(repo_id=repo.public_id, repo_name=repo.name) for repo in deleted.repos],
        count=len(deleted.repos),
        has_more=deleted.has_more,
    )


class _Members(TypedDict):
    """The members of RepoMembers, which several replies share."""

    repo_id: str
    repository_id: int
    repo_name: str
    default_branch: str
    created_at: str
    base_repo: BaseRepoReply | UnsetType
    expires_at: str | UnsetType
    http_url: str | UnsetType


def _members(repo: RepoInfo, *, http_url: str | UnsetType = UNSET) -> _Members:
    return {
        "repo_id": repo.public_id,
        "repository_id": repo.id,
        "repo_name": repo.name,
        "default_branch": repo.default_branch,
        "created_at": format_timestamp(repo.created_at),
        "base_repo": _base_reply(repo.upstream),
        "expires_at": _expiry_time(repo),
        "http_url": http_url,
    }


def _base_reply(base: UpstreamInfo | None) -> BaseRepoReply | UnsetType:
    if base is None:
        return UNSET
    return BaseRepoReply(
        provider=base.provider, owner=base.owner, name=base.name, upstream_host=base.host or UNSET
    )


def _expiry_time(repo: RepoInfo) -> str | UnsetType:
    return UNSET if repo.expires_at is None else format_timestamp(repo.expires_at)


def _parse_expiry(text: str | None) -> int | None:
    """Return the time in seconds since 1970, None for absent text; raise Invalid for text that is no date."""
    return None if text is None else parse_date(text)[0]


def _refuse_deployment(settings: object) -> None:
    if settings is not None:
        raise DeploymentNotSupported()


_TAKES_EXPIRY_AWAY: Final = {"required": ["expires_at"], "properties": {"expires_at": {"type": "null"}}}
_CHANGES_SOMETHING: Final = {"anyOf": [*needs("default_branch", "expires_at")["anyOf"], _TAKES_EXPIRY_AWAY]}

ROUTES = (
    writing(
        "create_repo",
        of_org("repos"),
        post_repo,
        Description(
            "Create a repository, named by the token's repo claim",
            query=CreateRepoQuery,
            body=CreateRepoBody,
            body_rules=(SNAPSHOT_HAS_A_COMMIT,),
            status=201,
            failures=(502,),
        ),
        scopes=ADMIN,
    ),
    reading(
        "list_repos",
        of_org("repos"),
        get_repos,
        Description("List the organisation's repositories", query=ListReposQuery),
        scopes=(Scope.ORG_READ,),
        claim=Claim.ORG,
    ),
    reading(
        "get_repo",
        Paths(released="/api/v1/repo", preferred="/api/repos/{repo}"),
        get_one_repo,
        Description("Get a repository"),
        scopes=(Scope.GIT_READ, Scope.GIT_WRITE, Scope.REPO_WRITE),
    ),
    changing(
        "update_repo",
        Paths(released="/api/v1/repo", preferred="/api/repos/{repo}"),
        patch_repo,
        Description(
            "Change a repository's default branch and expiry",
            body=UpdateRepoBody,
            body_rules=(_CHANGES_SOMETHING,),
        ),
        method="PATCH",
    ),
    changing(
        "delete_repo",
        Paths(released="/api/v1/repos/delete", preferred="/api/repos/{repo}"),
        delete_one_repo,
        Description("Delete a repository"),
        method="DELETE",
    ),
    changing(
        "delete_repos",
        of_org("repos"),
        delete_prefixed_repos,
        Description("Delete the repositories whose names start with a text", body=DeleteReposBody),
        method="DELETE",
        claim=Claim.ORG,
        released_scope_status=403,
    ),
)
