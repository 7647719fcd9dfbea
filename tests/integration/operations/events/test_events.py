"""Events, and how long they are kept, on SQLite and on PostgreSQL."""

import json
from dataclasses import replace
from functools import partial

import pytest

from packhouse.auth.principal import Principal
from packhouse.db.ref_transaction import RefUpdate
from packhouse.db.repos import Repo
from packhouse.db.webhook_deliveries import PendingDelivery
from packhouse.git.oid import Oid
from packhouse.git.refname import RefName
from packhouse.node.node import Node
from packhouse.operations.catalog.lookup import lookup_repo
from packhouse.operations.events.find_missed_events import FindMissedEvents, find_missed_events
from packhouse.operations.events.open_events import EventReader, EventsForgotten, OpenEvents, open_events
from packhouse.operations.events.prune_events import PruneEvents, prune_events
from packhouse.operations.events.read_news import ReadNews, read_news
from packhouse.operations.repos.create_repo import CreateRepo, create_repo
from packhouse.operations.repos.delete_repo import DeleteRepo, delete_repo
from packhouse.operations.webhooks.add_webhook import AddWebhook, add_webhook
from packhouse.operations.webhooks.choose_deliveries import ChooseDeliveries, choose_deliveries
from packhouse.operations.webhooks.fan_out_events import FanOutEvents, fan_out_events
from packhouse.operations.webhooks.hold_subscriptions import HoldSubscriptions, hold_subscriptions
from packhouse.operations.webhooks.list_due_subscriptions import ListDueSubscriptions, list_due_subscriptions
from packhouse.operations.webhooks.record_outcomes import RecordOutcomes, record_outcomes
from packhouse.operations.webhooks.send_delivery import SendOutcome
from packhouse.repository.refs.events import SYNC_FAILED, SyncRun, record_sync
from packhouse.secret import Secret
from tests.support.builders.node_writes import move_refs

OIDS = [Oid(digit * 40) for digit in "123456789"]
OK = SendOutcome(204, "", b"", 0.01)
BAD = SendOutcome(500, "", b"", 0.01)


@pytest.fixture
def repo(node: Node, caller: Principal) -> Repo:
    create_repo(node, caller, CreateRepo("apps/shop"))
    return lookup_repo(node, caller, "apps/shop")


def push(node: Node, caller: Principal, repo: Repo, new: Oid, branch: bytes = b"main") -> None:
    update = RefUpdate("", RefName(b"refs/heads/" + branch), None, new, any_old=True)
    move_refs(node, caller, repo, update)


def subscribe(node: Node, caller: Principal) -> int:
    add_webhook(node, caller, AddWebhook("https://example.com/", ["*"], Secret("s")))
    return 1


def next_of(node: Node, webhook_id: int, *sending: PendingDelivery) -> list[PendingDelivery]:
    return choose_deliveries(node, ChooseDeliveries(webhook_id, sending=sending, count_max=10))


def test_a_reader_learns_of_pruned_events(node: Node, caller: Principal, repo: Repo) -> None:
    push(node, caller, repo, OIDS[0])
    push(node, caller, repo, OIDS[1])
    first, second = EventReader(node, repo.id).read()
    assert prune_events(node, PruneEvents())
    assert len(EventReader(node, repo.id).read()) == 2, "they are young"
    node.clock = lambda: 1001 + node.config.event_keep_s
    push(node, caller, repo, OIDS[2])
    assert prune_events(node, PruneEvents())
    assert [event.id > second.id for event in EventReader(node, repo.id).read()] == [True]
    last = EventReader(node, repo.id).read()[-1].id
    for after in (0, first.id, last + 1):
        with pytest.raises(EventsForgotten):
            open_events(node, caller, OpenEvents("apps/shop", after))
    for after in (second.id, last):
        assert open_events(node, caller, OpenEvents("apps/shop", after)).after == after


def test_news_and_gaps_of_many_repositories_are_found_with_one_query(
    node: Node, caller: Principal, repo: Repo
) -> None:
    repos = [repo]
    for name in ("b", "c", "gone"):
        create_repo(node, caller, CreateRepo(name))
        repos.append(lookup_repo(node, caller, name))
    for oid in OIDS[:3]:
        push(node, caller, repos[0], oid)
        push(node, caller, repos[1], oid)
    positions = {each.id: 0 for each in repos}
    first = EventReader(node, repo.id).read()[0].id
    news = read_news(node, ReadNews(positions | {repo.id: first}))
    assert {repo_id: len(events) for repo_id, events in news.events.items()} == {repo.id: 2, repos[1].id: 3}
    assert [event.id for event in news.events[repo.id]] == sorted(e.id for e in news.events[repo.id])
    assert find_missed_events(node, FindMissedEvents(positions)) == set()
    delete_repo(node, caller, DeleteRepo("gone"))
    node.clock = lambda: 1001 + node.config.event_keep_s
    assert prune_events(node, PruneEvents())
    seen = positions | {repos[1].id: news.events[repos[1].id][-1].id}
    assert find_missed_events(node, FindMissedEvents(seen)) == {repo.id, repos[3].id}
    assert find_missed_events(node, FindMissedEvents({})) == set()
    assert read_news(node, ReadNews({})).events == {}


def test_a_sync_event_has_the_fields_of_its_kind(node: Node, caller: Principal, repo: Repo) -> None:
    run = SyncRun(3, is_first_sync=False, started_at=1000, completed_at=1004, error="authentication failed")
    with node.database.write() as session:
        record_sync(session, repo, SYNC_FAILED, run, now=1004)
    (event,) = EventReader(node, repo.id).read()
    assert json.loads(event.payload) == {
        "type": "repo.sync.failed",
        "org": "acme",
        "customer_id": "acme",
        "repository": {"id": repo.public_id, "url": "apps/shop", "repo_name": "apps/shop"},
        "run_count": 3,
        "is_first_sync": False,
        "started_at": "1970-01-01T00:16:40Z",
        "completed_at": "1970-01-01T00:16:44Z",
        "error": "authentication failed",
    }


def test_events_of_one_ref_are_sent_in_order_and_other_refs_do_not_wait(
    node: Node, caller: Principal, repo: Repo
) -> None:
    webhook = subscribe(node, caller)
    for oid in OIDS[:3]:
        push(node, caller, repo, oid)
    push(node, caller, repo, OIDS[0], b"side")
    assert fan_out_events(node, FanOutEvents()) == 4
    assert fan_out_events(node, FanOutEvents()) == 0
    main, side = next_of(node, webhook)
    assert (json.loads(main.payload)["after"], json.loads(side.payload)["ref"]) == (
        OIDS[0],
        "refs/heads/side",
    )
    assert next_of(node, webhook, main, side) == []
    record_outcomes(node, RecordOutcomes([(webhook, main, OK), (webhook, side, OK)]))
    (second,) = next_of(node, webhook)
    assert json.loads(second.payload)["after"] == OIDS[1]


def test_a_delivery_is_tried_eight_times_and_holds_up_its_ref_for_three(
    node: Node, caller: Principal, repo: Repo
) -> None:
    node.jitter = lambda: 0.5
    webhook = subscribe(node, caller)
    push(node, caller, repo, OIDS[0])
    push(node, caller, repo, OIDS[1])
    fan_out_events(node, FanOutEvents())
    (first,) = next_of(node, webhook)
    now = 1000
    for attempt, wait_s in enumerate((2, 8, 50, 240, 1500, 5400, 36000), start=1):
        record_outcomes(node, RecordOutcomes([(webhook, replace(first, attempts=attempt - 1), BAD)]))
        later = [json.loads(each.payload)["after"] for each in next_of(node, webhook)]
        assert later == ([] if attempt < 3 else [OIDS[1]])
        for passed, is_due in ((wait_s - 1, False), (1, True)):
            now += passed
            node.clock = partial(int, now)
            assert (first.id in {each.id for each in next_of(node, webhook)}) is is_due, attempt
    record_outcomes(node, RecordOutcomes([(webhook, replace(first, attempts=7), BAD)]))
    node.clock = partial(int, now + 10**6)
    assert first.id not in {each.id for each in next_of(node, webhook)}, "given up"


def test_a_subscription_is_served_by_one_process_until_its_lease_ends(
    node: Node, caller: Principal, repo: Repo
) -> None:
    webhook = subscribe(node, caller)
    push(node, caller, repo, OIDS[0])
    fan_out_events(node, FanOutEvents())
    assert hold_subscriptions(node, HoldSubscriptions("one", [webhook])) == {webhook}
    assert list_due_subscriptions(node, ListDueSubscriptions("two")) == []
    assert hold_subscriptions(node, HoldSubscriptions("two", [webhook])) == set()
    assert [each.id for each in list_due_subscriptions(node, ListDueSubscriptions("one"))] == [webhook]
    node.clock = lambda: 1001 + node.config.job_lease_s
    assert hold_subscriptions(node, HoldSubscriptions("two", [webhook])) == {webhook}
    assert hold_subscriptions(node, HoldSubscriptions("one", [webhook])) == set()
