"""Subscriptions to events. Callers seal their secrets first."""

import json
from dataclasses import dataclass

from packhouse.db.session import Row, Session
from packhouse.db.text import is_storable
from packhouse.ids import RepoKey


@dataclass(frozen=True, slots=True)
class Webhook:
    """A subscription. `repo_id` and `repo_name` are None for the whole organisation."""

    id: int
    webhook_id: str
    repo_id: RepoKey | None
    repo_name: str | None
    url: str
    events: tuple[str, ...]
    created_at: int
    disabled_at: int | None


@dataclass(frozen=True, slots=True)
class Subscriber:
    """The part of a subscription that decides whether it gets an event."""

    id: int
    repo_id: RepoKey | None
    events: tuple[str, ...]
    created_at: int


@dataclass(frozen=True, slots=True)
class ReadyWebhook:
    """A subscription that has something to send."""

    id: int
    webhook_id: str
    url: str
    sealed_secret: bytes
    sealed_with: str


@dataclass(frozen=True, slots=True)
class SealedRow:
    """A sealed secret of the row `public_id`."""

    id: int
    public_id: str
    sealed: bytes
    sealed_with: str


def insert_webhook(
    session: Session,
    *,
    webhook_id: str,
    org_id: int,
    repo_id: RepoKey | None,
    url: str,
    events: tuple[str, ...],
    sealed_secret: bytes,
    sealed_with: str,
    now: int,
) -> int:
    """Add an active subscription and return its id."""
    row = session.one(
        "insert_webhook",
        webhook_id=webhook_id,
        org_id=org_id,
        repo_id=repo_id,
        url=url,
        events=json.dumps(events),
        sealed_secret=sealed_secret,
        sealed_with=sealed_with,
        now=now,
    )
    assert row is not None, "an insert returns its row"
    return int(row[0])


def count_webhooks(session: Session, org_id: int) -> int:
    """Return the number of the organisation's subscriptions."""
    row = session.one("count_webhooks", org_id=org_id)
    assert row is not None, "a count returns a row"
    return int(row[0])


def list_webhooks(
    session: Session, org_id: int, *, repo_id: RepoKey | None = None, after: int = 0, limit: int
) -> list[Webhook]:
    """Return subscriptions with ids larger than `after`, oldest first; with `repo_id` only those of that repository."""
    rows = session.all("list_webhooks", org_id=org_id, repo_id=repo_id or 0, after=after, limit=limit)
    return [_webhook(row) for row in rows]


def find_webhook(session: Session, org_id: int, webhook_id: str) -> Webhook | None:
    """Return the organisation's subscription with that `wh_…` id."""
    if not is_storable(webhook_id):
        return None
    row = session.one("find_webhook", org_id=org_id, webhook_id=webhook_id)
    return None if row is None else _webhook(row)


def delete_webhook(session: Session, row_id: int, *, now: int) -> None:
    """End a subscription and drop its pending deliveries."""
    session.run("delete_webhook", id=row_id, now=now)
    session.run("fail_pending_deliveries", webhook_id=row_id, now=now)


def disable_webhook(session: Session, row_id: int, *, now: int) -> None:
    """Deactivate a subscription whose receiver asked for no more events. It stays listed."""
    session.run("disable_webhook", id=row_id, now=now)
    session.run("fail_pending_deliveries", webhook_id=row_id, now=now)


def delete_webhooks_of_repo(session: Session, org_id: int, repo_id: RepoKey, *, now: int) -> None:
    """End the subscriptions to one repository alone."""
    session.run("delete_webhooks_of_repo", org_id=org_id, repo_id=repo_id, now=now)


def list_subscribers(session: Session, org_id: int) -> list[Subscriber]:
    """Return the active subscriptions of an organisation."""
    rows = session.all("list_subscribers", org_id=org_id)
    return [Subscriber(row[0], row[1], tuple(json.loads(row[2])), row[3]) for row in rows]


def list_ready_webhooks(session: Session, *, worker: str, now: int) -> list[ReadyWebhook]:
    """Return the subscriptions with due deliveries that this worker serves, or that no worker serves."""
    return [ReadyWebhook(*row) for row in session.all("list_ready_webhooks", worker=worker, now=now)]


def lease_webhook(session: Session, row_id: int, *, worker: str, lease_until: int, now: int) -> bool:
    """Lease a subscription, or extend the lease. Return False if another worker has it, or it is gone."""
    changed = session.run("lease_webhook", id=row_id, worker=worker, lease_until=lease_until, now=now)
    return changed > 0


def release_webhook(session: Session, row_id: int, *, worker: str) -> None:
    """End the lease of a subscription, so that other workers can take it."""
    session.run("release_webhook", id=row_id, worker=worker)


def list_sealed_secrets(session: Session, *, except_key: str, after: int, limit: int) -> list[SealedRow]:
    """Return secrets that are sealed with other keys than `except_key`, sorted by id."""
    rows = session.all("list_sealed_webhook_secrets", key_id=except_key, after=after, limit=limit)
    return [SealedRow(*row) for row in rows]


def reseal_secret(session: Session, row: SealedRow, *, sealed: bytes, sealed_with: str) -> None:
    """Replace a sealed secret, unless somebody has replaced it meanwhile."""
    session.run(
        "reseal_webhook_secret",
        id=row.id,
        old_key_id=row.sealed_with,
        sealed_secret=sealed,
        sealed_with=sealed_with,
    )


def _webhook(row: Row) -> Webhook:
    return Webhook(row[0], row[1], row[2], row[3], row[4], tuple(json.loads(row[5])), row[6], row[7])
