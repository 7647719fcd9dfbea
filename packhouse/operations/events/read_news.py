"""New events of many repositories at once, for all streams of a process together."""

from collections.abc import Mapping
from dataclasses import dataclass

from packhouse import limits
from packhouse.db import Event, list_events_after, list_repos_with_news
from packhouse.ids import RepoKey
from packhouse.node import Node


@dataclass(frozen=True, slots=True)
class ReadNews:
    """The repositories that have readers, each with the id of the last event that was read of it."""

    positions: Mapping[RepoKey, int]


@dataclass(frozen=True, slots=True)
class News:
    """The next events of each repository that has some, in order. `has_more` tells that others may wait."""

    events: Mapping[RepoKey, list[Event]]
    has_more: bool


def read_news(node: Node, command: ReadNews) -> News:
    """Return the events behind the positions.

    Reads at most `limits.event_page_max` events of a repository, of at most `event_news_repos_max` repositories.
    """
    positions, repos_max = command.positions, node.limits.event_news_repos_max
    pages = {}
    with node.database.read() as session:
        with_news = list_repos_with_news(session, positions, limit=repos_max)
        for repo_id in with_news:
            pages[repo_id] = list_events_after(
                session, repo_id, positions[repo_id], limit=limits.event_page_max
            )
    has_more = len(with_news) == repos_max or any(
        len(page) == limits.event_page_max for page in pages.values()
    )
    return News(pages, has_more)
