"""Kept answers to "which commit last touched this path": for single paths, and for all paths of a commit."""

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from packhouse.bounded_cache import BoundedCache
from packhouse.errors import Code, Unavailable
from packhouse.git import Oid
from packhouse.git.objects import CommitSummary
from packhouse.ids import RepoKey
from packhouse.limits import Limits
from packhouse.node.file_map import FileMap

_COUNTED_COMMITS_MAX: Final = 1000
_MAP_OVERHEAD_ROWS: Final = 3
_SUMMARY_OVERHEAD_BYTES: Final = 480
_RETRY_AFTER_S: Final = 5


class HistoryBeingRead(Unavailable):
    """Another thread reads the same history, and takes long. Ask again later."""

    code = Code.HISTORY_BEING_READ
    retry_after_s: int


@dataclass(frozen=True, slots=True)
class LastCommit:
    """The commit and its committer date, in seconds since 1970."""

    oid: Oid
    committed_at: int


@dataclass(slots=True)
class _Making:
    """The map of one commit: one thread makes it, the others wait for the lock."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    threads: int = 0


class LastCommitCache:
    """Answers by immutable ids. They never become stale.

    `answers` are about one path of a commit, `maps` about all paths of a commit. `summaries` describe the commits that
    answers name. Long summaries are not kept.
    """

    def __init__(self, limits: Limits) -> None:
        self.answers = BoundedCache[tuple[RepoKey, Oid, bytes], LastCommit](count_max=limits.last_commits_max)
        self.maps = BoundedCache[tuple[RepoKey, Oid], FileMap](
            weight_max=limits.file_map_rows_max,
            weigh=lambda kept: len(kept.paths),
            overhead=_MAP_OVERHEAD_ROWS,
        )
        self.summaries = BoundedCache[tuple[RepoKey, Oid], CommitSummary](
            weight_max=limits.commit_summaries_max_bytes,
            entry_weight_max=limits.commit_summary_max_bytes + _SUMMARY_OVERHEAD_BYTES,
            weigh=lambda kept: len(kept.author) + len(kept.message),
            overhead=_SUMMARY_OVERHEAD_BYTES,
        )
        self._walks = BoundedCache[tuple[RepoKey, Oid], int](count_max=_COUNTED_COMMITS_MAX)
        self._wait_max_s = limits.file_map_wait_max_s
        self._guard = threading.Lock()
        self._making: dict[tuple[RepoKey, Oid], _Making] = {}

    def get_summaries(self, repo_id: RepoKey, commits: Iterable[Oid]) -> dict[Oid, CommitSummary]:
        """Return those summaries of `commits` that are kept."""
        found = ((oid, self.summaries.get((repo_id, oid))) for oid in commits)
        return {oid: summary for oid, summary in found if summary is not None}

    def count_walk(self, repo_id: RepoKey, commit: Oid) -> int:
        """Count one walk over history for a single path, seen from `commit`. Return the number of walks so far."""
        with self._guard:
            count = (self._walks.peek((repo_id, commit)) or 0) + 1
            self._walks.put((repo_id, commit), count)
            return count

    @contextmanager
    def making(self, repo_id: RepoKey, commit: Oid) -> Iterator[None]:
        """Let one thread at a time make the map of a commit. Threads that waited look for the map first.

        Raises Unavailable in a thread that waited too long, so that waiting cannot hold all worker threads for minutes.
        """
        key = (repo_id, commit)
        with self._guard:
            making = self._making.setdefault(key, _Making())
            making.threads += 1
        try:
            if not making.lock.acquire(timeout=self._wait_max_s):
                raise HistoryBeingRead(_RETRY_AFTER_S)
            try:
                yield
            finally:
                making.lock.release()
        finally:
            with self._guard:
                making.threads -= 1
                if (
                    not making.threads
                ):  # a thread that still waits must share the lock with those that come later
                    del self._making[key]
