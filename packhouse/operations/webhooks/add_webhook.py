"""Subscribing a receiver to events."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from packhouse import limits
from packhouse.auth import Principal
from packhouse.db import count_webhooks, insert_webhook, is_storable
from packhouse.errors import Code, FieldInvalid, FieldMissing, Invalid, LimitExceeded
from packhouse.ids import new_public_id
from packhouse.node import Node
from packhouse.operations.webhooks.open_secret import sealed_name
from packhouse.operations.webhooks.subscriptions import ANY_EVENT, limiting_repo
from packhouse.outbound import AddressRefused, BadAddress
from packhouse.repository import EVENT_KINDS
from packhouse.secret import Secret

_SECRET_BYTES: Final = 24


class EventUnknown(Invalid):
    """No event has this name. `event` is its start."""

    code = Code.EVENT_UNKNOWN
    event: str


class TooManyWebhooks(LimitExceeded):
    """The organisation may have no more webhooks. Remove one first."""

    code = Code.TOO_MANY_WEBHOOKS
    webhooks_max: int


@dataclass(frozen=True, slots=True)
class AddWebhook:
    """The subscription to add. `events` are names or `*`. Without `secret` one is made.

    With `repo`, the subscription is only to the events of that repository.
    """

    url: str
    events: Sequence[str]
    secret: Secret | None = None
    repo: str | None = None


@dataclass(frozen=True, slots=True)
class AddedWebhook:
    """A new subscription, with its secret. The secret cannot be read again later."""

    webhook_id: str
    url: str
    events: tuple[str, ...]
    created_at: int
    secret: Secret = field(repr=False)


def add_webhook(node: Node, caller: Principal, command: AddWebhook) -> AddedWebhook:
    """Subscribe a receiver to the events of an organisation, or of one repository.

    Raises Invalid for the URL, an event or the secret, RepoNotFound, LimitExceeded, and RepoClaimMismatch when the
    token is for one repository and the subscription for others, too.
    """
    events = _check_events(command.events)
    _check_url(node, command.url)
    secret = command.secret or Secret("whsec_" + node.random_bytes(_SECRET_BYTES).hex())
    _check_secret(secret)
    webhook_id = new_public_id("wh", node.random_bytes)
    sealed = node.secret_keys.seal(secret, bound_to=sealed_name(webhook_id))
    now = node.clock()
    with node.database.write() as session:
        repo = limiting_repo(session, caller, command.repo)
        if count_webhooks(session, caller.org_id) >= limits.webhooks_max:
            raise TooManyWebhooks(limits.webhooks_max)
        insert_webhook(
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
