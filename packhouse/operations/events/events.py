"""Reading what happened to a repository: the events that `repository/refs/events.py` writes."""

from dataclasses import dataclass

from packhouse import limits
from packhouse.auth.principal import Principal
from packhouse.db.events import Event, get_events_pruned_to, get_last_event_id, list_events_after
from packhouse.db.repos import RepoNotFound, find_repo, find_repo_by_id
from packhouse.error_codes import Code
from packhouse.errors import NotFound
from packhouse.ids import RepoKey
from packhouse.node.node import Node


class EventsForgotten(NotFound):
    """What follows the event that the reader saw last is not known. Read the state anew, then listen."""

    code = Code.EVENTS_FORGOTTEN
    last_event_id: int


@dataclass(frozen=True, slots=True)
class EventPosition:
    """Where a reader of a repository's events stands: after the event of that id."""

    repo_id: RepoKey
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
