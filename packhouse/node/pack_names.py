"""Names that are noted in advance, for the next pack of a repository with frequent writes.

A pack has a row before it has a file, and the row costs a transaction of its own. A repository with a recent write
probably gets another one soon. So the transaction that lists its pack also notes the name of the next pack. The sweeper
removes unused names, like any pack that never became live.
"""

from dataclasses import dataclass

from packhouse.bounded_cache import BoundedCache
from packhouse.ids import RepoKey
from packhouse.limits import Limits

_WARM_S = 600


@dataclass(frozen=True, slots=True)
class _Last:
    """The time of the last write to the repository in this process, and the name that was noted then, if any."""

    at: int
    name: str | None


class PackNames:
    """The names that this process has noted and not used. Safe for threads: each name is given to one thread."""

    def __init__(self, limits: Limits) -> None:
        self._last: BoundedCache[RepoKey, _Last] = BoundedCache(count_max=limits.pack_names_max)
        self._age_max_s = limits.incoming_grace_s // 2

    def take(self, repo_id: RepoKey, *, now: int) -> str | None:
        """Remove the noted name and return it. Return None if there is no fresh one."""
        last = self._last.pop(repo_id)  # remove it, so that no other thread gets the name
        if last is None:
            return None
        self._last.put(repo_id, _Last(last.at, None))
        return last.name if 0 <= now - last.at <= self._age_max_s else None

    def is_warm(self, repo_id: RepoKey, *, now: int) -> bool:
        """Tell whether this process wrote to the repository lately and has no name noted for it."""
        last = self._last.get(repo_id)
        return last is not None and last.name is None and now - last.at <= _WARM_S

    def note(self, repo_id: RepoKey, name: str | None, *, now: int) -> None:
        """Remember a write to the repository, and the name that was noted with it."""
        self._last.put(repo_id, _Last(now, name))
