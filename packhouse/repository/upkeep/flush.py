"""Flushing a journal: its packs are joined into one stored pack, which takes the place of their rows.

Order: the joined pack is stored; then one transaction lists it and deletes exactly the rows whose objects it holds.
After a crash before the transaction, the rows are still there, and the sweeper deletes the pack, which is not listed.
Readers that had the list from before find the objects in the pack, or in their own memory.
"""

from collections.abc import Sequence

from packhouse.db import JournalRow, JournalSize, drop_flushed_rows, list_packs, make_packs_live
from packhouse.git.packs import MemoryPack, join_packs
from packhouse.node import Node
from packhouse.repository.damage import note_mended
from packhouse.repository.journal import hold_journal
from packhouse.repository.upkeep.lease import Lease
from packhouse.repository.view import RepoView
from packhouse.repository.write import Write
from packhouse.storage import Mended


def flush_journal(node: Node, lease: Lease, *, only_full: bool = False) -> JournalSize:
    """Replace the rows of a repository's journal by one stored pack; with `only_full`, only when the journal is full.

    Returns the size of the rows that are replaced.
    A damaged row stays, and so do rows that come meanwhile. Repositories that were deleted and can be brought back are
    flushed, too. Raises LeaseLost, JournalRowsGone and, when the store takes no pack, OSError.
    """
    repo = lease.repo
    with node.database.read() as session:
        listed = list_packs(session, repo.id, even_deleted=True)
    if listed is None or not listed.journal:
        return JournalSize()
    if only_full and not node.journal.is_full(JournalSize.of(row.pack for row in listed.journal)):
        return JournalSize()
    held = hold_journal(node, repo, listed)
    if held.faults:
        note_mended(node, repo, Mended([], list(held.faults)))
    kept = {pack.pack.name for pack in held.packs}
    rows = [row for row in held.listed.journal if row.pack.name in kept]
    if not rows or not _replace_rows(node, lease, rows, held.packs):
        return JournalSize()
    flushed = JournalSize.of(row.pack for row in rows)
    node.journal.note_flush(repo.id, flushed)
    return flushed


def _replace_rows(node: Node, lease: Lease, rows: Sequence[JournalRow], packs: Sequence[MemoryPack]) -> bool:
    """Store the packs of the rows as one, and list it in their place. Return False if the repository is gone."""
    repo = lease.repo
    with RepoView(node, repo) as view, Write(view) as write:
        join_packs(packs, write.writer)
        published = write.publish(may_journal=False)
        now, state = node.clock(), node.new_state()
        with node.database.write() as session:
            lease.check(session)
            is_listed = drop_flushed_rows(session, repo.id, rows, state=state)
            if is_listed:
                make_packs_live(session, repo.id, published.packs, now=now)
        if is_listed:
            write.keep_published()
    return is_listed
