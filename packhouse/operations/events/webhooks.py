"""Subscriptions to events: who is told of what, and the log of what was sent."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from packhouse import limits
from packhouse.auth.principal import ORGANISATION_CLAIM, Principal, RepoClaimMismatch
from packhouse.cursors import decode_cursor, decode_number, encode_cursor
from packhouse.db import webhook_deliveries, webhooks
from packhouse.db.repos import Repo, RepoNotFound, find_repo
from packhouse.db.session import Session
from packhouse.db.text import is_storable
from packhouse.db.webhook_deliveries import Delivery
from packhouse.db.webhooks import Webhook
from packhouse.error_codes import Code
from packhouse.errors import Conflict, FieldInvalid, FieldMissing, Invalid, LimitExceeded, NotFound
from packhouse.ids import new_public_id
from packhouse.node.node import Node
from packhouse.operations.events.webhook_delivery import ANY_EVENT
from packhouse.outbound.destination import AddressRefused, BadAddress
from packhouse.repository.refs.events import EVENT_KINDS
from packhouse.secret import Secret

__all__ = ["Delivery", "Webhook"]

_SECRET_BYTES: Final = 24


class EventUnknown(Invalid):
    """No event has this name. `event` is its start."""

    code = Code.EVENT_UNKNOWN
    event: str


class TooManyWebhooks(LimitExceeded):
    """Remove one first."""

    code = Code.TOO_MANY_WEBHOOKS
    webhooks_max: int


class WebhookNotFound(NotFound):
    """There is no such subscription, or it is another organisation's or repository's."""

    code = Code.WEBHOOK_NOT_FOUND
    webhook: str


class WebhookInactive(Conflict):
    """The receiver has answered 410 Gone, so nothing is sent to it. Subscribe it anew."""

    code = Code.WEBHOOK_INACTIVE
    webhook: str


class DeliveryNotFound(NotFound):
    """There is no such delivery, or it is no longer kept."""

    code = Code.DELIVERY_NOT_FOUND
    delivery: str


@dataclass(frozen=True, slots=True)
class AddWebhook:
    """`events` are names or `*`. Without `secret` one is made. With `repo` only that one's events count."""

    url: str
    events: Sequence[str]
    secret: Secret | None = None
    repo: str | None = None


@dataclass(frozen=True, slots=True)
class AddedWebhook:
    """A new subscription, with the secret that nobody can ask for again."""

    webhook_id: str
    url: str
    events: tuple[str, ...]
    created_at: int
    secret: Secret = field(repr=False)


@dataclass(frozen=True, slots=True)
class WebhookPage:
    """One page. `next_cursor` is None when nothing follows."""

    webhooks: list[Webhook]
    next_cursor: str | None


def add_webhook(node: Node, caller: Principal, command: AddWebhook) -> AddedWebhook:
    """Subscribe a receiver to the events of an organisation, or of one repository.

    Raises Invalid for the URL, an event or the secret, RepoClaimMismatch when the token is for one repository
    and the subscription for more, RepoNotFound, and LimitExceeded.
    """
    events = _check_events(command.events)
    _check_url(node, command.url)
    secret = command.secret or Secret("whsec_" + node.random_bytes(_SECRET_BYTES).hex())
    _check_secret(secret)
    webhook_id = new_public_id("wh", node.random_bytes)
    sealed = node.secret_keys.seal(secret, bound_to=f"webhooks {webhook_id}")
    now = node.clock()
    with node.database.write() as session:
        repo = _limiting_repo(session, caller, command.repo)
        if webhooks.count_webhooks(session, caller.org_id) >= limits.webhooks_max:
            raise TooManyWebhooks(limits.webhooks_max)
        webhooks.insert_webhook(
            session,
            webhook_id=webhook_id,
            org_id=caller.org_id,
            repo_id=None if repo is None else repo.id,
            url=command.url,
            events=events,
            sealed_secret=sealed.content,
            sealed_with=sealed.key_id,
            now=now,
        )
    return AddedWebhook(webhook_id, command.url, events, now, secret)


def list_webhooks(node: Node, caller: Principal, *, cursor: str = "", limit: int) -> WebhookPage:
    """Return subscriptions, oldest first; to a token for one repository only that one's. Raises BadCursor."""
    after = decode_number(decode_cursor(cursor, parts=1)[0]) if cursor else 0
    with node.database.read() as session:
        repo = _limiting_repo(session, caller, None)
        found = webhooks.list_webhooks(
            session, caller.org_id, repo_id=None if repo is None else repo.id, after=after, limit=limit + 1
        )
    page = found[:limit]
    more = len(found) > limit
    return WebhookPage(page, encode_cursor(b"%d" % page[-1].id) if more else None)


def remove_webhook(node: Node, caller: Principal, webhook_id: str) -> None:
    """End a subscription; what it had still to get is dropped. Raises WebhookNotFound."""
    with node.database.write() as session:
        webhooks.delete_webhook(session, _find(session, caller, webhook_id).id, now=node.clock())


def list_deliveries(node: Node, caller: Principal, webhook_id: str, *, limit: int) -> list[Delivery]:
    """Return the last deliveries to a subscription, newest first. Raises WebhookNotFound."""
    with node.database.snapshot() as session:
        found = _find(session, caller, webhook_id)
        return webhook_deliveries.list_deliveries(session, found.id, limit=limit)


def redeliver(node: Node, caller: Principal, delivery_id: str) -> None:
    """Send an event to a subscription once more, with all attempts; its delivery id stays.

    Raises DeliveryNotFound and WebhookInactive.
    """
    with node.database.write() as session:
        found = webhook_deliveries.find_delivery(session, caller.org_id, delivery_id)
        if found is None:
            raise DeliveryNotFound(delivery_id[:100])
        if not found.active:
            raise WebhookInactive(found.webhook_id)
        webhook_deliveries.restart_delivery(session, found.id, now=node.clock())
    node.wakeups.notify()


def _find(session: Session, caller: Principal, webhook_id: str) -> Webhook:
    found = webhooks.find_webhook(session, caller.org_id, webhook_id)
    if found is not None:
        repo = _limiting_repo(session, caller, None)
        if repo is None or repo.id == found.repo_id:
            return found
    raise WebhookNotFound(webhook_id[:100])


def _limiting_repo(session: Session, caller: Principal, asked: str | None) -> Repo | None:
    """Return the repository that the caller speaks of; None for the whole organisation."""
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


def _check_events(events: Sequence[str]) -> tuple[str, ...]:
    if not events:
        raise FieldMissing("events")
    known = {*EVENT_KINDS, ANY_EVENT}
    for event in events:
        if event not in known:
            raise EventUnknown(event[:100])
    return tuple(dict.fromkeys(events))


def _check_url(node: Node, url: str) -> None:
    try:
        node.outbound.parse(url)
    except (BadAddress, AddressRefused) as error:
        reason = error.reason if isinstance(error, BadAddress) else "it is not a public address"
        raise FieldInvalid(field="url", reason=reason) from None


def _check_secret(secret: Secret) -> None:
    text = secret.reveal()
    if not 0 < len(text) <= limits.webhook_secret_max_chars or not is_storable(text):
        reason = f"1 to {limits.webhook_secret_max_chars} characters"
        raise FieldInvalid(field="secret", reason=reason)
