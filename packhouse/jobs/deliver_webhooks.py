"""The loop that sends webhooks: many receivers side by side, each event of a ref after the one before it.

A subscription is served by one process at a time, which holds a lease on it. What was sent and not written
down when a process is killed is sent again. A receiver that fails, is slow or has not answered yet gets one
request at a time, and all such receivers together at most three quarters of the threads: the others go on.
"""

import logging
import os
import random
import secrets
import socket
import threading
import time
from collections import Counter
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import wait as wait_for
from dataclasses import dataclass, field
from typing import Final

from packhouse import limits
from packhouse.auth.sealing import SealBroken
from packhouse.errors import PackhouseError, Unavailable
from packhouse.log import log_event
from packhouse.node.node import Node
from packhouse.operations.events.webhook_delivery import (
    PendingDelivery,
    ReadyWebhook,
    SendOutcome,
    fan_out_events,
    open_secret,
    record_outcomes,
    send_delivery,
)
from packhouse.operations.events.webhook_queue import (
    choose_deliveries,
    hold_subscriptions,
    list_due_subscriptions,
    release_subscriptions,
)
from packhouse.secret import Secret

_SLOW_S: Final = 2.0  # an answer that took longer makes a receiver count as slow
_SETTLE_S: Final = 0.01
_AWAY_S: Final = 1.0
_IDLE_RELEASE_S: Final = 2.0
_CLOSED_S: Final = 60.0  # before another look at a secret whose key was missing
_RECEIVERS_REMEMBERED_MAX: Final = 10_000

Receiver = tuple[str, int]


def deliver_webhooks(node: Node, stopping: threading.Event) -> None:
    """Deliver events until `stopping` is set."""
    sender = Sender(node)
    seen = 0
    is_away = False
    try:
        while not stopping.is_set():
            try:
                busy = sender.step()
            except Unavailable as error:
                if not is_away:  # once in an outage
                    log_event("webhooks wait for the database", level=logging.WARNING, reason=error.message)
                is_away = True
                stopping.wait(_AWAY_S)
                continue
            is_away = False
            if not busy:
                seen = node.wakeups.wait(seen, limits.job_poll_s)
                stopping.wait(_SETTLE_S)
    finally:
        sender.close()


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
    """The deliveries of one process. Its methods are called by one thread; requests are made in others."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._name = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"
        self._threads_max = node.config.webhook_threads
        self._threads = ThreadPoolExecutor(self._threads_max, thread_name_prefix="packhouse-webhooks")
        self._served: dict[int, _Served] = {}
        self._sends: dict[Future[SendOutcome], tuple[_Served, PendingDelivery]] = {}
        self._proven: dict[Receiver, bool] = {}
        self._closed_until: dict[int, float] = {}
        self._extend_at = 0.0

    def step(self) -> bool:
        """Do what there is to do now; False when nothing was, so that the caller may wait."""
        worked = self._record_ended()
        fanned_out = fan_out_events(self._node)
        due = self._take_subscriptions()
        started = self._start_sends(due)
        return bool(worked or fanned_out or started)

    def close(self) -> None:
        """Give requests under way a moment, write down what they brought and let go of the subscriptions."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        wait_for(list(self._sends), limits.finishing_max_s)
        try:
            self._record_ended()
            release_subscriptions(self._node, self._name, list(self._served))
        except Unavailable as error:
            log_event("webhooks left to their lease", level=logging.WARNING, reason=error.message)

    def _record_ended(self) -> int:
        ended = [future for future in self._sends if future.done() and not future.cancelled()]
        sent = [_Sent(*self._sends[future], _outcome_of(future)) for future in ended]
        if not sent:
            return 0
        rows = [(each.served.webhook.id, each.delivery, each.outcome) for each in sent]
        record_outcomes(self._node, rows, random.random)
        for future, each in zip(ended, sent, strict=True):
            del self._sends[future]
            each.served.sending.remove(each.delivery)
            each.served.idle_since = time.monotonic()
            self._remember(each)
        return len(sent)

    def _remember(self, sent: _Sent) -> None:
        if len(self._proven) >= _RECEIVERS_REMEMBERED_MAX:
            self._proven.clear()
        self._proven[sent.served.receiver] = sent.outcome.delivered and sent.outcome.duration_s < _SLOW_S

    def _take_subscriptions(self) -> set[int]:
        """Lease what has something due, extend what is held, release what is idle; return what has due work."""
        moment = time.monotonic()
        ready = list_due_subscriptions(self._node, self._name)
        due = {webhook.id for webhook in ready}
        idle = [i for i, served in self._served.items() if i not in due and self._is_idle(served)]
        release_subscriptions(self._node, self._name, idle)
        for row_id in idle:
            del self._served[row_id]
        fresh = [w for w in ready if w.id not in self._served and self._closed_until.get(w.id, 0.0) <= moment]
        held = list(self._served) if moment >= self._extend_at else []
        if not fresh and not held:
            return due
        kept = hold_subscriptions(self._node, self._name, [*held, *(webhook.id for webhook in fresh)])
        if held:
            self._extend_at = moment + self._node.config.job_lease_s / 3
        for lost in set(held) - kept:
            del self._served[lost]
        for webhook in fresh:
            if webhook.id in kept:
                self._serve(webhook)
        return due

    def _is_idle(self, served: _Served) -> bool:
        return not served.sending and time.monotonic() - served.idle_since > _IDLE_RELEASE_S

    def _serve(self, webhook: ReadyWebhook) -> None:
        try:
            secret = open_secret(self._node, webhook)
        except SealBroken as error:
            # Nothing is sent until the operator has brought the key back.
            log_event(
                "webhook secret is closed",
                level=logging.ERROR,
                webhook=webhook.webhook_id,
                sealed_with=error.sealed_with,
            )
            self._closed_until[webhook.id] = time.monotonic() + _CLOSED_S
            return
        try:
            receiver = self._node.outbound.parse(webhook.url).receiver
        except PackhouseError:
            receiver = (webhook.webhook_id, 0)  # the attempt itself will say what is wrong
        self._served[webhook.id] = _Served(webhook, secret, receiver, time.monotonic())

    def _start_sends(self, due: set[int]) -> int:
        started = 0
        busy = Counter(served.receiver for served, _ in self._sends.values())
        unproven = sum(not self._proven.get(served.receiver, False) for served, _ in self._sends.values())
        order = [served for row_id, served in self._served.items() if row_id in due]
        random.shuffle(order)  # when threads are few, every subscription has its chance
        for served in order:
            proven = self._proven.get(served.receiver, False)
            room = (limits.webhook_receiver_sends_max if proven else 1) - busy[served.receiver]
            room = min(room, self._threads_max - len(self._sends))
            if not proven:
                room = min(room, max(1, self._threads_max * 3 // 4) - unproven)
            if room <= 0:
                continue
            for delivery in choose_deliveries(
                self._node, served.webhook.id, sending=served.sending, count_max=room
            ):
                self._send(served, delivery)
                busy[served.receiver] += 1
                unproven += not proven
                started += 1
        return started

    def _send(self, served: _Served, delivery: PendingDelivery) -> None:
        served.sending.append(delivery)
        future = self._threads.submit(send_delivery, self._node, served.webhook.url, served.secret, delivery)
        self._sends[future] = (served, delivery)
        future.add_done_callback(lambda _: self._node.wakeups.notify())


def _outcome_of(future: "Future[SendOutcome]") -> SendOutcome:
    error = future.exception()
    if error is None:
        return future.result()
    # A bug of ours must not stop the deliveries to everybody; the retries of this one go on.
    log_event("webhook delivery failed", level=logging.ERROR, error=type(error).__name__)
    return SendOutcome(None, "internal error", b"", 0.0)
