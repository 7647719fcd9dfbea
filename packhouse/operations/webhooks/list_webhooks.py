"""Listing subscriptions to events, page by page."""

from dataclasses import dataclass

from packhouse import limits
from packhouse.auth import Principal
from packhouse.cursors import decode_cursor, decode_number, encode_cursor
from packhouse.db import Webhook
from packhouse.db import webhooks as rows
from packhouse.node import Node
from packhouse.operations.webhooks.subscriptions import limiting_repo

__all__ = ["ListWebhooks", "Webhook", "WebhookPage", "list_webhooks"]


@dataclass(frozen=True, slots=True)
class ListWebhooks:
    """The page to read: at most `count_max` subscriptions after `cursor` ("": from the first)."""

    cursor: str = ""
    count_max: int = limits.page_default


@dataclass(frozen=True, slots=True)
class WebhookPage:
    """One page. `cursor` is that of the next page, None on the last one."""

    webhooks: list[Webhook]
    cursor: str | None


def list_webhooks(node: Node, caller: Principal, command: ListWebhooks) -> WebhookPage:
    """Return subscriptions, oldest first. A token for one repository sees only those for it. Raises BadCursor."""
    count_max = command.count_max
    after = decode_number(decode_cursor(command.cursor, parts=1)[0]) if command.cursor else 0
    with node.database.read() as session:
        repo = limiting_repo(session, caller, None)
        repo_id = None if repo is None else repo.id
        found = rows.list_webhooks(session, caller.org_id, repo_id=repo_id, after=after, limit=count_max + 1)
    page = found[:count_max]
    has_more = len(found) > count_max
    return WebhookPage(page, encode_cursor(b"%d" % page[-1].id) if has_more else None)
