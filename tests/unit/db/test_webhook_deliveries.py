"""Events, their deliveries to subscriptions, and how both are forgotten."""

from collections.abc import Callable

import pytest

from packhouse.db.engines.sqlite_memory import SqliteMemory
from packhouse.db.events import (
    NewEvent,
    get_events_pruned_to,
    get_last_event_id,
    insert_events,
    list_events_after,
    list_events_to_fan_out,
    lock_repo,
    mark_event_fanned_out,
    prune_events,
)
from packhouse.db.repos import RepoNotFound
from packhouse.db.webhook_deliveries import (
    AttemptRow,
    NewDelivery,
    PendingDelivery,
    find_delivery,
    has_due_delivery,
    insert_deliveries,
    list_attempts,
    list_deliveries,
    list_pending_deliveries,
    prune_deliveries,
    record_attempts,
    restart_delivery,
)
from packhouse.db.webhooks import (
    delete_webhook,
    disable_webhook,
    find_webhook,
    insert_webhook,
    lease_webhook,
    list_ready_webhooks,
    list_subscribers,
    release_webhook,
)
from packhouse.ids import RepoKey
from tests.support.builders.rows import add_repo

pytestmark = pytest.mark.quick

NOW = 1000
IN_ORDER = 3


class Hook:
    """A subscription of acme, with the events of one repository."""

    def __init__(self, database: SqliteMemory, org_id: int, repo_id: RepoKey) -> None:
        self.database, self.org_id, self.repo_id = database, org_id, repo_id
        self.id = self.subscribe("wh_1")
        self.events = 0

    def subscribe(self, webhook_id: str) -> int:
        with self.database.write() as session:
            return insert_webhook(
                session,
                webhook_id=webhook_id,
                org_id=self.org_id,
                repo_id=None,
                url="https://example.com/",
                events=("push",),
                sealed_secret=b"sealed",
                sealed_with="k1",
                now=NOW,
            )

    def happen(self, *payloads: str, now: int = NOW, repo_id: RepoKey | None = None) -> None:
        """Write push events, each with a text of its own."""
        with self.database.write() as session:
            events = [NewEvent("push", payload, "", "refs/heads/main") for payload in payloads]
            insert_events(
                session, org_id=self.org_id, repo_id=repo_id or self.repo_id, events=events, now=now
            )

    def deliver(self, *order_keys: str, webhook_id: int | None = None, now: int = NOW) -> list[str]:
        """Make an event and its delivery for each key; return the delivery ids."""
        made = []
        for key in order_keys:
            self.events += 1
            self.happen(f"event {self.events}", now=now)
            with self.database.write() as session:
                event_id = get_last_event_id(session, self.repo_id)
                delivery = NewDelivery(f"whd_{self.events}", webhook_id or self.id, event_id, key)
                insert_deliveries(session, [delivery], now=now)
            made.append(f"whd_{self.events}")
        return made

    def pending(self, now: int = NOW, *, limit: int = 10) -> list[PendingDelivery]:
        with self.database.read() as session:
            return list_pending_deliveries(session, self.id, now=now, in_order_attempts=IN_ORDER, limit=limit)

    def record(
        self,
        delivery: PendingDelivery,
        *,
        state: str = "pending",
        next_at: int = NOW,
        status: int | None = 500,
    ) -> None:
        """Write down one more attempt."""
        row = AttemptRow(
            id=delivery.id,
            attempts=delivery.attempts + 1,
            state=state,
            next_attempt_at=next_at,
            ended_at=None if state == "pending" else NOW,
            status=status,
            error="" if status else "timed out",
            response_start=b"answer",
            duration_ms=12,
        )
        with self.database.write() as session:
            record_attempts(session, [row], now=NOW)

    def states(self) -> dict[str, tuple[str, int]]:
        with self.database.read() as session:
            return {
                row.delivery_id: (row.state, row.attempts)
                for row in list_deliveries(session, self.id, limit=100)
            }


@pytest.fixture
def hook(database: SqliteMemory, org_id: int, repo_id: RepoKey) -> Hook:
    return Hook(database, org_id, repo_id)


# Events


def test_events_of_a_repository_come_in_their_order_and_page_by_page(hook: Hook) -> None:
    other = add_repo(hook.database, hook.org_id, "other")
    hook.happen("1", "2")
    hook.happen("of another", repo_id=other)
    hook.happen("3")
    with hook.database.read() as session:
        first = list_events_after(session, hook.repo_id, 0, limit=2)
        assert [event.payload for event in first] == ["1", "2"]
        rest = list_events_after(session, hook.repo_id, first[-1].id, limit=2)
        assert [event.payload for event in rest] == ["3"]
        assert get_last_event_id(session, hook.repo_id) == rest[-1].id


def test_a_repository_without_events_begins_at_nothing(hook: Hook) -> None:
    with hook.database.read() as session:
        assert get_last_event_id(session, hook.repo_id) == 0
        assert get_events_pruned_to(session, hook.repo_id) == 0


def test_a_repository_that_is_gone_cannot_be_locked_for_an_event(hook: Hook) -> None:
    with pytest.raises(RepoNotFound), hook.database.write() as session:
        lock_repo(session, RepoKey(12345))


def test_each_event_is_handed_to_the_subscriptions_once(hook: Hook) -> None:
    hook.happen("1", "2")
    with hook.database.write() as session:
        waiting = list_events_to_fan_out(session, limit=10)
        assert [event.refname for event in waiting] == ["refs/heads/main"] * 2
        assert mark_event_fanned_out(session, waiting[0].id)
        assert not mark_event_fanned_out(session, waiting[0].id), "another process was faster"
        assert [event.id for event in list_events_to_fan_out(session, limit=10)] == [waiting[1].id]


def test_old_events_are_forgotten_in_batches_and_readers_can_tell(hook: Hook) -> None:
    hook.happen("1", "2", "3", now=NOW)
    hook.happen("young", now=NOW + 100)
    with hook.database.write() as session:
        for event in list_events_to_fan_out(session, limit=10):
            mark_event_fanned_out(session, event.id)
        third = list_events_after(session, hook.repo_id, 0, limit=10)[2].id
        assert prune_events(session, before=NOW + 50, limit=2) == 2
        assert prune_events(session, before=NOW + 50, limit=2) == 1
        assert prune_events(session, before=NOW + 50, limit=2) == 0
        assert [event.payload for event in list_events_after(session, hook.repo_id, 0, limit=10)] == ["young"]
        assert get_events_pruned_to(session, hook.repo_id) == third


# Deliveries


def test_a_delivery_is_due_at_once_and_carries_its_event(hook: Hook) -> None:
    hook.deliver("main")
    (delivery,) = hook.pending()
    assert (delivery.delivery_id, delivery.order_key, delivery.attempts) == ("whd_1", "main", 0)
    assert (delivery.kind, delivery.payload) == ("push", "event 1")
    with hook.database.read() as session:
        assert has_due_delivery(session, now=NOW)
        assert not has_due_delivery(session, now=NOW - 1)


def test_deliveries_come_in_the_order_of_their_events_and_only_so_many(hook: Hook) -> None:
    hook.deliver("main", "side", "main")
    assert [delivery.delivery_id for delivery in hook.pending()] == ["whd_1", "whd_2", "whd_3"]
    assert len(hook.pending(limit=2)) == 2


def test_one_that_others_may_wait_for_is_listed_before_its_time(hook: Hook) -> None:
    """Else the second event of a ref would overtake the first, which waits for its next attempt."""
    hook.deliver("main", "main")
    for _ in range(IN_ORDER - 1):
        hook.record(hook.pending()[0], next_at=NOW + 60)
        assert [delivery.delivery_id for delivery in hook.pending()] == ["whd_1", "whd_2"]
    hook.record(hook.pending()[0], next_at=NOW + 60)
    assert [delivery.delivery_id for delivery in hook.pending()] == ["whd_2"], "it holds up nothing any more"
    assert [delivery.delivery_id for delivery in hook.pending(NOW + 60)] == ["whd_1", "whd_2"]


def test_an_attempt_is_kept_with_its_answer(hook: Hook) -> None:
    hook.deliver("main")
    hook.record(hook.pending()[0], status=None)
    hook.record(hook.pending()[0], state="delivered", status=204)
    with hook.database.read() as session:
        found = find_delivery(session, hook.org_id, "whd_1")
        assert found is not None
        attempts = list_attempts(session, found.id, limit=10)
        (row,) = list_deliveries(session, hook.id, limit=10)
    assert [(each.attempt, each.status, each.error) for each in attempts] == [
        (1, None, "timed out"),
        (2, 204, ""),
    ]
    assert (row.state, row.status, row.response_start, row.duration_ms) == ("delivered", 204, b"answer", 12)
    assert hook.pending(NOW + 10_000) == []


def test_a_late_outcome_does_not_bring_a_delivery_back(hook: Hook) -> None:
    """Two processes may have sent it; what was delivered stays so."""
    hook.deliver("main")
    (delivery,) = hook.pending()
    hook.record(delivery, state="delivered", status=204)
    hook.record(delivery, state="pending", status=500)
    assert hook.states() == {"whd_1": ("delivered", 1)}


def test_a_delivery_may_be_sent_again_with_all_its_attempts(hook: Hook) -> None:
    hook.deliver("main")
    hook.record(hook.pending()[0], state="failed")
    with hook.database.write() as session:
        found = find_delivery(session, hook.org_id, "whd_1")
        assert found is not None and found.active
        restart_delivery(session, found.id, now=NOW + 5)
    (delivery,) = hook.pending(NOW + 5)
    assert delivery.attempts == 0


def test_a_delivery_of_another_organisation_or_an_impossible_id_is_not_found(hook: Hook) -> None:
    hook.deliver("main")
    with hook.database.read() as session:
        assert find_delivery(session, hook.org_id + 1, "whd_1") is None
        assert find_delivery(session, hook.org_id, "whd_\x00") is None


def test_deliveries_that_ended_long_ago_are_forgotten_with_their_attempts(hook: Hook) -> None:
    hook.deliver("a", "b", "c")
    for delivery in hook.pending()[:2]:
        hook.record(delivery, state="delivered", status=204)
    with hook.database.write() as session:
        assert prune_deliveries(session, before=NOW, limit=10) == 0
        assert prune_deliveries(session, before=NOW + 1, limit=1) == 1
        assert prune_deliveries(session, before=NOW + 1, limit=10) == 1
    assert set(hook.states()) == {"whd_3"}, "one that is under way is kept"


# Subscriptions


def test_a_subscription_with_something_due_is_served_by_one_process(hook: Hook) -> None:
    hook.deliver("main")

    def ready(worker: str, now: int = NOW) -> list[int]:
        with hook.database.read() as session:
            return [webhook.id for webhook in list_ready_webhooks(session, worker=worker, now=now)]

    def lease(worker: str, now: int = NOW) -> bool:
        with hook.database.write() as session:
            return lease_webhook(session, hook.id, worker=worker, lease_until=now + 30, now=now)

    assert ready("one") == ready("two") == [hook.id]
    assert lease("one")
    assert not lease("two")
    assert (ready("one"), ready("two")) == ([hook.id], [])
    assert lease("one"), "its holder may extend it"
    assert ready("two", NOW + 31) == [hook.id]
    assert lease("two", NOW + 31)
    assert not lease("one", NOW + 31)
    with hook.database.write() as session:
        release_webhook(session, hook.id, worker="one")
    assert ready("one", NOW + 31) == [], "only its holder releases it"
    with hook.database.write() as session:
        release_webhook(session, hook.id, worker="two")
    assert ready("one", NOW + 31) == [hook.id]


def test_a_subscription_without_anything_due_is_not_ready(hook: Hook) -> None:
    other = hook.subscribe("wh_2")
    hook.deliver("main", webhook_id=other)
    with hook.database.read() as session:
        assert [webhook.id for webhook in list_ready_webhooks(session, worker="w", now=NOW)] == [other]
        assert list_ready_webhooks(session, worker="w", now=NOW - 1) == []


@pytest.mark.parametrize("end", [delete_webhook, disable_webhook])
def test_an_ended_subscription_gets_nothing_more(hook: Hook, end: Callable[..., None]) -> None:
    hook.deliver("main")
    with hook.database.write() as session:
        end(session, hook.id, now=NOW)
    with hook.database.write() as session:
        assert list_ready_webhooks(session, worker="w", now=NOW) == []
        assert list_subscribers(session, hook.org_id) == []
        assert not lease_webhook(session, hook.id, worker="w", lease_until=NOW + 30, now=NOW)
        found = find_webhook(session, hook.org_id, "wh_1")
    assert (found is None) == (end is delete_webhook), "one that asked for it is still shown"
    assert hook.states() == {"whd_1": ("failed", 0)}
