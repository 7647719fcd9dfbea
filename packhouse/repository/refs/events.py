"""Events about a repository for its subscribers. The text of an event is made once, in the transaction of its cause."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from packhouse.clock import format_timestamp
from packhouse.db import NewEvent, RefOutcome, Repo, Session, insert_events, lock_repo
from packhouse.git import HEADS, PERSISTENT, TAGS, ZERO_OID

PUSH: Final = "push"
SYNC_STARTED: Final = "repo.sync.started"
SYNC_SUCCEEDED: Final = "repo.sync.succeeded"
SYNC_FAILED: Final = "repo.sync.failed"
EVENT_KINDS: Final = (PUSH, SYNC_STARTED, SYNC_SUCCEEDED, SYNC_FAILED)


@dataclass(frozen=True, slots=True)
class SyncRun:
    """A run of an upstream sync. `run_count` is the number in the event: at the start of a run, the runs before it."""

    run_count: int
    is_first_sync: bool
    started_at: int
    completed_at: int | None = None
    error: str | None = None


def record_pushes(
    session: Session, repo: Repo, outcomes: Sequence[RefOutcome], *, ephemeral: bool, now: int
) -> bool:
    """Write a push event for each branch and tag that moved in the transaction `session`; tell whether there was one.

    Ephemeral refs count only with `ephemeral`. The events have the order of the updates.
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
