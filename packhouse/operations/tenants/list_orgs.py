"""Listing all organisations by name, page by page."""

from dataclasses import dataclass

from packhouse import limits
from packhouse.db import Org
from packhouse.db import orgs as rows
from packhouse.node import Node

__all__ = ["ListOrgs", "Org", "OrgPage", "list_orgs"]


@dataclass(frozen=True, slots=True)
class ListOrgs:
    """The page to read: at most `count_max` organisations after the one named `after` ("": from the first)."""

    after: str = ""
    count_max: int = limits.page_max


@dataclass(frozen=True, slots=True)
class OrgPage:
    """One page, ordered by name."""

    orgs: list[Org]
    has_more: bool


def list_orgs(node: Node, command: ListOrgs) -> OrgPage:
    """Return one page of the organisations of this installation."""
    count_max = command.count_max
    with node.database.read() as session:
        page = rows.list_orgs(session, after=command.after, limit=count_max + 1)
    return OrgPage(page[:count_max], len(page) > count_max)
