"""Events of repositories, in order. The transaction that causes an event writes it; subscribers read it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from packhouse.db.repos import RepoNotFound
from packhouse.db.session import Session
from packhouse.ids import RepoKey


@dataclass(frozen=True, slots=True)
class NewEvent:
    """An event to write. `payload` is the JSON text that subscribers get, byte for byte."""

    kind: str
    payload: str
    namespace: str = ""
    refname: str | None = None


@dataclass(frozen=True, slots=True)
class Event:
    """An event of a repository. Later events of the repository have larger ids."""

    id: int
    kind: str
    payload: str


@dataclass(frozen=True, slots=True)
class EventToFanOut:
    """An event that was not handed to the subscriptions yet."""

    id: int
    org_id: int
    repo_id: RepoKey
    kind: str
    namespace: str
    refname: str | None
    created_at: int


def insert_events(
    session: Session, *, org_id: int, repo_id: RepoKey, events: Sequence[NewEvent], now: int
) -> None:
    """Write events of a repository. This transaction must have locked its row (by a ref transaction or lock_repo())."""
    if events:
        session.run_many(
            "insert_event",
            [
                {
                    "org_id": org_id,
                    "repo_id": repo_id,
                    "kind": event.kind,
                    "namespace": event.namespace,
                    "refname": event.refname,
                    "payload": event.payload,
                    "now": now,
                }
                for event in events
            ],
        )


def lock_repo(session: Session, repo_id: RepoKey) -> None:
    """Keep other transactions from writing events of the repository until this one ends. Raises RepoNotFound."""
    if session.run("lock_repo", repo_id=repo_id) == 0:
        raise RepoNotFound(repo_id)


def list_events_after(session: Session, repo_id: RepoKey, after: int, *, limit: int) -> list[Event]:
    """Return the oldest events of a repository with ids larger than `after`."""
    rows = session.all("list_events_after", repo_id=repo_id, after=after, limit=limit)
    return [Event(*row) for row in rows]


def list_repos_with_news(session: Session, positions: Mapping[RepoKey, int], *, limit: int) -> list[RepoKey]:
    """Return the repositories with events behind their position, those that waited longest first."""
    rows = session.all("list_repos_with_news", positions=json.dumps(positions), limit=limit)
    return [RepoKey(row[0]) for row in rows]


def list_repos_with_missed_events(session: Session, positions: Mapping[RepoKey, int]) -> list[RepoKey]:
    """Return the repositories that are gone, or that no longer keep an event behind their position."""
    rows = session.all("list_repos_with_missed_events", positions=json.dumps(positions))
    return [RepoKey(row[0]) for row in rows]


def get_last_event_id(session: Session, repo_id: RepoKey) -> int:
    """Return the id of the repository's newest event, also if it is no longer kept; 0 if there was none."""
    row = session.one("get_last_event_id", repo_id=repo_id)
    newest = int(row[0]) if row is not None and row[0] is not None else 0
    return max(newest, get_events_pruned_to(session, repo_id))


def get_events_pruned_to(session: Session, repo_id: RepoKey) -> int:
    """Return the id of the newest event of a repository that is no longer kept; 0 if all are kept."""
    row = session.one("get_events_pruned_to", repo_id=repo_id)
    return 0 if row is None else int(row[0])


def list_events_to_fan_out(session: Session, *, limit: int) -> list[EventToFanOut]:
    """Return the oldest events that were not handed to the subscriptions yet."""
    return [EventToFanOut(*row) for row in session.all("list_events_to_fan_out", limit=limit)]


def mark_event_fanned_out(session: Session, event_id: int) -> bool:
    """Note that this transaction hands the event out. Return False if another one has done so."""
    return session.run("mark_event_fanned_out", event_id=event_id) > 0


def prune_events(session: Session, *, before: int, limit: int) -> int:
    """Delete at most `limit` events older than `before` that no delivery needs. Return the number of deleted events."""
    rows = session.all("list_prunable_events", before=before, limit=limit)
    newest: dict[int, int] = {}
    for event_id, repo_id in rows:
        newest[repo_id] = max(event_id, newest.get(repo_id, 0))
    # Update repositories in one order: two prunings must not wait for each other's rows.
    for repo_id in sorted(newest):
        session.run("note_pruned_events", repo_id=repo_id, event_id=newest[repo_id])
    if rows:
        session.run_many("delete_event", [{"event_id": event_id} for event_id, _ in rows])
    return len(rows)
