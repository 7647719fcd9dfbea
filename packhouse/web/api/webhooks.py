"""Webhook subscriptions: create, list, delete."""

from typing import Annotated, Any

import msgspec
from starlette.responses import Response

from packhouse import limits
from packhouse.clock import format_timestamp
from packhouse.operations.webhooks.add_webhook import AddWebhook, add_webhook
from packhouse.operations.webhooks.list_webhooks import ListWebhooks, Webhook, list_webhooks
from packhouse.operations.webhooks.remove_webhook import RemoveWebhook, remove_webhook
from packhouse.operations.webhooks.subscriptions import ANY_EVENT
from packhouse.repository.refs.events import EVENT_KINDS
from packhouse.secret import Secret
from packhouse.web.call import Call
from packhouse.web.edge.responses import json_response
from packhouse.web.json.fields import Verbatim, page_limit, parse_query
from packhouse.web.json.types import EncodedCursor, Name, PageLimit, Timestamp, always, says
from packhouse.web.openapi.description import Description
from packhouse.web.routing.dialects import without_nulls
from packhouse.web.routing.route import ADMIN, Claim, changing, of_org, reading

_EventName = Annotated[str, always(*EVENT_KINDS, ANY_EVENT)]


class CreateWebhookBody(msgspec.Struct, frozen=True, kw_only=True):
    """Where to send which events. Without `secret` one is made; `repo` narrows to one repository's events."""

    url: Annotated[str, says(maxLength=limits.outbound_url_max_chars)]
    events: Annotated[list[_EventName], says(minItems=1)]
    secret: Annotated[Verbatim, says(maxLength=limits.webhook_secret_max_chars)] | None = None
    repo: str | None = None


class ListWebhooksQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which page."""

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
    """A subscription. Inactive: its receiver has answered 410 Gone."""

    id: Name
    url: Name
    events: list[_EventName]
    active: bool
    created_at: Timestamp
    repo: Name | msgspec.UnsetType = msgspec.UNSET


class WebhookListReply(msgspec.Struct, frozen=True, kw_only=True):
    """A page of subscriptions, oldest first."""

    webhooks: list[WebhookReply]
    has_more: bool
    next_cursor: Name | msgspec.UnsetType = msgspec.UNSET


async def handle_create(call: Call) -> Response:
    """POST …/webhooks."""
    body = await call.read_body(CreateWebhookBody)
    secret = Secret(body.secret) if body.secret and body.secret.strip() else None
    command = AddWebhook(url=body.url, events=body.events, secret=secret, repo=body.repo)
    added = await call.operate(add_webhook, command)
    reply = CreatedWebhookReply(
        id=added.webhook_id,
        url=added.url,
        events=list(added.events),
        secret=added.secret.reveal(),
        created_at=format_timestamp(added.created_at),
    )
    return json_response(reply, 201)


async def handle_list(call: Call) -> Response:
    """GET …/webhooks."""
    query = parse_query(call.wire.query_string, ListWebhooksQuery, where="list_webhooks")
    page = await call.operate(
        list_webhooks, ListWebhooks(cursor=query.cursor, count_max=page_limit(query.limit))
    )
    fields: dict[str, Any] = {
        "webhooks": [_fields(webhook) for webhook in page.webhooks],
        "has_more": page.cursor is not None,
        "next_cursor": page.cursor,
    }
    return json_response(without_nulls(fields))


async def handle_delete(call: Call) -> Response:
    """DELETE …/webhooks/{id}."""
    await call.operate(remove_webhook, RemoveWebhook(call.path_values["id"]))
    return Response(status_code=204)


def _fields(webhook: Webhook) -> dict[str, Any]:
    return without_nulls(
        {
            "id": webhook.webhook_id,
            "url": webhook.url,
            "events": list(webhook.events),
            "active": webhook.disabled_at is None,
            "created_at": format_timestamp(webhook.created_at),
            "repo": webhook.repo_name,
        }
    )


ROUTES = (
    changing(
        "create_webhook",
        of_org("webhooks"),
        handle_create,
        Description(
            "Subscribe a receiver to events",
            body=CreateWebhookBody,
            reply=CreatedWebhookReply,
            status=201,
            failures=(404, 413),
        ),
        claim=Claim.ORG,
    ),
    reading(
        "list_webhooks",
        of_org("webhooks"),
        handle_list,
        Description("List subscriptions", query=ListWebhooksQuery, reply=WebhookListReply, failures=(404,)),
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
