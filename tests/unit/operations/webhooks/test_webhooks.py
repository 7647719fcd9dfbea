"""Subscriptions to events: which callers may have which, and the log of deliveries."""

import pytest

from packhouse.auth.principal import Principal, RepoClaimMismatch
from packhouse.cursors import BadCursor
from packhouse.db.repos import RepoNotFound
from packhouse.errors import FieldInvalid, FieldMissing, Invalid
from packhouse.limits import webhook_secret_max_chars, webhooks_max
from packhouse.node.node import Node
from packhouse.operations.repos.create_repo import CreateRepo, create_repo
from packhouse.operations.repos.delete_repo import DeleteRepo, delete_repo
from packhouse.operations.webhooks.add_webhook import (
    AddedWebhook,
    AddWebhook,
    EventUnknown,
    TooManyWebhooks,
    add_webhook,
)
from packhouse.operations.webhooks.choose_deliveries import ChooseDeliveries, choose_deliveries
from packhouse.operations.webhooks.fan_out_events import FanOutEvents, fan_out_events
from packhouse.operations.webhooks.list_deliveries import ListDeliveries, list_deliveries
from packhouse.operations.webhooks.list_due_subscriptions import (
    ListDueSubscriptions,
    list_due_subscriptions,
)
from packhouse.operations.webhooks.list_webhooks import ListWebhooks, list_webhooks
from packhouse.operations.webhooks.open_secret import OpenSecret, open_secret
from packhouse.operations.webhooks.record_outcomes import RecordOutcomes, record_outcomes
from packhouse.operations.webhooks.redeliver import (
    DeliveryNotFound,
    Redeliver,
    WebhookInactive,
    redeliver,
)
from packhouse.operations.webhooks.remove_webhook import RemoveWebhook, remove_webhook
from packhouse.operations.webhooks.send_delivery import SendOutcome
from packhouse.operations.webhooks.subscriptions import WebhookNotFound
from packhouse.secret import Secret
from tests.support.builders.callers import limited_to
from tests.support.builders.node_writes import commit_files

pytestmark = pytest.mark.quick

URL = "https://ci.example.com/hook"


@pytest.fixture(autouse=True)
def _keys(node: Node) -> None:
    node.config.data.mkdir(parents=True)
    node.secret_keys.ensure()


def subscribe(node: Node, caller: Principal, *events: str, repo: str | None = None) -> AddedWebhook:
    """Add a subscription, to every event unless some are named."""
    return add_webhook(node, caller, AddWebhook(URL, events or ("*",), repo=repo))


def ids(node: Node, caller: Principal) -> list[str]:
    """Return the ids of all subscriptions, page by page."""
    found: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        page = list_webhooks(node, caller, ListWebhooks(cursor, 2))
        found += [webhook.webhook_id for webhook in page.webhooks]
        cursor = page.cursor
    return found


def send(node: Node, outcome: SendOutcome) -> int:
    """Record this outcome for every due delivery; return their number."""
    count = 0
    for webhook in list_due_subscriptions(node, ListDueSubscriptions("w")):
        due = choose_deliveries(node, ChooseDeliveries(webhook.id, (), 10))
        record_outcomes(node, RecordOutcomes([(webhook.id, delivery, outcome) for delivery in due]))
        count += len(due)
    return count


# Subscribing


def test_only_the_creation_of_a_subscription_returns_its_secret(node: Node, caller: Principal) -> None:
    made = subscribe(node, caller, "push", "push")
    assert (made.url, made.events, made.created_at) == (URL, ("push",), 1000)
    assert made.secret.reveal().startswith("whsec_")
    assert made.secret.reveal() not in repr(made)
    (listed,) = list_webhooks(node, caller, ListWebhooks()).webhooks
    assert (listed.webhook_id, listed.url, listed.repo_name) == (made.webhook_id, URL, None)
    assert subscribe(node, caller).secret.reveal() != made.secret.reveal()


def test_the_secret_may_be_the_callers_and_is_there_when_deliveries_are_signed(
    node: Node, caller: Principal, repo: str
) -> None:
    add_webhook(node, caller, AddWebhook(URL, ["*"], Secret("hunter2")))
    commit_files(node, caller, repo, "main", {"a": b"1\n"})
    fan_out_events(node, FanOutEvents())
    (ready,) = list_due_subscriptions(node, ListDueSubscriptions("w"))
    assert open_secret(node, OpenSecret(ready)).reveal() == "hunter2"


@pytest.mark.parametrize("secret", ["x" * (webhook_secret_max_chars + 1), "a\0", "\ud800"])
def test_a_secret_is_short_text_that_can_be_stored(node: Node, caller: Principal, secret: str) -> None:
    with pytest.raises(FieldInvalid):
        add_webhook(node, caller, AddWebhook(URL, ["*"], Secret(secret)))


@pytest.mark.parametrize(
    "url", ["", "ci.example.com", "ftp://a/", "http://127.0.0.1/", "https://[::1]/", "https://u@a/"]
)
def test_a_receiver_has_a_public_address(node: Node, caller: Principal, url: str) -> None:
    with pytest.raises(Invalid):
        add_webhook(node, caller, AddWebhook(url, ["*"]))
    assert ids(node, caller) == []


def test_only_events_that_happen_are_subscribed_to(node: Node, caller: Principal) -> None:
    with pytest.raises(FieldMissing):
        add_webhook(node, caller, AddWebhook(URL, []))
    for name in ("pull", "PUSH", ""):
        with pytest.raises(EventUnknown):
            subscribe(node, caller, "push", name)


def test_the_subscriptions_of_an_organisation_are_bounded(
    node: Node, caller: Principal, stranger: Principal
) -> None:
    made = [subscribe(node, caller) for _ in range(webhooks_max)]
    with pytest.raises(TooManyWebhooks):
        subscribe(node, caller)
    subscribe(node, stranger)
    remove_webhook(node, caller, RemoveWebhook(made[0].webhook_id))
    subscribe(node, caller)


# Owners of subscriptions


def test_a_token_for_one_repository_has_only_subscriptions_for_it(
    node: Node, caller: Principal, repo: str
) -> None:
    create_repo(node, caller, CreateRepo("other"))
    owner = limited_to(caller, repo)
    of_org, of_other = subscribe(node, caller), subscribe(node, caller, repo="other")
    mine = subscribe(node, owner)
    assert ids(node, owner) == [mine.webhook_id]
    assert ids(node, caller) == [of_org.webhook_id, of_other.webhook_id, mine.webhook_id]
    with pytest.raises(RepoClaimMismatch):
        subscribe(node, owner, repo="other")
    for webhook in (of_org, of_other):
        with pytest.raises(WebhookNotFound):
            remove_webhook(node, owner, RemoveWebhook(webhook.webhook_id))
        with pytest.raises(WebhookNotFound):
            list_deliveries(node, owner, ListDeliveries(webhook.webhook_id))
    remove_webhook(node, owner, RemoveWebhook(mine.webhook_id))


def test_another_organisation_finds_no_subscription(
    node: Node, caller: Principal, stranger: Principal, repo: str
) -> None:
    made = subscribe(node, caller)
    assert ids(node, stranger) == []
    with pytest.raises(WebhookNotFound):
        remove_webhook(node, stranger, RemoveWebhook(made.webhook_id))
    with pytest.raises(WebhookNotFound):
        list_deliveries(node, stranger, ListDeliveries(made.webhook_id))
    with pytest.raises(RepoNotFound):
        subscribe(node, stranger, repo=repo)


def test_a_removed_subscription_is_not_found(node: Node, caller: Principal) -> None:
    made = subscribe(node, caller)
    remove_webhook(node, caller, RemoveWebhook(made.webhook_id))
    for webhook_id in (made.webhook_id, "wh_1", "", "x" * 10_000):
        with pytest.raises(WebhookNotFound):
            remove_webhook(node, caller, RemoveWebhook(webhook_id))


def test_subscriptions_are_listed_oldest_first_page_by_page(node: Node, caller: Principal) -> None:
    made = [subscribe(node, caller).webhook_id for _ in range(5)]
    assert ids(node, caller) == made
    assert list_webhooks(node, caller, ListWebhooks(count_max=5)).cursor is None
    for cursor in ("x", "\ud800"):
        with pytest.raises(BadCursor):
            list_webhooks(node, caller, ListWebhooks(cursor))


# Recipients of events


def test_an_event_goes_to_the_subscriptions_that_name_it(node: Node, caller: Principal, repo: str) -> None:
    create_repo(node, caller, CreateRepo("other"))
    wanted = [subscribe(node, caller), subscribe(node, caller, "push"), subscribe(node, caller, repo=repo)]
    unwanted = [subscribe(node, caller, "repo.sync.failed"), subscribe(node, caller, repo="other")]
    commit_files(node, caller, repo, "main", {"a": b"1\n"})
    assert fan_out_events(node, FanOutEvents()) == 1
    counts = [
        len(list_deliveries(node, caller, ListDeliveries(made.webhook_id))) for made in wanted + unwanted
    ]
    assert counts == [1, 1, 1, 0, 0]


def test_an_event_goes_to_no_later_or_foreign_subscription(
    node: Node, caller: Principal, stranger: Principal, repo: str
) -> None:
    theirs = subscribe(node, stranger)
    commit_files(node, caller, repo, "main", {"a": b"1\n"})
    node.clock = lambda: 1001
    late = subscribe(node, caller)
    fan_out_events(node, FanOutEvents())
    assert list_deliveries(node, caller, ListDeliveries(late.webhook_id)) == []
    assert list_deliveries(node, stranger, ListDeliveries(theirs.webhook_id)) == []


def test_events_are_taken_in_batches_and_each_once(node: Node, caller: Principal, repo: str) -> None:
    made = subscribe(node, caller)
    for number in range(5):
        commit_files(node, caller, repo, "main", {"a": b"%d\n" % number})
    counts = [fan_out_events(node, FanOutEvents(count_max=2)) for _ in range(4)]
    assert counts == [2, 2, 1, 0]
    assert len(list_deliveries(node, caller, ListDeliveries(made.webhook_id))) == 5
    assert len(list_deliveries(node, caller, ListDeliveries(made.webhook_id, count_max=3))) == 3


# The log


def test_deliveries_are_listed_newest_first_with_their_last_attempt(
    node: Node, caller: Principal, repo: str
) -> None:
    made = subscribe(node, caller)
    commit_files(node, caller, repo, "main", {"a": b"1\n"})
    commit_files(node, caller, repo, "side", {"a": b"2\n"}, base="main")
    fan_out_events(node, FanOutEvents())
    assert send(node, SendOutcome(500, "", b"sorry", 0.25)) == 2
    newest, oldest = list_deliveries(node, caller, ListDeliveries(made.webhook_id))
    assert (newest.refname, oldest.refname) == ("refs/heads/side", "refs/heads/main")
    assert (oldest.state, oldest.attempts, oldest.status) == ("pending", 1, 500)
    assert (oldest.response_start, oldest.duration_ms, oldest.attempted_at) == (b"sorry", 250, 1000)


def test_a_delivery_is_sent_once_more_with_all_attempts(node: Node, caller: Principal, repo: str) -> None:
    made = subscribe(node, caller)
    commit_files(node, caller, repo, "main", {"a": b"1\n"})
    fan_out_events(node, FanOutEvents())
    send(node, SendOutcome(204, "", b"", 0.1))
    (sent,) = list_deliveries(node, caller, ListDeliveries(made.webhook_id))
    assert (sent.state, send(node, SendOutcome(204, "", b"", 0.1))) == ("delivered", 0)
    seen = node.wakeups.wait(0, 0)
    redeliver(node, caller, Redeliver(sent.delivery_id))
    assert node.wakeups.wait(seen, 0) > seen
    (again,) = list_deliveries(node, caller, ListDeliveries(made.webhook_id))
    assert (again.delivery_id, again.state, again.attempts) == (sent.delivery_id, "pending", 0)
    assert send(node, SendOutcome(204, "", b"", 0.1)) == 1


def test_a_receiver_that_answers_gone_gets_no_more_deliveries(
    node: Node, caller: Principal, repo: str
) -> None:
    made = subscribe(node, caller)
    commit_files(node, caller, repo, "main", {"a": b"1\n"})
    fan_out_events(node, FanOutEvents())
    send(node, SendOutcome(410, "", b"", 0.1))
    (delivery,) = list_deliveries(node, caller, ListDeliveries(made.webhook_id))
    assert delivery.state == "failed"
    with pytest.raises(WebhookInactive):
        redeliver(node, caller, Redeliver(delivery.delivery_id))
    (listed,) = list_webhooks(node, caller, ListWebhooks()).webhooks
    assert listed.disabled_at == 1000


def test_a_foreign_or_unknown_delivery_is_not_found(
    node: Node, caller: Principal, stranger: Principal, repo: str
) -> None:
    made = subscribe(node, caller)
    commit_files(node, caller, repo, "main", {"a": b"1\n"})
    fan_out_events(node, FanOutEvents())
    (delivery,) = list_deliveries(node, caller, ListDeliveries(made.webhook_id))
    for who, delivery_id in ((stranger, delivery.delivery_id), (caller, "whd_1"), (caller, "x" * 9999)):
        with pytest.raises(DeliveryNotFound):
            redeliver(node, who, Redeliver(delivery_id))


def test_a_token_for_a_deleted_repository_has_no_subscriptions(
    node: Node, caller: Principal, repo: str
) -> None:
    owner = limited_to(caller, repo)
    subscribe(node, owner)
    delete_repo(node, caller, DeleteRepo(repo))
    with pytest.raises(RepoNotFound):
        list_webhooks(node, owner, ListWebhooks())
    with pytest.raises(RepoNotFound):
        subscribe(node, owner)
