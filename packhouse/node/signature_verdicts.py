"""Verdicts on the signatures of commits, remembered for a short while."""

from packhouse import limits
from packhouse.bounded_cache import BoundedCache
from packhouse.git import Oid
from packhouse.ids import RepoKey

KeySet = frozenset[str]
"""The ids of the trusted keys. An id is never given out twice."""


class SignatureVerdicts:
    """The verdicts of this process, by repository, keys and commit.

    A verdict is valid only for `limits.signature_verdict_max_age_s`, since keys expire.
    """

    def __init__(self, *, verdicts_max: int) -> None:
        self._verdicts = BoundedCache[tuple[RepoKey, KeySet, Oid], tuple[float, bool]](count_max=verdicts_max)

    def get(self, repo_id: RepoKey, keys: KeySet, commit: Oid, *, now: float) -> bool | None:
        """Return whether the commit was found signed lately; None if there is no verdict."""
        found = self._verdicts.get((repo_id, keys, commit))
        if found is None or not 0 <= now - found[0] <= limits.signature_verdict_max_age_s:
            return None
        return found[1]

    def put(self, repo_id: RepoKey, keys: KeySet, commit: Oid, *, now: float, signed: bool) -> None:
        """Remember a verdict."""
        self._verdicts.put((repo_id, keys, commit), (now, signed))
