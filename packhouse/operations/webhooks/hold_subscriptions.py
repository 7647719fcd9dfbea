"""Leasing subscriptions, so that one process at a time serves each."""

from collections.abc import Sequence
from dataclasses import dataclass

from packhouse.db import Session, lease_webhook
from packhouse.node import Node


@dataclass(frozen=True, slots=True)
class HoldSubscriptions:
    """The worker, and the subscriptions to lease, by their row ids."""

    worker: str
    ids: Sequence[int]


def hold_subscriptions(node: Node, command: HoldSubscriptions) -> set[int]:
    """Lease subscriptions, or extend their leases; return the subscriptions that the worker serves from now on."""
    worker, ids = command.worker, command.ids
    if not ids:
        return set()
    now = node.clock()
    until = now + node.config.job_lease_s

    def lease(session: Session) -> set[int]:
        # The order is fixed, so that two processes never wait for each other's rows.
        wanted = sorted(set(ids))
        return {i for i in wanted if lease_webhook(session, i, worker=worker, lease_until=until, now=now)}

    return node.database.transact(lease)
