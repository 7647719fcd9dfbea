"""Which repositories' packs this process should check soon. Each repository waits at most once."""

import threading
from collections import Counter
from typing import Final

from packhouse.ids import RepoId

REPOS_MAX: Final = 10_000
_PUBLICATIONS_BEFORE_LOOK: Final = 8


class MaintenanceQueue:
    """Requests of this process's writers to its background thread."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._waiting: dict[RepoId, None] = {}
        self._arrived = threading.Condition(self._guard)
        self._published: Counter[RepoId] = Counter()

    def note_publication(self, repo_id: RepoId) -> bool:
        """Count a published pack. Return whether it is time to check the number of the repository's packs.

        Asking the database costs more than counting here. A few packs more or less do not matter.
        """
        with self._guard:
            if len(self._published) > REPOS_MAX:
                self._published.clear()
            self._published[repo_id] += 1
            if self._published[repo_id] < _PUBLICATIONS_BEFORE_LOOK:
                return False
            del self._published[repo_id]
            return True

    def put(self, repo_id: RepoId) -> None:
        """Request a repository. If too many wait, the request is dropped; later writes request it again."""
        with self._guard:
            if len(self._waiting) < REPOS_MAX and repo_id not in self._waiting:
                self._waiting[repo_id] = None
                self._arrived.notify()

    def get(self, *, timeout_s: float) -> RepoId | None:
        """Return the repository that has waited longest; None if none comes within `timeout_s` seconds."""
        with self._guard:
            if not self._arrived.wait_for(lambda: self._waiting, timeout_s):
                return None
            repo_id = next(iter(self._waiting))
            del self._waiting[repo_id]
            return repo_id
