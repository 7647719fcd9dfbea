"""The loop that sends webhooks: to many receivers at once, and the events of one ref in order.

One process at a time serves a subscription, and holds a lease on it. When a process is killed, requests whose outcome
is not recorded are sent again. A receiver that fails, is slow or has not answered yet gets one request at a time, and
all such receivers together get at most three quarters of the threads. So the other receivers need not wait for them.
"""

import logging
import threading
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Final

from packhouse import limits
from packhouse.auth import SealBroken
from packhouse.errors import PackhouseError, Unavailable
from packhouse.jobs.lease_loop import LeaseLoop, end_threads, make_worker_name
from packhouse.log import log_event
from packhouse.node import Node
from packhouse.operations.webhooks.choose_deliveries import (
    ChooseDeliveries,
    PendingDelivery,
    choose_deliveries,
)
from packhouse.operations.webhooks.fan_out_events import FanOutEvents, fan_out_events
from packhouse.operations.webhooks.hold_subscriptions import HoldSubscriptions, hold_subscriptions
from packhouse.operations.webhooks.list_due_subscriptions import (
    ListDueSubscriptions,
    ReadyWebhook,
    list_due_subscriptions,
)
from packhouse.operations.webhooks.open_secret import OpenSecret, open_secret
from packhouse.operations.webhooks.record_outcomes import RecordOutcomes, record_outcomes
from packhouse.operations.webhooks.release_subscriptions import ReleaseSubscriptions, release_subscriptions
from packhouse.operations.webhooks.send_delivery import SendDelivery, SendOutcome, send_delivery
from packhouse.secret import Secret

_SLOW_S: Final = 2.0  # a receiver whose answer took longer counts as slow
_IDLE_RELEASE_S: Final = 2.0
_CLOSED_S: Final = 60.0  # until the next attempt to open a secret whose key was missing
_RECEIVERS_REMEMBERED_MAX: Final = 10_000

Receiver = tuple[str, int]


def deliver_webhooks(node: Node, stopping: threading.Event) -> None:
    """Deliver events until `stopping` is set."""
    LeaseLoop(node, Sender(node), stopping).run()


@dataclass(slots=True)
class _Served:
    """A subscription that this process serves."""

    webhook: ReadyWebhook
    secret: Secret
    receiver: Receiver
    idle_since: float
    sending: list[PendingDelivery] = field(default_factory=list)


@dataclass(slots=True)
class _Sent:
    served: _Served
    delivery: PendingDelivery
    outcome: SendOutcome


class Sender:
    """The deliveries of one process: the work of a lease loop."""

    outage_message = "webhooks wait for the database"

    def __init__(self, node: Node) -> None:
        self._node = node
        self._worker = make_worker_name(node.random_bytes)
        self._threads_max = node.config.webhook_threads
        self._threads = ThreadPoolExecutor(self._threads_max, thread_name_prefix="packhouse-webhooks")
        self._served: dict[int, _Served] = {}
        self._sends: dict[Future[SendOutcome], tuple[_Served, PendingDelivery]] = {}
        self._proven: dict[Receiver, bool] = {}
        self._closed_until: dict[int, float] = {}

    def extend_leases(self) -> None:
        """Extend the leases of the served subscriptions, and drop each one that another process has taken."""
        kept = hold_subscriptions(self._node, HoldSubscriptions(self._worker, list(self._served)))
        self._drop(self._served.keys() - kept)

    def start_due(self) -> bool:
        """Record the answers, fan out new events and send what is due; False when there was nothing to do."""
        recorded = self._record_ended()
        fanned_out = fan_out_events(self._node, FanOutEvents())
        due = self._take_subscriptions()
        started = self._start_sends(due)
        return bool(recorded or fanned_out or started)

    def close(self) -> None:
        """Wait a moment for running requests, record their outcomes and release the subscriptions."""
        end_threads(self._threads, self._sends)
        try:
            self._record_ended()
            release_subscriptions(self._node, ReleaseSubscriptions(self._worker, list(self._served)))
        except Unavailable as error:
            log_event("webhooks left to their lease", level=logging.WARNING, reason=error.code.value)

    def _record_ended(self) -> int:
        ended = [future for future in self._sends if future.done() and not future.cancelled()]
        sent = [_Sent(*self._sends[future], _outcome_of(future)) for future in ended]
        if not sent:
            return 0
        rows = [(each.served.webhook.id, each.delivery, each.outcome) for each in sent]
        record_outcomes(self._node, RecordOutcomes(rows))
        for future, each in zip(ended, sent, strict=True):
            del self._sends[future]
            each.served.sending.remove(each.delivery)
            each.served.idle_since = self._node.monotonic()
            self._remember(each)
        return len(sent)

    def _remember(self, sent: _Sent) -> None:
        if len(self._proven) >= _RECEIVERS_REMEMBERED_MAX:
            self._proven.clear()
        self._proven[sent.served.receiver] = sent.outcome.delivered and sent.outcome.duration_s < _SLOW_S

    def _take_subscriptions(self) -> set[int]:
        """Release idle subscriptions and lease those with due deliveries; return the ids of all with due deliveries."""
        ready = list_due_subscriptions(self._node, ListDueSubscriptions(self._worker))
        due = {webhook.id for webhook in ready}
        idle = [i for i, served in self._served.items() if i not in due and self._is_idle(served)]
        release_subscriptions(self._node, ReleaseSubscriptions(self._worker, idle))
        self._drop(idle)
        fresh = [
            webhook for webhook in ready if webhook.id not in self._served and not self._is_closed(webhook)
        ]
        taken = hold_subscriptions(
            self._node, HoldSubscriptions(self._worker, [webhook.id for webhook in fresh])
        )
        for webhook in fresh:
            if webhook.id in taken:
                self._serve(webhook)
        return due

    def _drop(self, ids: Iterable[int]) -> None:
        for row_id in ids:
            del self._served[row_id]

    def _is_closed(self, webhook: ReadyWebhook) -> bool:
        return self._closed_until.get(webhook.id, 0.0) > self._node.monotonic()

    def _is_idle(self, served: _Served) -> bool:
        return not served.sending and self._node.monotonic() - served.idle_since > _IDLE_RELEASE_S

    def _serve(self, webhook: ReadyWebhook) -> None:
        try:
            secret = open_secret(self._node, OpenSecret(webhook))
        except SealBroken as error:
            # Nothing is sent until the operator has put the key back.
            log_event(
                "webhook secret is closed",
                level=logging.ERROR,
                webhook=webhook.webhook_id,
                sealed_with=error.sealed_with,
            )
            self._closed_until[webhook.id] = self._node.monotonic() + _CLOSED_S
            return
        try:
            receiver = self._node.outbound.parse(webhook.url).receiver
        except PackhouseError:
            receiver = (webhook.webhook_id, 0)  # the attempt itself reports the fault of the address
        self._served[webhook.id] = _Served(webhook, secret, receiver, self._node.monotonic())

    def _start_sends(self, due: set[int]) -> int:
        started = 0
        busy = Counter(served.receiver for served, _ in self._sends.values())
        unproven = sum(not self._proven.get(served.receiver, False) for served, _ in self._sends.values())
        order = [served for row_id, served in self._served.items() if row_id in due]
        # The order is random, so that every subscription has its chance when threads are few.
        order.sort(key=lambda _: self._node.jitter())
        for served in order:
            proven = self._proven.get(served.receiver, False)
            room = (limits.webhook_receiver_sends_max if proven else 1) - busy[served.receiver]
            room = min(room, self._threads_max - len(self._sends))
            if not proven:
                room = min(room, max(1, self._threads_max * 3 // 4) - unproven)
            if room <= 0:
                continue
            wanted = ChooseDeliveries(served.webhook.id, served.sending, room)
            for delivery in choose_deliveries(self._node, wanted):
                self._send(served, delivery)
                busy[served.receiver] += 1
                unproven += not proven
                started += 1
        return started

    def _send(self, served: _Served, delivery: PendingDelivery) -> None:
        served.sending.append(delivery)
        future = self._threads.submit(
            send_delivery, self._node, SendDelivery(served.webhook.url, served.secret, delivery)
        )
        self._sends[future] = (served, delivery)
        future.add_done_callback(lambda _: self._node.wakeups.notify())


def _outcome_of(future: "Future[SendOutcome]") -> SendOutcome:
    error = future.exception()
    if error is None:
        return future.result()
    # A bug of this server must not stop the deliveries to others. This delivery is retried.
    log_event("webhook delivery failed", level=logging.ERROR, error=type(error).__name__)
    return SendOutcome(None, "internal error", b"", 0.0)
