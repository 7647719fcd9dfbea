"""`packhouse webhook`: subscriptions to events, and the outcomes of deliveries."""

from pathlib import Path

import click

from packhouse import limits
from packhouse.cli.command import PackhouseGroup
from packhouse.cli.node import opened_node
from packhouse.cli.output import Record, json_option, print_outcome, print_record, print_table, time_text
from packhouse.clock import format_timestamp
from packhouse.operations.tenants.act_as_operator import ActAsOperator, act_as_operator
from packhouse.operations.webhooks.add_webhook import AddWebhook, add_webhook
from packhouse.operations.webhooks.list_deliveries import Delivery, ListDeliveries, list_deliveries
from packhouse.operations.webhooks.list_webhooks import ListWebhooks, Webhook, list_webhooks
from packhouse.operations.webhooks.redeliver import Redeliver, redeliver
from packhouse.operations.webhooks.remove_webhook import RemoveWebhook, remove_webhook
from packhouse.operations.webhooks.subscriptions import ANY_EVENT
from packhouse.secret import Secret

_DELIVERIES_SHOWN = 100


@click.group("webhook", cls=PackhouseGroup)
def command() -> None:
    """Webhooks of an organisation."""


@command.command("add")
@click.argument("org")
@click.argument("url")
@click.option("--secret", metavar="TEXT", help="Sign with this; whoever may list processes sees it here.")
@click.option("--secret-file", type=click.Path(path_type=Path), help="Sign with the first line of this file.")
@click.option(
    "--event", "events", multiple=True, metavar="NAME", help="Send this event; repeatable. Default: all."
)
@click.option("--repo", metavar="NAME", help="Only events of this repository.")
@json_option
def add(
    *,
    org: str,
    url: str,
    secret: str | None,
    secret_file: Path | None,
    events: tuple[str, ...],
    repo: str | None,
    as_json: bool,
) -> None:
    """Send the events of ORG to URL; print the secret that signs them, which nobody can ask for again."""
    if secret is not None and secret_file is not None:
        raise click.UsageError("--secret and --secret-file exclude each other")
    given = secret if secret_file is None else _read_line(secret_file)
    asked = AddWebhook(
        url=url, events=events or (ANY_EVENT,), secret=None if given is None else Secret(given), repo=repo
    )
    with opened_node() as node:
        added = add_webhook(node, act_as_operator(node, ActAsOperator(org)), asked)
    record = {"id": added.webhook_id, "url": added.url, "events": list(added.events)}
    print_record({**record, "secret": added.secret.reveal()}, as_json=as_json)


@command.command("list")
@click.argument("org")
@json_option
def list_(*, org: str, as_json: bool) -> None:
    """List the webhooks of ORG, oldest first."""
    records: list[Record] = []
    with opened_node() as node:
        caller, cursor = act_as_operator(node, ActAsOperator(org)), ""
        while True:
            page = list_webhooks(node, caller, ListWebhooks(cursor=cursor, count_max=limits.page_max))
            records += [_record(webhook) for webhook in page.webhooks]
            if page.cursor is None:
                break
            cursor = page.cursor
    print_table(records, ["id", "url", "events", "repo", "active", "created_at"], as_json=as_json)


@command.command("remove")
@click.argument("org")
@click.argument("webhook_id")
@json_option
def remove(*, org: str, webhook_id: str, as_json: bool) -> None:
    """Send nothing more to the webhook WEBHOOK_ID of ORG."""
    with opened_node() as node:
        remove_webhook(node, act_as_operator(node, ActAsOperator(org)), RemoveWebhook(webhook_id))
    print_outcome({"removed": webhook_id}, f"removed {webhook_id}", as_json=as_json)


@command.command("deliveries")
@click.argument("org")
@click.argument("webhook_id")
@json_option
def deliveries(*, org: str, webhook_id: str, as_json: bool) -> None:
    """List the last hundred deliveries to the webhook WEBHOOK_ID of ORG, newest first."""
    with opened_node() as node:
        wanted = ListDeliveries(webhook_id, _DELIVERIES_SHOWN)
        found = list_deliveries(node, act_as_operator(node, ActAsOperator(org)), wanted)
    columns = ["id", "event", "ref", "state", "attempts", "status", "error", "attempted_at"]
    print_table([_delivery_record(delivery) for delivery in found], columns, as_json=as_json)


@command.command("redeliver")
@click.argument("org")
@click.argument("delivery_id")
@json_option
def redeliver_(*, org: str, delivery_id: str, as_json: bool) -> None:
    """Send the delivery DELIVERY_ID once more."""
    with opened_node() as node:
        redeliver(node, act_as_operator(node, ActAsOperator(org)), Redeliver(delivery_id))
    print_outcome({"redelivered": delivery_id}, f"{delivery_id} will be sent again", as_json=as_json)


def _read_line(path: Path) -> str:
    with click.open_file(str(path), "rb") as file:
        content: bytes = file.read(limits.key_file_max_bytes)
    return content.decode("utf-8", "replace").partition("\n")[0].rstrip("\r")


def _record(webhook: Webhook) -> Record:
    return {
        "id": webhook.webhook_id,
        "url": webhook.url,
        "events": " ".join(webhook.events),
        "repo": webhook.repo_name,
        "active": webhook.disabled_at is None,
        "created_at": format_timestamp(webhook.created_at),
    }


def _delivery_record(delivery: Delivery) -> Record:
    answer = delivery.response_start or b""
    return {
        "id": delivery.delivery_id,
        "event": delivery.kind,
        "ref": delivery.refname,
        "state": delivery.state,
        "attempts": delivery.attempts,
        "status": delivery.status,
        "error": delivery.error,
        "attempted_at": time_text(delivery.attempted_at),
        "next_attempt_at": format_timestamp(delivery.next_attempt_at)
        if delivery.state == "pending"
        else None,
        "duration_ms": delivery.duration_ms,
        "answer": answer.decode("utf-8", "replace"),
    }
