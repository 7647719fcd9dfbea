"""Names noted ahead of time for the next pack of a repository that is written to again and again.

A pack has a row before it has a file, which costs a transaction of its own. A repository that was written to a moment
ago is likely to be again: the transaction that lists its pack notes the name of the next one, too. Names that nobody
uses are swept as any pack that never went live.
"""

from dataclasses import dataclass

from packhouse.bounded_cache import BoundedCache
from packhouse.ids import RepoKey
from packhouse.limits import Limits

_WARM_S = 600


@dataclass(frozen=True, slots=True)
class _Last:
    """When the repository was written to here, and the name that was noted then, if one was."""

    at: int
    name: str | None


class PackNames:
    """The names that this process has noted and not used. Safe for threads: a name is given to one of them."""

    def __init__(self, limits: Limits) -> None:
        self._last: BoundedCache[RepoKey, _Last] = BoundedCache(count_max=limits.pack_names_max)
        self._age_max_s = limits.incoming_grace_s // 2

    def take(self, repo_id: RepoKey, *, now: int) -> str | None:
        """Return the noted name, which is gone from here then; None when there is none that is fresh enough."""
        last = self._last.pop(repo_id)  # popped, so that no other thread gets the name
        if last is None:
            return None
        self._last.put(repo_id, _Last(last.at, None))
        return last.name if 0 <= now - last.at <= self._age_max_s else None

    def is_warm(self, repo_id: RepoKey, *, now: int) -> bool:
        """Tell whether the repository was written to here lately, and has no name noted."""
        last = self._last.get(repo_id)
        return last is not None and last.name is None and now - last.at <= _WARM_S

    def note(self, repo_id: RepoKey, name: str | None, *, now: int) -> None:
        """Remember that the repository was written to, and the name that was noted with that."""
        self._last.put(repo_id, _Last(now, name))
