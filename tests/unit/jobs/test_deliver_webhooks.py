"""The sender of webhooks on a node in memory: which subscriptions it holds, and how many requests it makes at once."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import pytest

from packhouse import limits
from packhouse.auth.principal import Principal
from packhouse.auth.sealing import SecretKeys
from packhouse.db.ref_transaction import RefUpdate
from packhouse.db.repos import Repo
from packhouse.git.oid import Oid
from packhouse.git.refname import PERSISTENT, branch_refname
from packhouse.jobs.deliver_webhooks import Sender, deliver_webhooks
from packhouse.jobs.lease_loop import LeaseLoop, Round
from packhouse.node.node import Node
from packhouse.operations.catalog.lookup import lookup_repo
from packhouse.operations.repos.create_repo import CreateRepo, create_repo
from packhouse.operations.webhooks.add_webhook import AddWebhook, add_webhook
from packhouse.operations.webhooks.list_deliveries import ListDeliveries, list_deliveries
from packhouse.operations.webhooks.list_due_subscriptions import ListDueSubscriptions, list_due_subscriptions
from packhouse.operations.webhooks.list_webhooks import ListWebhooks, list_webhooks
from packhouse.outbound.client import Reply
from tests.support.builders.node_writes import move_refs
from tests.support.waiting import wait_until
from tests.unit.jobs.conftest import Clocks, MemoryWithOutages
from tests.unit.jobs.receivers import Receivers

pytestmark = pytest.mark.quick


@pytest.fixture
def receivers(node: Node) -> Receivers:
    node.config.data.mkdir(parents=True)
    node.secret_keys.ensure()
    node.outbound.close()
    receivers = Receivers()
    node.outbound = receivers
    return receivers


@pytest.fixture
def repo(node: Node, caller: Principal) -> Repo:
    create_repo(node, caller, CreateRepo("shop"))
    return lookup_repo(node, caller, "shop")


@dataclass
class World:
    """A repository whose events are sent, and the senders of several processes."""

    node: Node
    caller: Principal
    repo: Repo
    receivers: Receivers
    clocks: Clocks
    senders: list[Sender] = field(default_factory=list)
    pushes: int = 0

    def sender(self) -> Sender:
        sender = Sender(self.node)
        self.senders.append(sender)
        return sender

    def subscribe(self, host: str) -> str:
        return add_webhook(self.node, self.caller, AddWebhook(f"https://{host}/", ["*"])).webhook_id

    def push(self, *branches: str) -> None:
        """Write a push event for each branch."""
        for branch in branches:
            self.pushes += 1
            new = Oid(f"{self.pushes:040x}")
            update = RefUpdate(PERSISTENT, branch_refname(branch), None, new, any_old=True)
            move_refs(self.node, self.caller, self.repo, update)

    def run(self, sender: Sender) -> None:
        """Let a sender work until it has sent everything that it may send now."""
        while sender.start_due():
            self.await_requests(len(sender._sends))

    def await_requests(self, count: int) -> None:
        wait_until(lambda: len(self.receivers.under_way()) >= count, f"{count} requests are under way")

    def answered(self, sender: Sender, status: int | None = 204) -> None:
        """Answer the running requests of a sender, and let it record the answers."""
        self.receivers.answer_all(status)
        wait_until(lambda: all(future.done() for future in sender._sends), "the answers have come")
        sender._record_ended()

    def prove(self, sender: Sender) -> None:
        """Answer the next request of a sender at once, so that its receiver counts as a good one."""
        self.receivers.status = 204
        assert sender.start_due()
        self.answered(sender)
        self.receivers.status = None

    def states(self, webhook_id: str) -> list[tuple[str, int]]:
        """Return (state, attempts) of each delivery, oldest first."""
        found = list_deliveries(self.node, self.caller, ListDeliveries(webhook_id, count_max=100))
        return [(delivery.state, delivery.attempts) for delivery in reversed(found)]


@pytest.fixture
def world(node: Node, caller: Principal, repo: Repo, receivers: Receivers, clocks: Clocks) -> Iterator[World]:
    world = World(node, caller, repo, receivers, clocks)
    yield world
    receivers.status = 204
    receivers.answer_all()
    for sender in world.senders:
        sender.close()


# What is sent


def test_an_event_is_sent_to_its_receiver_once_and_recorded(world: World) -> None:
    webhook = world.subscribe("a.example.com")
    world.push("main")
    sender = world.sender()
    world.run(sender)
    (request,) = world.receivers.requests
    assert (request.host, request.push) == ("a.example.com", world.pushes)
    world.answered(sender)
    assert world.states(webhook) == [("delivered", 1)]
    assert not sender.start_due()


def test_events_of_one_ref_go_out_one_after_the_other_and_other_refs_do_not_wait(world: World) -> None:
    world.subscribe("a.example.com")
    sender = world.sender()
    world.push("warm-up")
    world.prove(sender)
    world.receivers.requests.clear()
    world.push("main", "main", "side")
    world.run(sender)
    assert len(world.receivers.under_way()) == 2
    world.answered(sender)
    world.run(sender)
    assert len(world.receivers.under_way()) == 1
    first, second, third = [request.push for request in world.receivers.requests]
    assert ({first, second}, third) == ({2, 4}, 3)


def test_a_failed_delivery_is_sent_again_under_the_same_id_when_its_time_comes(world: World) -> None:
    webhook = world.subscribe("a.example.com")
    world.push("main")
    sender = world.sender()
    world.run(sender)
    world.answered(sender, 500)
    assert world.states(webhook) == [("pending", 1)]
    assert not sender.start_due(), "its time has not come"
    world.clocks.advance(4)
    world.run(sender)
    world.answered(sender)
    first, second = world.receivers.requests
    assert first.delivery_id == second.delivery_id
    assert world.states(webhook) == [("delivered", 2)]


def test_a_receiver_that_answers_gone_gets_no_more_requests(world: World) -> None:
    webhook = world.subscribe("a.example.com")
    world.push("main", "side")
    sender = world.sender()
    world.run(sender)
    world.answered(sender, 410)
    world.push("third")
    world.run(sender)
    assert len(world.receivers.requests) == 1
    assert [state for state, _ in world.states(webhook)] == ["failed", "failed"]
    (row,) = list_webhooks(world.node, world.caller, ListWebhooks(count_max=10)).webhooks
    assert row.disabled_at == world.clocks.now


# How many at once


def test_a_receiver_that_has_not_answered_yet_gets_one_request(world: World) -> None:
    world.subscribe("a.example.com")
    world.push(*(f"b{number}" for number in range(10)))
    sender = world.sender()
    world.run(sender)
    assert len(world.receivers.under_way()) == 1


def test_a_receiver_that_answers_well_gets_a_few_requests_at_once(world: World) -> None:
    world.subscribe("a.example.com")
    world.push(*(f"b{number}" for number in range(10)))
    sender = world.sender()
    world.prove(sender)
    world.run(sender)
    assert len(world.receivers.under_way()) == limits.webhook_receiver_sends_max


@pytest.mark.parametrize("status", [500, 302, None])
def test_a_receiver_that_fails_goes_back_to_one_request(world: World, status: int | None) -> None:
    world.subscribe("a.example.com")
    world.push(*(f"b{number}" for number in range(20)))
    sender = world.sender()
    world.prove(sender)
    world.run(sender)
    world.answered(sender, status)
    world.run(sender)
    assert len(world.receivers.under_way()) == 1


def test_subscriptions_of_one_receiver_share_its_requests(world: World) -> None:
    for _ in range(3):
        world.subscribe("a.example.com")
    world.subscribe("b.example.com")
    world.push("main")
    sender = world.sender()
    world.run(sender)
    assert sorted(request.host for request in world.receivers.under_way()) == [
        "a.example.com",
        "b.example.com",
    ]


def test_receivers_that_do_not_answer_leave_threads_to_the_others(
    node: Node, caller: Principal, repo: Repo, receivers: Receivers, clocks: Clocks
) -> None:
    node.config = replace(node.config, webhook_threads=4)
    world = World(node, caller, repo, receivers, clocks)
    world.subscribe("good.example.com")
    sender = world.sender()
    world.push("main")
    world.prove(sender)
    for number in range(6):
        world.subscribe(f"hangs{number}.example.com")
    world.push("main")
    world.run(sender)
    hosts = [request.host for request in receivers.under_way()]
    assert "good.example.com" in hosts
    assert sum(host.startswith("hangs") for host in hosts) == 3, "three quarters of the threads"
    receivers.answer_all()
    sender.close()


@pytest.mark.parametrize(("draws", "served"), [([0.1, 0.5, 0.9], "a"), ([0.9, 0.5, 0.1], "c")])
def test_chance_tells_which_subscription_gets_the_only_thread(
    node: Node,
    caller: Principal,
    repo: Repo,
    receivers: Receivers,
    clocks: Clocks,
    draws: list[float],
    served: str,
) -> None:
    node.config = replace(node.config, webhook_threads=1)
    world = World(node, caller, repo, receivers, clocks)
    for name in "abc":
        world.subscribe(f"{name}.example.com")
    sender = world.sender()
    world.push("main")
    node.jitter = iter(draws).__next__
    assert sender.start_due()
    world.await_requests(1)
    assert [request.host for request in receivers.under_way()] == [f"{served}.example.com"]
    node.jitter = lambda: 0.5
    receivers.status = 204
    receivers.answer_all()
    sender.close()


# Leases


def test_a_subscription_is_served_by_one_process_while_another_serves_others(world: World) -> None:
    world.subscribe("a.example.com")
    world.push("main")
    first, second = world.sender(), world.sender()
    world.run(first)
    world.subscribe("b.example.com")
    world.push("side")
    world.run(second)
    assert {served.webhook.url for served in first._served.values()} == {"https://a.example.com/"}
    assert {served.webhook.url for served in second._served.values()} == {"https://b.example.com/"}


def test_a_subscription_that_is_idle_is_released_for_others(world: World) -> None:
    world.subscribe("a.example.com")
    world.push("main")
    first, second = world.sender(), world.sender()
    world.run(first)
    world.answered(first)
    world.clocks.advance(1)
    first.start_due()
    world.push("main")
    assert list_due_subscriptions(world.node, ListDueSubscriptions("other")) == [], (
        "it may soon have more to send"
    )
    world.run(first)
    world.answered(first)
    world.clocks.advance(3)
    first.start_due()
    world.push("main")
    world.run(second)
    assert len(second._served) == 1


def test_a_subscription_under_way_is_not_idle_however_long_it_takes(world: World) -> None:
    world.subscribe("a.example.com")
    world.push("main")
    sender = world.sender()
    world.run(sender)
    world.clocks.advance(20)
    sender.start_due()
    assert len(sender._served) == 1


def test_a_lost_subscription_is_served_by_its_new_holder_alone(world: World) -> None:
    world.subscribe("a.example.com")
    world.push("main")
    first, second = world.sender(), world.sender()
    world.run(first)
    world.clocks.sleep(31)
    world.run(second)
    assert len(world.receivers.requests) == 2, "what the first has under way may never be answered"
    first.extend_leases()
    assert first._served == {}
    assert len(second._served) == 1
    world.push("side")
    first.start_due()
    assert len(world.receivers.requests) == 2


def test_the_answer_to_a_request_of_a_lost_subscription_is_still_recorded(world: World) -> None:
    webhook = world.subscribe("a.example.com")
    world.push("main")
    first, second = world.sender(), world.sender()
    world.run(first)
    world.clocks.sleep(31)
    world.run(second)
    first.extend_leases()
    world.answered(first)
    assert world.states(webhook) == [("delivered", 1)]


def test_a_subscription_stays_with_its_process_as_long_as_the_loop_extends_it(world: World) -> None:
    world.subscribe("a.example.com")
    world.push("main")
    first, second = world.sender(), world.sender()
    loop = LeaseLoop(world.node, first, threading.Event())
    loop.run_once()
    world.await_requests(1)
    for _ in range(100):
        world.clocks.advance(9.5)
        loop.run_once()
        second.start_due()
    assert len(first._served) == 1
    assert second._served == {}
    assert len(world.receivers.requests) == 1


def test_a_process_that_ends_releases_its_subscriptions(world: World) -> None:
    webhook = world.subscribe("a.example.com")
    world.push("main", "side")
    first, second = world.sender(), world.sender()
    world.run(first)
    world.receivers.answer_all()
    first.close()
    assert world.states(webhook) == [("delivered", 1), ("pending", 0)], "what came in time is written down"
    world.run(second)
    world.answered(second)
    assert world.states(webhook) == [("delivered", 1), ("delivered", 1)]


def test_a_process_that_ends_in_an_outage_leaves_its_subscriptions_to_their_leases(
    world: World, database: MemoryWithOutages, caplog: pytest.LogCaptureFixture
) -> None:
    world.subscribe("a.example.com")
    world.push("main")
    first, second = world.sender(), world.sender()
    world.run(first)
    database.is_away = True
    first.close()
    database.is_away = False
    assert [record.message for record in caplog.records if record.name == "packhouse"] == [
        "webhooks left to their lease"
    ]
    second.start_due()
    assert second._served == {}
    world.clocks.sleep(31)
    second.start_due()
    assert len(second._served) == 1


def test_answers_that_came_in_an_outage_are_recorded_after_it(
    world: World, database: MemoryWithOutages
) -> None:
    webhook = world.subscribe("a.example.com")
    world.push("main")
    sender = world.sender()
    loop = LeaseLoop(world.node, sender, threading.Event())
    world.run(sender)
    database.is_away = True
    world.receivers.answer_all()
    wait_until(lambda: all(future.done() for future in sender._sends), "the answer has come")
    assert loop.run_once() is Round.AWAY
    database.is_away = False
    assert loop.run_once() is Round.WORKED
    assert world.states(webhook) == [("delivered", 1)]
    assert len(world.receivers.requests) == 1


def test_a_secret_without_its_key_stops_only_its_subscription_until_the_key_is_back(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.subscribe("closed.example.com")
    key_file = world.node.config.secret_keys_path
    keys = key_file.read_text()
    key_file.unlink()
    world.node.secret_keys = SecretKeys(key_file)
    world.node.secret_keys.ensure()
    world.subscribe("open.example.com")
    world.push("main")
    sender = world.sender()
    world.run(sender)
    assert [request.host for request in world.receivers.requests] == ["open.example.com"]
    sender.start_due()
    closed = [record for record in caplog.records if record.message == "webhook secret is closed"]
    assert len(closed) == 1, "it is said once a minute"
    world.answered(sender)
    key_file.write_text(key_file.read_text() + keys)
    world.clocks.advance(61)
    world.run(sender)
    assert [request.host for request in world.receivers.requests][1:] == ["closed.example.com"]


def test_a_bug_in_sending_counts_as_a_failed_attempt(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The deliveries to other receivers must go on."""

    def fail(*_args: object, **_kwargs: object) -> Reply:
        raise RuntimeError("of the test")

    webhook = world.subscribe("a.example.com")
    world.push("main")
    monkeypatch.setattr(world.receivers, "request", fail)
    sender = world.sender()
    assert sender.start_due()
    wait_until(lambda: all(future.done() for future in sender._sends), "the attempt has ended")
    sender.start_due()
    assert world.states(webhook) == [("pending", 1)]
    assert "webhook delivery failed" in [record.message for record in caplog.records]


def test_the_loop_of_a_process_delivers_and_ends_when_asked(world: World) -> None:
    webhook = world.subscribe("a.example.com")
    world.receivers.status = 204
    stopping = threading.Event()
    thread = threading.Thread(target=deliver_webhooks, args=(world.node, stopping))
    thread.start()
    try:
        world.push("main")
        wait_until(lambda: world.states(webhook) == [("delivered", 1)], "the event is delivered")
    finally:
        stopping.set()
        world.node.wakeups.notify()
        thread.join(60)
    assert not thread.is_alive()
