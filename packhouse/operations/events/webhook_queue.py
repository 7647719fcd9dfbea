"""Which subscriptions a process serves, and what is next for each: the queue behind the delivering loop."""

from collections.abc import Collection, Sequence

from packhouse import limits
from packhouse.db.session import Session
from packhouse.db.webhook_deliveries import PendingDelivery, has_due_delivery, list_pending_deliveries
from packhouse.db.webhooks import ReadyWebhook, lease_webhook, list_ready_webhooks, release_webhook
from packhouse.node.node import Node


def list_due_subscriptions(node: Node, worker: str) -> list[ReadyWebhook]:
    """Return the subscriptions with something to send that `worker` serves or that nobody does."""
    now = node.clock()
    with node.database.read() as session:
        if not has_due_delivery(session, now=now):
            return []
        return list_ready_webhooks(session, worker=worker, now=now)


def hold_subscriptions(node: Node, worker: str, ids: Sequence[int]) -> set[int]:
    """Lease subscriptions, or extend the lease; return those that `worker` serves from now on."""
    if not ids:
        return set()
    now = node.clock()
    until = now + node.config.job_lease_s

    def lease(session: Session) -> set[int]:
        # In one order: two processes at once must not wait for each other's rows.
        wanted = sorted(set(ids))
        return {i for i in wanted if lease_webhook(session, i, worker=worker, lease_until=until, now=now)}

    return node.database.transact(lease)


def release_subscriptions(node: Node, worker: str, ids: Collection[int]) -> None:
    """Let others serve these subscriptions."""

    def release(session: Session) -> None:
        for row_id in sorted(ids):
            release_webhook(session, row_id, worker=worker)

    if ids:
        node.database.transact(release)


def choose_deliveries(
    node: Node, webhook_id: int, *, sending: Collection[PendingDelivery], count_max: int
) -> list[PendingDelivery]:
    """Return the deliveries to send next: of each ref at most one, the earliest that is due.

    One that failed `limits.webhook_in_order_attempts` times no longer holds up later ones of its ref.
    """
    now = node.clock()
    with node.database.read() as session:
        pending = list_pending_deliveries(
            session,
            webhook_id,
            now=now,
            in_order_attempts=limits.webhook_in_order_attempts,
            limit=limits.webhook_queue_max,
        )
    under_way = {delivery.id for delivery in sending}
    taken = {delivery.order_key for delivery in sending}
    chosen: list[PendingDelivery] = []
    for delivery in pending:
        if len(chosen) == count_max:
            break
        if delivery.order_key in taken or delivery.id in under_way:
            continue
        if delivery.attempts < limits.webhook_in_order_attempts:
            taken.add(delivery.order_key)
        if delivery.next_attempt_at <= now:
            taken.add(delivery.order_key)
            chosen.append(delivery)
    return chosen
