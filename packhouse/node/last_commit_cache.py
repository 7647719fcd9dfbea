"""Kept answers to "which commit last touched this path": single ones, and whole maps."""

import threading
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from packhouse import limits
from packhouse.errors import Unavailable
from packhouse.git.history import CommitSummary
from packhouse.git.oid import Oid
from packhouse.node.file_map import FileMap

CACHE_ENTRIES_MAX = 50_000
COUNTED_COMMITS_MAX = 1000
_RETRY_AFTER_S = 5


@dataclass(frozen=True, slots=True)
class LastCommit:
    """The commit and its committer date, in seconds since 1970."""

    oid: Oid
    committed_at: int


@dataclass(slots=True)
class LastCommitCache:
    """Answers by immutable ids: they never grow stale, only unused."""

    _guard: threading.Lock = field(default_factory=threading.Lock)
    _answers: OrderedDict[tuple[int, Oid, bytes], LastCommit] = field(default_factory=OrderedDict)
    _maps: OrderedDict[tuple[int, Oid], FileMap] = field(default_factory=OrderedDict)
    _map_rows: int = 0
    _walks: OrderedDict[tuple[int, Oid], int] = field(default_factory=OrderedDict)
    _summaries: OrderedDict[tuple[int, Oid], CommitSummary] = field(default_factory=OrderedDict)
    _making: dict[tuple[int, Oid], threading.Lock] = field(default_factory=dict)

    def get(self, repo_id: int, commit: Oid, path: bytes) -> LastCommit | None:
        """Return the kept answer about one path, or None."""
        with self._guard:
            return self._answers.get((repo_id, commit, path))

    def put(self, repo_id: int, commit: Oid, path: bytes, answer: LastCommit) -> None:
        """Keep an answer; the oldest go when there are too many."""
        with self._guard:
            self._answers[repo_id, commit, path] = answer
            while len(self._answers) > CACHE_ENTRIES_MAX:
                self._answers.popitem(last=False)

    def get_map(self, repo_id: int, commit: Oid) -> FileMap | None:
        """Return the kept map of a commit, or None."""
        with self._guard:
            found = self._maps.get((repo_id, commit))
            if found is not None:
                self._maps.move_to_end((repo_id, commit))
            return found

    def put_map(self, repo_id: int, commit: Oid, made: FileMap) -> None:
        """Keep a map; the least recently used go until the rows are few enough, the newest always stays."""
        with self._guard:
            old = self._maps.pop((repo_id, commit), None)
            self._map_rows += len(made.paths) - (0 if old is None else len(old.paths))
            self._maps[repo_id, commit] = made
            while self._map_rows > limits.file_map_rows_max and len(self._maps) > 1:
                _, dropped = self._maps.popitem(last=False)
                self._map_rows -= len(dropped.paths)

    def count_walk(self, repo_id: int, commit: Oid) -> int:
        """Count one walk over history for a single path, seen from `commit`; return how many there were."""
        with self._guard:
            count = self._walks.pop((repo_id, commit), 0) + 1
            self._walks[repo_id, commit] = count
            while len(self._walks) > COUNTED_COMMITS_MAX:
                self._walks.popitem(last=False)
            return count

    def get_summaries(self, repo_id: int, commits: Iterable[Oid]) -> dict[Oid, CommitSummary]:
        """Return the kept summaries among those of `commits`."""
        with self._guard:
            found = ((oid, self._summaries.get((repo_id, oid))) for oid in commits)
            return {oid: summary for oid, summary in found if summary is not None}

    def put_summary(self, repo_id: int, commit: Oid, summary: CommitSummary) -> None:
        """Keep a summary unless it is long; the oldest go when there are too many."""
        if len(summary.author) + len(summary.message) > limits.commit_summary_max_bytes:
            return
        with self._guard:
            self._summaries[repo_id, commit] = summary
            while len(self._summaries) > limits.commit_summaries_max:
                self._summaries.popitem(last=False)

    @contextmanager
    def making(self, repo_id: int, commit: Oid) -> Iterator[None]:
        """Let one thread at a time make the map of a commit; those who waited look for it first.

        Raises Unavailable for those who waited too long: they must not keep all worker threads for minutes.
        """
        with self._guard:
            lock = self._making.setdefault((repo_id, commit), threading.Lock())
        if not lock.acquire(timeout=limits.file_map_wait_max_s):
            raise Unavailable("history is being read", retry_after_s=_RETRY_AFTER_S)
        try:
            yield
        finally:
            lock.release()
            with self._guard:
                self._making.pop((repo_id, commit), None)
