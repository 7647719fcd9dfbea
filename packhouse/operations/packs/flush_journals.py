"""Flushing the journals of all repositories when an operator asks."""

from dataclasses import dataclass
from typing import Final

from packhouse import RELEASE, limits
from packhouse.db import allow_release_without_journal, list_repos_with_journal
from packhouse.node import Node
from packhouse.repository import flush_repo

_WITHOUT_JOURNAL: Final = 2
"""The last release that does not read the journal."""


@dataclass(frozen=True, slots=True)
class FlushJournals:
    """With `even_short` every journal is flushed. Otherwise only those with as many rows as make a flush due."""

    even_short: bool


@dataclass(frozen=True, slots=True)
class FlushedJournals:
    """How many repositories were flushed, with rows and bytes. `busy` names those that another process maintains.

    `older_release` is a release that may open the database now, since every journal was flushed; None if there is none.
    """

    repos: int
    rows: int
    size_bytes: int
    busy: list[str]
    older_release: int | None = None


def flush_journals(node: Node, command: FlushJournals) -> FlushedJournals:
    """Turn journals into stored packs, one repository after another. Deleted repositories are included.

    Writers may add rows meanwhile. So the journal is empty afterwards only if no server runs.
    """
    rows_min = 1 if command.even_short else node.limits.journal_rows_before_flush
    repos, rows, size_bytes = 0, 0, 0
    busy: list[str] = []
    last_id = 0
    while True:
        with node.database.read() as session:
            page = list_repos_with_journal(
                session, rows_min=rows_min, after=last_id, limit=limits.journal_relief_page
            )
        for repo_id, public_id in page:
            last_id = repo_id
            flushed = flush_repo(node, public_id)
            if flushed is None:
                busy.append(public_id)
            elif flushed.rows:
                repos, rows, size_bytes = repos + 1, rows + flushed.rows, size_bytes + flushed.size_bytes
        if len(page) < limits.journal_relief_page:
            older = _allow_older_release(node) if command.even_short else None
            return FlushedJournals(repos, rows, size_bytes, busy, older)


def _allow_older_release(node: Node) -> int | None:
    with node.database.write() as session:
        is_allowed = allow_release_without_journal(session, release=_WITHOUT_JOURNAL, own=RELEASE)
    return _WITHOUT_JOURNAL if is_allowed else None
