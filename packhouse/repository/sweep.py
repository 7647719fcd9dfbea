"""Removing what a crash left and listing what it forgot to list. Never deletes a pack that SQL lists or git can see."""

import logging

from packhouse.db.packs import insert_packs, list_known_packs
from packhouse.db.ref_transaction import PackRow
from packhouse.db.repos import Repo, find_repo_by_public_id
from packhouse.node.node import Node
from packhouse.repository.damage import mend
from packhouse.repository.repo_log import log_repo_event


def sweep(node: Node) -> int:
    """Remove the quarantines of processes that are gone; return how many."""
    return node.store.sweep()


def settle_packs(node: Node, repo_id: str) -> bool:
    """Bring the packs in place and the list in SQL together; tell whether something must be looked at again later.

    Packs that SQL does not know come from a crash between publishing and the ref transaction, or from a lost race.
    Later writes may rely on their objects already, so they are listed, not deleted. What never became a pack is
    deleted, an hour later. What a listed pack has lost is made anew, and a listed pack that is lost is told.
    """
    with node.database.read() as session:
        repo = find_repo_by_public_id(session, repo_id)
        if repo is None:
            return False
        known = list_known_packs(session, repo.id)
    names = {pack.name for pack in known}
    _remove_halves(node, repo, names)
    in_place = node.store.list_packs(repo_id)
    lost = {pack.name for pack in known if pack.retired_at is None} - {pack.name for pack in in_place}
    if repo.deleted_at is None and (lost or not node.store.looks_complete(repo_id)):
        mend(node, repo)
    strays = [pack for pack in in_place if pack.name not in names]
    if strays:
        rows = [PackRow(pack.name, pack.size_bytes, pack.objects) for pack in strays]
        with node.database.write() as session:
            insert_packs(session, repo.id, rows, now=node.clock())
        log_repo_event(
            repo,
            "packs listed that a crash or a lost race left",
            packs=[pack.name for pack in strays],
        )
    return not node.store.looks_complete(repo_id)


def _remove_halves(node: Node, repo: Repo, listed: set[str]) -> None:
    removed = node.store.remove_halves(repo.public_id, listed=listed, now=node.clock())
    if removed:
        log_repo_event(
            repo,
            "packs deleted that were never published",
            level=logging.WARNING,
            packs=removed,
        )
