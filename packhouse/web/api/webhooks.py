"""Webhook subscriptions: create, list and delete them."""

from typing import Annotated

import msgspec
from msgspec import UNSET, UnsetType

from packhouse import limits
from packhouse.clock import format_timestamp
from packhouse.operations.webhooks.add_webhook import AddWebhook, add_webhook
from packhouse.operations.webhooks.list_webhooks import ListWebhooks, Webhook, list_webhooks
from packhouse.operations.webhooks.remove_webhook import RemoveWebhook, remove_webhook
from packhouse.operations.webhooks.subscriptions import ANY_EVENT
from packhouse.repository import EVENT_KINDS
from packhouse.secret import Secret
from packhouse.web.call import Call
from packhouse.web.json import (
    EncodedCursor,
    Name,
    PageLimit,
    Timestamp,
    Verbatim,
    always,
    page_limit,
    parse_query,
    says,
)
from packhouse.web.openapi.description import Description
from packhouse.web.reply import or_unset
from packhouse.web.routing.route import ADMIN, Claim, changing, of_org, reading

_EventName = Annotated[str, always(*EVENT_KINDS, ANY_EVENT)]


class CreateWebhookBody(msgspec.Struct, frozen=True, kw_only=True):
    """The receiver, and the events that this server sends to it.

    Without `secret` the server makes one. `repo` limits the events to those of one repository.
    """

    url: Annotated[str, says(maxLength=limits.outbound_url_max_chars)]
    events: Annotated[list[_EventName], says(minItems=1)]
    secret: Annotated[Verbatim, says(maxLength=limits.webhook_secret_max_chars)] | None = None
    repo: str | None = None


class ListWebhooksQuery(msgspec.Struct, frozen=True, kw_only=True):
    """The page to return."""

    cursor: EncodedCursor = ""
    limit: PageLimit = 0


class CreatedWebhookReply(msgspec.Struct, frozen=True, kw_only=True):
    """A new subscription. Its secret is shown here and never again."""

    id: Name
    url: Name
    events: list[_EventName]
    secret: Name
    created_at: Timestamp


class WebhookReply(msgspec.Struct, frozen=True, kw_only=True):
    """A subscription. An inactive one gets no events, because its receiver has answered 410 Gone."""

    id: Name
    url: Name
    events: list[_EventName]
    active: bool
    created_at: Timestamp
    repo: Name | UnsetType = UNSET


class WebhookListReply(msgspec.Struct, frozen=True, kw_only=True):
    """A page of subscriptions, oldest first."""

    webhooks: list[WebhookReply]
    has_more: bool
    next_cursor: Name | UnsetType = UNSET


async def handle_create(call: Call) -> CreatedWebhookReply:
    """POST …/webhooks."""
    body = await call.read_body(CreateWebhookBody)
    secret = Secret(body.secret) if body.secret and body.secret.strip() else None
    command = AddWebhook(url=body.url, events=body.events, secret=secret, repo=body.repo)
    added = await call.operate(add_webhook, command)
    return CreatedWebhookReply(
        id=added.webhook_id,
        url=added.url,
        events=list(added.events),
        secret=added.secret.reveal(),
        created_at=format_timestamp(added.created_at),
    )


async def handle_list(call: Call) -> WebhookListReply:
    """GET …/webhooks."""
    query = parse_query(call.wire.query_string, ListWebhooksQuery, where="list_webhooks")
    page = await call.operate(
        list_webhooks, ListWebhooks(cursor=query.cursor, count_max=page_limit(query.limit))
    )
    return WebhookListReply(
        webhooks=[_reply(webhook) for webhook in page.webhooks],
        has_more=page.cursor is not None,
        next_cursor=or_unset(page.cursor),
    )


async def handle_delete(call: Call) -> None:
    """DELETE …/webhooks/{id}."""
    await call.operate(remove_webhook, RemoveWebhook(call.path_values["id"]))


def _reply(webhook: Webhook) -> WebhookReply:
    return WebhookReply(
        id=webhook.webhook_id,
        url=webhook.url,
        events=list(webhook.events),
        active=webhook.disabled_at is None,
        created_at=format_timestamp(webhook.created_at),
        repo=or_unset(webhook.repo_name),
    )


ROUTES = (
    changing(
        "create_webhook",
        of_org("webhooks"),
        handle_create,
        Description(
            "Subscribe a receiver to events",
            body=CreateWebhookBody,
            status=201,
            failures=(404, 413),
        ),
        claim=Claim.ORG,
    ),
    reading(
        "list_webhooks",
        of_org("webhooks"),
        handle_list,
        Description("List subscriptions", query=ListWebhooksQuery, failures=(404,)),
        scopes=ADMIN,
        claim=Claim.ORG,
    ),
    changing(
        "delete_webhook",
        of_org("webhooks/{id}"),
        handle_delete,
        Description("End a subscription", status=204, failures=(404,)),
        method="DELETE",
        claim=Claim.ORG,
    ),
)
