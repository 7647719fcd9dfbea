"""Kept answers to "which commit last touched this path"."""

import threading
from collections import OrderedDict
from dataclasses import dataclass, field

from packhouse.git.oid import Oid

CACHE_ENTRIES_MAX = 50_000


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

    def get(self, repo_id: int, commit: Oid, path: bytes) -> LastCommit | None:
        """Return the kept answer, or None."""
        with self._guard:
            return self._answers.get((repo_id, commit, path))

    def put(self, repo_id: int, commit: Oid, path: bytes, answer: LastCommit) -> None:
        """Keep an answer; the oldest go when there are too many."""
        with self._guard:
            self._answers[repo_id, commit, path] = answer
            while len(self._answers) > CACHE_ENTRIES_MAX:
                self._answers.popitem(last=False)
