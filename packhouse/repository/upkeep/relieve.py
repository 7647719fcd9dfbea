"""Keeping the whole journal within its bound.

A journal is flushed when it is full. Rows of repositories with few writes stay where they are: they are durable. Only
when all journals together are half as large as the bound, the largest and oldest ones are flushed before they are full.
"""

from collections.abc import Callable

from packhouse import limits
from packhouse.db import list_journals, measure_journal
from packhouse.node import Node
from packhouse.repository.upkeep.maintain import flush_repo


def relieve_journal(node: Node, stopping: Callable[[], bool]) -> int:
    """Measure the journal, and flush until it is half as large as its bound; return how many rows were flushed."""
    with node.database.read() as session:
        node.journal.note_total(measure_journal(session).size_bytes)
    flushed = 0
    while node.journal.is_half_full and not stopping():
        with node.database.read() as session:
            page = list_journals(session, rows_min=1, bytes_min=1, limit=limits.journal_relief_page)
        before = flushed
        for journal in page:
            if stopping() or not node.journal.is_half_full:
                return flushed
            done = flush_repo(node, journal.public_id)
            flushed += 0 if done is None else done.rows
        if flushed == before:  # other processes flush them at this moment, or they are damaged
            break
    return flushed
