"""The journal: small packs as rows. The ref transaction that needs a pack inserts its row.

So one commit makes objects and refs durable together. A row stays until a stored pack that holds its objects is live.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Self

from packhouse.db.packs import JournalRow
from packhouse.db.session import Session
from packhouse.errors import Code, Unavailable
from packhouse.git.packs import MemoryPack, Pack
from packhouse.ids import RepoId, RepoKey


@dataclass(frozen=True, slots=True)
class JournalSize:
    """A number of rows, and the size of their packs together."""

    rows: int = 0
    size_bytes: int = 0

    @classmethod
    def of(cls, packs: Iterable[Pack]) -> Self:
        """Return the size of these packs as rows."""
        sizes = [pack.size_bytes for pack in packs]
        return cls(len(sizes), sum(sizes))


@dataclass(frozen=True, slots=True)
class RepoJournal:
    """The size of one repository's journal."""

    repo_id: RepoKey
    public_id: RepoId
    size: JournalSize


class JournalRowsGone(Unavailable):
    """Another process has flushed rows of the journal meanwhile. Nothing was written."""

    code = Code.JOURNAL_ROWS_GONE


def insert_journal_rows(session: Session, repo_id: RepoKey, packs: Sequence[MemoryPack], *, now: int) -> None:
    """Add packs to the journal. Call it in the ref transaction that needs them and that counts them."""
    for held in packs:
        pack = held.pack
        session.run(
            "insert_journal_row",
            repo_id=repo_id,
            name=pack.name,
            size_bytes=pack.size_bytes,
            objects=pack.objects,
            now=now,
            pack=held.data,
        )


def list_journal_packs(
    session: Session, repo_id: RepoKey, *, first: int, last: int
) -> list[tuple[int, str, bytes]]:
    """Return (id, name, pack) of the rows with these ids and all between them. Rows that were flushed are missing."""
    return [
        (row[0], row[1], bytes(row[2]))
        for row in session.all("list_journal_packs", repo_id=repo_id, first=first, last=last)
    ]


def drop_flushed_rows(session: Session, repo_id: RepoKey, rows: Sequence[JournalRow], *, state: int) -> bool:
    """Delete rows whose objects a stored pack holds, which the caller lists in the same transaction.

    Returns False when the repository is gone. Raises JournalRowsGone, which must end the transaction.
    """
    size = JournalSize.of(row.pack for row in rows)
    noted = session.run(
        "note_flushed_rows",
        repo_id=repo_id,
        state=state,
        journal_rows=size.rows,
        journal_bytes=size.size_bytes,
    )
    if noted == 0:
        return False
    deleted = session.run_many(
        "delete_journal_row", [{"repo_id": repo_id, "id": row.id, "name": row.pack.name} for row in rows]
    )
    if deleted != size.rows:
        raise JournalRowsGone()
    return True


def measure_journal(session: Session) -> JournalSize:
    """Return the size of the whole journal. Reads the database index of every row."""
    row = session.one("measure_journal")
    assert row is not None, "an aggregate has one row"
    return JournalSize(int(row[0]), int(row[1]))


def allow_release_without_journal(session: Session, *, release: int, own: int) -> bool:
    """Let an older release open the database if the journal is empty. Return whether it may.

    The next process of this release, whose number is `own`, takes that back when it opens the database.
    """
    return session.run("allow_release_without_journal", release=str(release), own=own) == 1


def list_repos_with_journal(
    session: Session, *, rows_min: int, after: int, limit: int
) -> list[tuple[RepoKey, RepoId]]:
    """Return (id, public id) of up to `limit` repositories whose journal has so many rows, in the order of their ids.

    Deleted repositories are among them until they are cleaned up.
    """
    found = session.all("list_repos_with_journal", rows_min=rows_min, after=after, limit=limit)
    return [(RepoKey(row[0]), RepoId(row[1])) for row in found]


def list_journals(session: Session, *, rows_min: int, bytes_min: int, limit: int) -> list[RepoJournal]:
    """Return the journals with so many rows or so many bytes: the largest first, and of equal ones the oldest."""
    found = session.all("list_journals", rows_min=rows_min, bytes_min=bytes_min, limit=limit)
    return [
        RepoJournal(RepoKey(row[0]), RepoId(row[1]), JournalSize(int(row[2]), int(row[3]))) for row in found
    ]
