"""The active keys of issuers, kept in memory while the database says that no key has changed."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from packhouse import limits
from packhouse.auth.public_keys import PublicKey
from packhouse.bounded_cache import BoundedCache
from packhouse.limits import DEFAULT_LIMITS


@dataclass(frozen=True, slots=True)
class VerificationKey:
    """A public key that may verify tokens. `kid` is the issuer's own name for it, or ""."""

    key_id: str
    kid: str
    algorithm: str
    public_key: PublicKey


@dataclass(frozen=True, slots=True)
class OrgKeys:
    """An organisation with its active keys, newest first."""

    org_id: int
    org_name: str
    keys: tuple[VerificationKey, ...]
    key_ids: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "key_ids", frozenset(key.key_id for key in self.keys))


LoadKeys = Callable[[str], OrgKeys | None]
"""Reads the active keys of the organisation with that name. Returns None if there is no such organisation."""

LoadVersion = Callable[[], int]
"""Reads the keys version. It grows whenever any process adds or revokes a key."""


class KeyRing:
    """Answers `find(issuer)` from memory, so that a flood of calls or unknown issuers does not reach the database.

    The version is read again when it is older than `limits.keys_version_max_age_s`. A new version makes every entry
    stale at once. An entry has the version under which its reading began. So an entry that was read while a key was
    being revoked is not believed afterwards. Unknown issuers are remembered too. At most `issuers_max` entries are
    kept. Safe to share between threads.
    """

    def __init__(
        self,
        load_keys: LoadKeys,
        load_version: LoadVersion,
        *,
        issuers_max: int = DEFAULT_LIMITS.cached_issuers_max,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._load_keys = load_keys
        self._load_version = load_version
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._version: int | None = None
        self._version_read_at = 0.0
        self._entries = BoundedCache[str, tuple[int, OrgKeys | None]](count_max=issuers_max)

    def find(self, issuer: str) -> OrgKeys | None:
        """Return the issuer's active keys, at most a few seconds old. Return None for an unknown issuer."""
        version = self._current_version()
        entry = self._entries.get(issuer)
        if entry is not None and entry[0] == version:
            return entry[1]
        keys = self._load_keys(issuer)
        self._entries.put(issuer, (version, keys))
        return keys

    def recall(self, issuer: str) -> OrgKeys | None:
        """Return the result of `find` if that needs no query, else None. Never waits."""
        now = self._monotonic()
        with self._lock:
            entry = self._entries.peek(issuer)
            fresh = entry is not None and entry[0] == self._version and self._is_fresh(now)
            return entry[1] if entry is not None and fresh else None

    def _is_fresh(self, now: float) -> bool:
        return self._version is not None and now - self._version_read_at < limits.keys_version_max_age_s

    def _current_version(self) -> int:
        now = self._monotonic()
        with self._lock:
            if self._version is not None and self._is_fresh(now):
                return self._version
        # The age counts from before the reading, so a change stays unseen no longer than the bound.
        version = self._load_version()
        with self._lock:
            if self._version is None or now >= self._version_read_at:
                self._version = version
                self._version_read_at = now
            return self._version
