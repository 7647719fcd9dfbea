"""Deleting the repositories whose names start with one text."""

from dataclasses import dataclass

from packhouse import limits
from packhouse.auth import Principal, Scope
from packhouse.db import DeletedRow, Session, has_prefixed_repos, mark_prefixed_deleted
from packhouse.errors import Code, Denied
from packhouse.log import log_event
from packhouse.node import Node
from packhouse.operations.removal.name_prefix import check_prefix
from packhouse.operations.repos.delete_repo import DeletedRepo, queue_cleaning


class RefPolicyPresent(Denied):
    """The token has a ref policy: it may change some refs only, so it must not delete all refs of many repositories."""

    code = Code.REF_POLICY_PRESENT


@dataclass(frozen=True, slots=True)
class DeleteRepos:
    """The start of the names, compared literally: case and each character matter.

    At most `count_max` repositories are deleted, and never more than `limits.repos_deleted_max`.
    """

    prefix: str
    count_max: int = limits.repos_deleted_max


@dataclass(frozen=True, slots=True)
class DeletedRepos:
    """The deleted repositories in the order of their names. `has_more`: others with the prefix are still there."""

    repos: list[DeletedRepo]
    has_more: bool


def delete_repos(node: Node, caller: Principal, command: DeleteRepos) -> DeletedRepos:
    """Delete repositories of the caller's organisation, each as delete_repo() does.

    Transactions are short, so that other writers go on. A failure leaves the transactions before it done, and the same
    call goes on. The token must be for the organisation and may have no ref policy. It needs `repo:write` as every
    deletion does, and `org:read` because the answer lists repositories; so a token for webhooks and credentials of the
    organisation, which has `repo:write` alone, deletes nothing. Raises NamePrefixInvalid and Denied.
    """
    _require_rights(caller)
    prefix = check_prefix(command.prefix)
    left = min(command.count_max, limits.repos_deleted_max)
    deleted: list[DeletedRow] = []
    has_more = True
    while has_more and left > 0:
        page, has_more = _delete_page(node, caller, prefix, limit=min(left, node.limits.deletion_batch))
        deleted += page
        left -= len(page)
    if deleted:
        log_event("repositories deleted by prefix", org=caller.org_name, prefix=prefix, count=len(deleted))
    return DeletedRepos([DeletedRepo(repo.public_id, repo.name) for repo in deleted], has_more)


def _require_rights(caller: Principal) -> None:
    caller.require_organisation()
    caller.require_scope(Scope.REPO_WRITE)
    caller.require_scope(Scope.ORG_READ)
    caller.policy.require_usable()
    if caller.policy.rules:
        raise RefPolicyPresent()


def _delete_page(node: Node, caller: Principal, prefix: str, *, limit: int) -> tuple[list[DeletedRow], bool]:
    """Delete up to `limit` repositories; return them, and whether more are left."""
    state, now = node.new_state(), node.clock()

    def delete(session: Session) -> tuple[list[DeletedRow], bool]:
        page = mark_prefixed_deleted(session, caller.org_id, prefix, limit=limit, state=state, now=now)
        queue_cleaning(session, [(repo.id, repo.public_id) for repo in page], now=now)
        return page, has_prefixed_repos(session, caller.org_id, prefix)

    return node.database.transact(delete)
