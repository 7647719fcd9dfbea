"""Removing what a crash left and listing what it forgot to list. Never deletes a pack that git can see."""

from packhouse.db.packs import insert_packs, list_known_pack_names
from packhouse.db.ref_transaction import PackRow
from packhouse.db.repos import find_repo_by_public_id
from packhouse.operations.node import Node


def sweep(node: Node) -> int:
    """Remove the quarantines of processes that are gone; return how many."""
    return node.store.sweep()


def list_stray_packs(node: Node, repo_id: str) -> int:
    """List the packs in place that SQL does not know; return how many.

    They come from a crash between publishing and the ref transaction, or from a lost race. Later writes may
    rely on their objects already, so they are listed, not deleted. What never became a pack is deleted.
    """
    node.store.remove_halves(repo_id, now=node.clock())
    with node.database.read() as session:
        repo = find_repo_by_public_id(session, repo_id)
        if repo is None:
            return 0
        known = list_known_pack_names(session, repo.id)
    strays = [pack for pack in node.store.list_packs(repo_id) if pack.name not in known]
    if strays:
        rows = [PackRow(pack.name, pack.size_bytes, pack.objects) for pack in strays]
        with node.database.write() as session:
            insert_packs(session, repo.id, rows, now=node.clock())
    return len(strays)
