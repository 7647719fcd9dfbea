"""What happened to repositories, in order: written by the transaction that did it, read by subscribers."""

from collections.abc import Sequence
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
    """An event of a repository. Ids grow in the order in which things happened to it."""

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
    """Write events of a repository whose row this transaction has locked (a ref transaction, lock_repo())."""
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
    """Hold off other events of the repository until this transaction ends; raise RepoNotFound."""
    if session.run("lock_repo", repo_id=repo_id) == 0:
        raise RepoNotFound(repo_id)


def list_events_after(session: Session, repo_id: RepoKey, after: int, *, limit: int) -> list[Event]:
    """Return the oldest events of a repository with ids larger than `after`."""
    rows = session.all("list_events_after", repo_id=repo_id, after=after, limit=limit)
    return [Event(*row) for row in rows]


def get_last_event_id(session: Session, repo_id: RepoKey) -> int:
    """Return the id of the newest event of a repository that is kept or was; 0 when there was none."""
    row = session.one("get_last_event_id", repo_id=repo_id)
    newest = int(row[0]) if row is not None and row[0] is not None else 0
    return max(newest, get_events_pruned_to(session, repo_id))


def get_events_pruned_to(session: Session, repo_id: RepoKey) -> int:
    """Return the id of the newest event of a repository that is no longer kept; 0 when all are."""
    row = session.one("get_events_pruned_to", repo_id=repo_id)
    return 0 if row is None else int(row[0])


def list_events_to_fan_out(session: Session, *, limit: int) -> list[EventToFanOut]:
    """Return the oldest events that were not handed to the subscriptions yet."""
    return [EventToFanOut(*row) for row in session.all("list_events_to_fan_out", limit=limit)]


def mark_event_fanned_out(session: Session, event_id: int) -> bool:
    """Note that this transaction hands the event out; False when another one has done so."""
    return session.run("mark_event_fanned_out", event_id=event_id) > 0


def prune_events(session: Session, *, before: int, limit: int) -> int:
    """Delete at most `limit` events older than `before` that no delivery needs; return how many."""
    rows = session.all("list_prunable_events", before=before, limit=limit)
    newest: dict[int, int] = {}
    for event_id, repo_id in rows:
        newest[repo_id] = max(event_id, newest.get(repo_id, 0))
    # Repositories in one order: two prunings at once must not wait for each other's rows.
    for repo_id in sorted(newest):
        session.run("note_pruned_events", repo_id=repo_id, event_id=newest[repo_id])
    if rows:
        session.run_many("delete_event", [{"event_id": event_id} for event_id, _ in rows])
    return len(rows)
