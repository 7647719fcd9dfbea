"""Subscriptions over the whole pipeline: the exact bytes of each answer."""

import json
from typing import Any

import pytest

from packhouse.db.webhooks import disable_webhook
from tests.unit.web.api.conftest import Client, as_sent, shown

pytestmark = pytest.mark.quick

WEBHOOKS = "/api/webhooks"
CREATED = "1970-01-01T00:16:40Z"
BODY = {"url": "https://example.com/x?a=1&b=%C3", "events": ["push", "push", "repo.sync.failed"]}


@pytest.fixture
def subscriber(repo: Client) -> Client:
    """A client of a repository, on a node that can seal secrets."""
    node = repo.shared.node
    node.config.data.mkdir(parents=True, exist_ok=True)
    node.secret_keys.ensure()
    return repo


def subscribe(client: Client, repo: str | None = None, **more: Any) -> str:
    """Subscribe, with a token for a repository or for none, and return the id of the subscription."""
    sent = client.send("POST", WEBHOOKS, BODY | more, repo=repo)
    assert sent.status == 201
    return str(json.loads(sent.body)["id"])


def test_a_new_subscription_is_shown_with_its_secret(subscriber: Client) -> None:
    sent = subscriber.send("POST", WEBHOOKS, BODY | {"secret": " s "}, repo=None)
    expected = {
        "id": json.loads(sent.body)["id"],
        "url": BODY["url"],
        "events": ["push", "repo.sync.failed"],
        "secret": " s ",
        "created_at": CREATED,
    }
    assert shown(sent) == (201, as_sent(expected))


def test_without_a_secret_one_is_made(subscriber: Client) -> None:
    for given in ({}, {"secret": " "}):
        sent = subscriber.send("POST", WEBHOOKS, BODY | given, repo=None)
        assert json.loads(sent.body)["secret"].startswith("whsec_")


def listed(name: str, **more: Any) -> dict[str, Any]:
    return {
        "id": name,
        "url": BODY["url"],
        "events": ["push", "repo.sync.failed"],
        "active": True,
        "created_at": CREATED,
        **more,
    }


def test_a_list_shows_the_repository_of_a_subscription_but_not_its_secret(subscriber: Client) -> None:
    names = [subscribe(subscriber), subscribe(subscriber, repo="r")]
    sent = subscriber.send("GET", WEBHOOKS, repo=None)
    webhooks = [listed(names[0]), listed(names[1], repo="r")]
    assert shown(sent) == (200, as_sent({"webhooks": webhooks, "has_more": False}))
    assert sent.headers["cache-control"] == "private, no-cache"


def test_pages_name_the_next_one_until_the_last(subscriber: Client) -> None:
    names = [subscribe(subscriber), subscribe(subscriber)]
    first = subscriber.send("GET", f"{WEBHOOKS}?limit=1", repo=None)
    cursor = json.loads(first.body)["next_cursor"]
    expected = {"webhooks": [listed(names[0])], "has_more": True, "next_cursor": cursor}
    assert shown(first) == (200, as_sent(expected))
    rest = subscriber.send("GET", f"{WEBHOOKS}?limit=1&cursor={cursor}", repo=None)
    assert shown(rest) == (200, as_sent({"webhooks": [listed(names[1])], "has_more": False}))


def test_the_end_of_a_subscription_is_answered_without_a_body(subscriber: Client) -> None:
    name = subscribe(subscriber)
    assert shown(subscriber.send("DELETE", f"{WEBHOOKS}/{name}", repo=None)) == (204, "")
    assert subscriber.send("DELETE", f"{WEBHOOKS}/{name}", repo=None).status == 404
    assert shown(subscriber.send("GET", WEBHOOKS, repo=None)) == (200, '{"webhooks":[],"has_more":false}')


def test_a_receiver_that_answered_gone_is_shown_as_inactive(subscriber: Client) -> None:
    name = subscribe(subscriber)
    with subscriber.shared.node.database.write() as session:
        disable_webhook(session, 1, now=2000)
    expected = {"webhooks": [listed(name) | {"active": False}], "has_more": False}
    assert shown(subscriber.send("GET", WEBHOOKS, repo=None)) == (200, as_sent(expected))
