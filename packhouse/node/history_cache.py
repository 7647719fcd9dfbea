"""Kept stretches of history, so that the next page does not walk from the tip again."""

import threading
from collections import OrderedDict
from dataclasses import dataclass, field

from packhouse.git.oid import Oid

STRETCH_COMMITS = 500  # ids listed by one walk
CACHE_STRETCHES_MAX = 500

Stretch = tuple[Oid, ...]
"""Ids in the order of `git log`; fewer than STRETCH_COMMITS at the end of history."""


@dataclass(slots=True)
class HistoryCache:
    """Stretches by immutable ids: they never grow stale, only unused."""

    _guard: threading.Lock = field(default_factory=threading.Lock)
    _stretches: OrderedDict[tuple[int, Oid, int], Stretch] = field(default_factory=OrderedDict)

    def get(self, repo_id: int, tip: Oid, number: int) -> Stretch | None:
        """Return the stretch that begins `number` stretches below the tip, or None."""
        with self._guard:
            found = self._stretches.get((repo_id, tip, number))
            if found is not None:
                self._stretches.move_to_end((repo_id, tip, number))
            return found

    def put(self, repo_id: int, tip: Oid, number: int, stretch: Stretch) -> None:
        """Keep a stretch; the least recently used go when there are too many."""
        with self._guard:
            self._stretches[repo_id, tip, number] = stretch
            while len(self._stretches) > CACHE_STRETCHES_MAX:
                self._stretches.popitem(last=False)
