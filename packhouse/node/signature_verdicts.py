"""Which commits were found signed, remembered for a short while."""

import threading
from collections import OrderedDict
from dataclasses import dataclass, field

from packhouse import limits
from packhouse.git.oid import Oid

KeySet = frozenset[str]
"""The ids of the keys that were believed; an id is never given out twice."""


@dataclass(slots=True)
class SignatureVerdicts:
    """Verdicts of this process by repository, keys and commit, the oldest dropped first.

    One counts for `limits.signature_verdict_max_age_s` only, since keys expire.
    """

    _guard: threading.Lock = field(default_factory=threading.Lock)
    _verdicts: OrderedDict[tuple[int, KeySet, Oid], tuple[float, bool]] = field(default_factory=OrderedDict)

    def get(self, repo_id: int, keys: KeySet, commit: Oid, *, now: float) -> bool | None:
        """Return whether the commit was found signed lately; None when that is not known."""
        with self._guard:
            found = self._verdicts.get((repo_id, keys, commit))
        if found is None or not 0 <= now - found[0] <= limits.signature_verdict_max_age_s:
            return None
        return found[1]

    def put(self, repo_id: int, keys: KeySet, commit: Oid, *, now: float, signed: bool) -> None:
        """Remember a verdict."""
        with self._guard:
            self._verdicts.pop((repo_id, keys, commit), None)
            self._verdicts[repo_id, keys, commit] = now, signed
            while len(self._verdicts) > limits.signature_verdicts_max:
                self._verdicts.popitem(last=False)
