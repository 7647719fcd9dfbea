"""The lists of live packs that this process has read lately, one for each repository."""

from dataclasses import dataclass, field

from packhouse.db.packs import PackList

_REPOS_MAX = 20_000
_PACKS_MAX = 500_000


@dataclass(slots=True)
class PackListCache:
    """The newest list that was read of each repository. What is asked compares its version and state."""

    _lists: dict[int, PackList] = field(default_factory=dict)
    _packs: int = 0

    def get(self, repo_id: int) -> PackList | None:
        """Return the list that was read last, of whatever version."""
        return self._lists.get(repo_id)

    def put(self, repo_id: int, listed: PackList) -> None:
        """Keep a list; when too many are kept, all others go."""
        if len(self._lists) >= _REPOS_MAX or self._packs >= _PACKS_MAX:
            self._lists.clear()
            self._packs = 0
        self._lists[repo_id] = listed
        self._packs += len(listed.packs)
