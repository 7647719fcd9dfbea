"""How full the journal is, and what this process has done with it.

The whole journal is measured now and then. Between two measurements a process adds its own rows to what it knows, so
the bound holds to within the writes of other processes in that time.
"""

import threading
from dataclasses import dataclass
from typing import Final

from packhouse.bounded_cache import BoundedCache
from packhouse.db import JournalSize
from packhouse.ids import RepoKey
from packhouse.limits import Limits

_ROOM: Final = 8
"""A repository may have so many times the rows or bytes with which its journal is full, while a flush is under way."""


@dataclass(slots=True)
class JournalCounts:
    """Counts since the start of the process, for metrics."""

    rows_written: int = 0
    bytes_written: int = 0
    writes_without_room: int = 0
    rows_flushed: int = 0
    bytes_flushed: int = 0
    flushes: int = 0


class JournalMeter:
    """The size of the journal as this process knows it. Safe for threads. `size_max_bytes` of 0 turns it off."""

    def __init__(self, limits: Limits, *, size_max_bytes: int) -> None:
        self._limits = limits
        self._size_max_bytes = size_max_bytes
        self._guard = threading.Lock()
        self._total_bytes = 0
        self._full: BoundedCache[RepoKey, JournalSize] = BoundedCache(count_max=limits.pack_names_max)
        self.counts = JournalCounts()

    @property
    def total_bytes(self) -> int:
        """The size of the packs of the whole journal."""
        return self._total_bytes

    @property
    def is_half_full(self) -> bool:
        """Whether journals must be flushed although none of them is full."""
        return self._total_bytes > self._size_max_bytes // 2

    def has_room(self, repo_id: RepoKey) -> bool:
        """Tell whether a small pack may be added to the journal of a repository."""
        if self._total_bytes >= self._size_max_bytes or not self._limits.journal_pack_max_bytes:
            is_room = False
        else:
            size = self._full.peek(repo_id)
            is_room = size is None or not self.is_full(size, times=_ROOM)
        if not is_room:
            self.counts.writes_without_room += 1
        return is_room

    def note_write(self, repo_id: RepoKey, added: JournalSize, *, journal: JournalSize) -> bool:
        """Count new rows. `journal` is the size of the repository's journal with them. Return whether it is full."""
        with self._guard:
            self._total_bytes += added.size_bytes
            self.counts.rows_written += added.rows
            self.counts.bytes_written += added.size_bytes
        is_full = self.is_full(journal)
        if is_full:
            self._full.put(repo_id, journal)
        return is_full

    def note_flush(self, repo_id: RepoKey, flushed: JournalSize) -> None:
        """Count flushed rows."""
        self._full.pop(repo_id)
        with self._guard:
            self._total_bytes = max(0, self._total_bytes - flushed.size_bytes)
            self.counts.rows_flushed += flushed.rows
            self.counts.bytes_flushed += flushed.size_bytes
            self.counts.flushes += 1

    def note_total(self, size_bytes: int) -> None:
        """Take over a measurement of the whole journal."""
        with self._guard:
            self._total_bytes = size_bytes

    def is_full(self, size: JournalSize, *, times: int = 1) -> bool:
        """Tell whether the journal of a repository has so many rows, or so many bytes, that it is flushed."""
        limits = self._limits
        return (
            size.rows >= times * limits.journal_rows_before_flush
            or size.size_bytes >= times * limits.journal_bytes_before_flush
        )
