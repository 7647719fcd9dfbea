"""Noted damage: it is reported, looked for at start, and deleted from the notes once it is mended."""

import logging
from collections.abc import Callable

from packhouse import limits
from packhouse.db import (
    DamageRow,
    Repo,
    count_damaged_repos,
    delete_damage,
    find_repo_by_public_id,
    list_damage,
    list_damage_of_repo,
    list_damaged_repo_ids,
    list_refs,
    list_repos_with_packs,
)
from packhouse.errors import PackhouseError
from packhouse.git import Oid
from packhouse.git.commands.rev_list import Revisions
from packhouse.git.packs import Pack
from packhouse.log import log_event
from packhouse.node import Node
from packhouse.repository.damage import list_listed_packs, mend
from packhouse.repository.journal import read_journal
from packhouse.repository.repo_log import log_repo_event
from packhouse.repository.view import RepoView


def read_damage(node: Node) -> tuple[int, list[DamageRow]]:
    """Return how many repositories are damaged, and the noted damages, at most `limits.damage_listed_max`."""
    with node.database.read() as session:
        return count_damaged_repos(session), list_damage(session, limit=limits.damage_listed_max)


def count_damaged(node: Node) -> int:
    """Return how many repositories are damaged."""
    with node.database.read() as session:
        return count_damaged_repos(session)


def find_lost_packs(node: Node, stopping: Callable[[], bool]) -> int:
    """Note the repositories that have a missing or truncated listed pack; return how many there are.

    Each is logged in a line. Beyond a hundred, as when a disk is not mounted, the others are logged in one line.
    """
    lost, last_id = 0, 0
    while not stopping():
        with node.database.read() as session:
            page = list_repos_with_packs(session, after=last_id, limit=limits.lost_folders_page)
        if not page:
            break
        last_id = page[-1][0]
        for _, public_id in page:
            with node.database.read() as session:
                repo = find_repo_by_public_id(session, public_id)
            if repo is None or not node.store.missing(public_id, list_listed_packs(node, repo)):
                continue
            lost += 1
            if lost <= limits.lost_folders_logged_max:
                mend(node, repo)
    if lost > limits.lost_folders_logged_max:
        log_event("packs of repositories are missing", level=logging.ERROR, repositories=lost)
    return lost


def recheck_damage(node: Node) -> int:
    """Delete the notes of damage that an operator has mended; return how many notes that were."""
    node.damage.clear()
    with node.database.read() as session:
        public_ids = list_damaged_repo_ids(session, limit=limits.damage_listed_max)
    return sum(_recheck_repo(node, public_id) for public_id in public_ids)


def _recheck_repo(node: Node, public_id: str) -> int:
    with node.database.read() as session:
        repo = find_repo_by_public_id(session, public_id)
        noted = [] if repo is None else list_damage_of_repo(session, repo.id)
    if repo is None:
        return 0
    faulty = {fault.pack for fault in mend(node, repo).faults}
    listed = {pack.name: pack for pack in list_listed_packs(node, repo)}
    mended = [
        (pack, oid)
        for pack, oid in noted
        if not (pack and pack in faulty) and _is_mended(node, repo, listed, pack, oid)
    ]
    unheld = [(pack, oid) for pack, oid in noted if oid and (pack, oid) not in mended]
    if unheld and _is_complete(node, repo):
        mended += unheld
    if mended:
        with node.database.write() as session:
            for pack, oid in mended:
                delete_damage(session, repo.id, pack=pack, oid=oid)
        log_repo_event(
            repo,
            "damage is mended",
            level=logging.WARNING,
            packs=[pack for pack, _ in mended if pack],
            objects=[oid for _, oid in mended if oid],
        )
    return len(mended)


def _is_mended(node: Node, repo: Repo, listed: dict[str, Pack], pack: str, oid: str) -> bool:
    if not pack and not oid:
        return not node.store.missing(repo.public_id, list(listed.values()))
    if pack:
        return pack not in listed or node.store.find_content_fault(repo.public_id, listed[pack]) is None
    held = read_journal(node, repo)
    if any(Oid(oid) in journaled for journaled in held.packs):
        return True
    holders = node.store.find_holders(repo.public_id, list(listed.values()), Oid(oid))
    return any(node.store.find_content_fault(repo.public_id, holder) is None for holder in holders)


def _is_complete(node: Node, repo: Repo) -> bool:
    """Tell whether every object that a ref leads to is there. Then other missing objects are not needed any more.

    For example the branch that led to an object was deleted, or a failover of the database has undone the object's
    write.
    """
    with node.database.read() as session:
        values = sorted({ref.oid for ref in list_refs(session, repo.id)})
    if not values:
        return True
    try:
        with RepoView(node, repo) as view:
            return not view.git.lacks_objects(Revisions(values))
    except PackhouseError:  # mostly damage that stops git's walk
        return False
