"""Ending a process's leases on subscriptions."""

from collections.abc import Collection
from dataclasses import dataclass

from packhouse.db import Session, release_webhook
from packhouse.node import Node


@dataclass(frozen=True, slots=True)
class ReleaseSubscriptions:
    """The worker, and the subscriptions to release, by their row ids."""

    worker: str
    ids: Collection[int]


def release_subscriptions(node: Node, command: ReleaseSubscriptions) -> None:
    """Release subscriptions, so that other processes may serve them."""

    def release(session: Session) -> None:
        for row_id in sorted(command.ids):
            release_webhook(session, row_id, worker=command.worker)

    if command.ids:
        node.database.transact(release)
