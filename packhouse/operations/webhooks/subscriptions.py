"""Subscriptions to events that a caller's token may see."""

from typing import Final

from packhouse.auth import ORGANISATION_CLAIM, Principal, RepoClaimMismatch
from packhouse.db import Repo, RepoNotFound, Session, Webhook, find_repo, find_webhook
from packhouse.errors import Code, NotFound

ANY_EVENT: Final = "*"
"""The name that subscribes to every event."""


class WebhookNotFound(NotFound):
    """There is no such subscription, or it belongs to another organisation or repository."""

    code = Code.WEBHOOK_NOT_FOUND
    webhook: str


def read_webhook(session: Session, caller: Principal, webhook_id: str) -> Webhook:
    """Return a subscription of the caller's organisation, and of the repository that its token is limited to.

    Raises WebhookNotFound, and RepoNotFound when that repository is gone.
    """
    found = find_webhook(session, caller.org_id, webhook_id)
    if found is not None:
        repo = limiting_repo(session, caller, None)
        if repo is None or repo.id == found.repo_id:
            return found
    raise WebhookNotFound(webhook_id[:100])


def limiting_repo(session: Session, caller: Principal, asked: str | None) -> Repo | None:
    """Return the repository that the caller's token or request names; None for the whole organisation.

    Raises RepoNotFound, and RepoClaimMismatch when the token is for another repository than `asked`.
    """
    claim = None if caller.repo_claim == ORGANISATION_CLAIM else caller.repo_claim
    if claim is not None and asked is not None and claim != asked:
        raise RepoClaimMismatch()
    name = asked if claim is None else claim
    if name is None:
        return None
    repo = find_repo(session, caller.org_id, name)
    if repo is None:
        raise RepoNotFound(name)
    return repo
