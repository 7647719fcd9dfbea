"""Reading the events of a repository, which `repository/refs/events.py` writes."""

from dataclasses import dataclass

from packhouse import limits
from packhouse.auth import Principal
from packhouse.db import (
    Event,
    RepoNotFound,
    find_repo,
    get_events_pruned_to,
    get_last_event_id,
    list_events_after,
)
from packhouse.errors import Code, NotFound
from packhouse.ids import RepoKey
from packhouse.node import Node


class EventsForgotten(NotFound):
    """Events behind the one that the reader saw last are no longer kept. Read the state anew, then listen."""

    code = Code.EVENTS_FORGOTTEN
    last_event_id: int


@dataclass(frozen=True, slots=True)
class OpenEvents:
    """The repository, and the id of the last event that the reader has seen (None: only new events count)."""

    repo: str
    after: int | None = None


@dataclass(slots=True)
class EventReader:
    """Reads a repository's events in order. `after` is the id of the last event that was read or skipped.

    `has_missed` tells that events behind `after` were deleted before they were read.
    """

    node: Node
    repo_id: RepoKey
    after: int = 0
    has_missed: bool = False

    def read(self) -> list[Event]:
        """Return the next events, at most `limits.event_page_max`, and advance `after`. Empty when there are none."""
        with self.node.database.read() as session:
            events = list_events_after(session, self.repo_id, self.after, limit=limits.event_page_max)
            # Asked after the events were read: whatever was deleted before that is known now.
            self.has_missed |= self.after < get_events_pruned_to(session, self.repo_id)
        if events:
            self.after = events[-1].id
        return events


def open_events(node: Node, caller: Principal, command: OpenEvents) -> EventReader:
    """Return a reader of the events after `command.after`.

    This works during a first sync, whose end is an event. Raises RepoNotFound. Raises EventsForgotten when events after
    `after` are no longer kept, and for an `after` in the future, which the reader saw before the database was set back.
    """
    with node.database.read() as session:
        repo = find_repo(session, caller.org_id, command.repo)
        if repo is None:
            raise RepoNotFound(command.repo)
        last = get_last_event_id(session, repo.id)
        if command.after is None:
            return EventReader(node, repo.id, last)
        if not get_events_pruned_to(session, repo.id) <= command.after <= last:
            raise EventsForgotten(command.after)
    return EventReader(node, repo.id, command.after)
