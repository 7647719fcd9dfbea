"""Readers of events that cannot go on, found for all streams of a process together."""

from collections.abc import Mapping
from dataclasses import dataclass

from packhouse.db import list_repos_with_missed_events
from packhouse.ids import RepoKey
from packhouse.node import Node


@dataclass(frozen=True, slots=True)
class FindMissedEvents:
    """The repositories that have readers, each with the id of the last event that was read of it."""

    positions: Mapping[RepoKey, int]


def find_missed_events(node: Node, command: FindMissedEvents) -> frozenset[RepoKey]:
    """Return the repositories whose readers have missed events: it is gone, or unread events were deleted."""
    with node.database.read() as session:
        return frozenset(list_repos_with_missed_events(session, command.positions))
