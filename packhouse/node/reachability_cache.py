"""The kept sets of reachable commits, one per repository, bounded in all."""

import threading
from collections import OrderedDict
from dataclasses import dataclass, field

from packhouse.git.oid import Oid

SET_COMMITS_MAX = 500_000  # of one repository; a larger one is asked through git each time
CACHE_COMMITS_MAX = 1_000_000  # of all repositories together


@dataclass(frozen=True, slots=True)
class Reachable:
    """What the refs of both namespaces lead to at `refs_version`; `commits` is None for too many."""

    refs_version: int
    refs_state: int
    tips: frozenset[Oid]
    tags: frozenset[Oid]
    commits: frozenset[Oid] | None


@dataclass(slots=True)
class ReachabilityCache:
    """The latest known set of each repository, the least recently used dropped first."""

    _guard: threading.Lock = field(default_factory=threading.Lock)
    _sets: OrderedDict[int, Reachable] = field(default_factory=OrderedDict)

    def get(self, repo_id: int) -> Reachable | None:
        """Return the newest known set, of whatever version."""
        with self._guard:
            found = self._sets.get(repo_id)
            if found is not None:
                self._sets.move_to_end(repo_id)
            return found

    def put(self, repo_id: int, reachable: Reachable) -> None:
        """Keep `reachable`, and drop others until the bound holds."""
        with self._guard:
            self._sets[repo_id] = reachable
            self._sets.move_to_end(repo_id)
            total = sum(len(kept.commits or ()) for kept in self._sets.values())
            while total > CACHE_COMMITS_MAX and len(self._sets) > 1:
                _, dropped = self._sets.popitem(last=False)
                total -= len(dropped.commits or ())
