"""Removing leftovers of crashes and old packs, and adopting packs of an earlier release."""

from collections.abc import Callable

from packhouse import limits
from packhouse.db import list_repos_to_adopt
from packhouse.errors import Unavailable
from packhouse.log import log_event
from packhouse.node import Node
from packhouse.repository.packs import adopt
from packhouse.repository.stored_packs import sweep_packs


def sweep(node: Node) -> int:
    """Remove leftovers of dead processes and packs that waited for too long; return how many were removed."""
    return node.store.sweep() + sweep_packs(node)


def adopt_all(node: Node, stopping: Callable[[], bool]) -> int:
    """Adopt the packs of an earlier release in repositories that nobody has used yet; return how many repositories.

    The work can be cut short anywhere and called again: each repository is done once.
    """
    last_id, done = 0, 0
    while not stopping():
        with node.database.read() as session:
            page = list_repos_to_adopt(session, after=last_id, limit=limits.adoption_page)
        try:
            adopted = adopt(node, page)
        except (OSError, Unavailable) as error:
            log_event("repositories of an earlier release are taken over later", reason=str(error))
            break
        for public_id, strays in adopted.items():
            log_event("packs listed that an earlier release left", repo_id=public_id, packs=strays)
        done += len(page)
        if len(page) < limits.adoption_page:
            break
        last_id = page[-1][0]
    return done
