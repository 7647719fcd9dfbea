"""What happened to a repository, as subscribers hear of it: the texts are made once, where the cause commits."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from packhouse import limits
from packhouse.auth.principal import Principal
from packhouse.clock import format_timestamp
from packhouse.db.events import (
    Event,
    NewEvent,
    get_events_pruned_to,
    get_last_event_id,
    insert_events,
    list_events_after,
    lock_repo,
)
from packhouse.db.ref_transaction import RefOutcome
from packhouse.db.repos import Repo, RepoNotFound, find_repo, find_repo_by_id
from packhouse.db.session import Session
from packhouse.errors import NotFound
from packhouse.git.oid import ZERO_OID
from packhouse.git.refname import HEADS, PERSISTENT, TAGS
from packhouse.operations.node import Node

PUSH: Final = "push"
SYNC_STARTED: Final = "repo.sync.started"
SYNC_SUCCEEDED: Final = "repo.sync.succeeded"
SYNC_FAILED: Final = "repo.sync.failed"
EVENT_KINDS: Final = (PUSH, SYNC_STARTED, SYNC_SUCCEEDED, SYNC_FAILED)


class EventsForgotten(NotFound):
    """What follows the event that the reader saw last is not known. Read the state anew, then listen."""

    def __init__(self, after: int) -> None:
        super().__init__("events are no longer kept", last_event_id=after)


@dataclass(frozen=True, slots=True)
class SyncRun:
    """A run of an upstream sync. `run_count` is what the event says: at its start the runs before it."""

    run_count: int
    is_first_sync: bool
    started_at: int
    completed_at: int | None = None
    error: str | None = None


def record_pushes(
    session: Session, repo: Repo, outcomes: Sequence[RefOutcome], *, ephemeral: bool, now: int
) -> bool:
    """Write a push event for each branch and tag that a ref transaction moved, within it; tell whether any.

    Ephemeral refs count only with `ephemeral`. Order: that of the updates.
    """
    events = [
        _push_event(repo, outcome, now)
        for outcome in outcomes
        if outcome.moved
        and outcome.update.refname.startswith((HEADS, TAGS))
        and (ephemeral or outcome.update.namespace == PERSISTENT)
    ]
    insert_events(session, org_id=repo.org_id, repo_id=repo.id, events=events, now=now)
    return bool(events)


def record_sync(session: Session, repo: Repo, kind: str, run: SyncRun, *, now: int) -> None:
    """Write a sync event in the transaction that changes the state of the sync; raise RepoNotFound.

    `run.error` goes to subscribers: it must be short and hold no credential. Call `node.wakeups.notify()` after
    the commit.
    """
    assert kind in (SYNC_STARTED, SYNC_SUCCEEDED, SYNC_FAILED), kind
    lock_repo(session, repo.id)
    fields = {
        "type": kind,
        **_who(repo),
        "run_count": run.run_count,
        "is_first_sync": run.is_first_sync,
        "started_at": format_timestamp(run.started_at),
    }
    if run.completed_at is not None:
        fields["completed_at"] = format_timestamp(run.completed_at)
    if run.error is not None:
        fields["error"] = run.error
    insert_events(
        session, org_id=repo.org_id, repo_id=repo.id, events=[NewEvent(kind, _encode(fields))], now=now
    )


def _push_event(repo: Repo, outcome: RefOutcome, now: int) -> NewEvent:
    update = outcome.update
    refname = update.refname.decode("utf-8")
    fields = {
        **_who(repo),
        "ref": refname,
        "before": outcome.previous_oid or ZERO_OID,
        "after": update.new_oid or ZERO_OID,
        "pushed_at": format_timestamp(now),
    }
    return NewEvent(PUSH, _encode(fields), update.namespace, refname)


def _who(repo: Repo) -> dict[str, Any]:
    return {
        "org": repo.org_name,
        "customer_id": repo.org_name,
        "repository": {"id": repo.public_id, "url": repo.name, "repo_name": repo.name},
    }


def _encode(fields: dict[str, Any]) -> str:
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":"))


@dataclass(frozen=True, slots=True)
class EventPosition:
    """Where a reader of a repository's events stands: after the event of that id."""

    repo_id: int
    after: int


def open_events(node: Node, caller: Principal, repo_name: str, after: int | None) -> EventPosition:
    """Return where to read on: after the event `after`, or, for None, after all that happened so far.

    A first sync may run: its end is an event. Raises RepoNotFound, and EventsForgotten when events after `after`
    are no longer kept, or when it is yet to come: the reader saw it before the database was set back.
    """
    with node.database.read() as session:
        repo = find_repo(session, caller.org_id, repo_name)
        if repo is None:
            raise RepoNotFound(repo_name)
        last = get_last_event_id(session, repo.id)
        if after is None:
            return EventPosition(repo.id, last)
        if not get_events_pruned_to(session, repo.id) <= after <= last:
            raise EventsForgotten(after)
    return EventPosition(repo.id, after)


def read_events(node: Node, position: EventPosition) -> list[Event]:
    """Return the next events, at most `limits.event_page_max`; none when nothing happened."""
    with node.database.read() as session:
        return list_events_after(session, position.repo_id, position.after, limit=limits.event_page_max)


def has_events_forgotten(node: Node, position: EventPosition) -> bool:
    """Tell whether the reader missed something: its repository is gone, or so are events it has not read."""
    with node.database.read() as session:
        repo = find_repo_by_id(session, position.repo_id)
        gone = repo is None or repo.deleted_at is not None
        return gone or position.after < get_events_pruned_to(session, position.repo_id)
