"""Which damage this process has reported already, so that it reports each one once."""

import threading
from typing import Final

from packhouse.ids import RepoKey

_NOTED_MAX: Final = 10_000

DamageKey = tuple[RepoKey, str, str]
"""Repository, pack ("" if it is not known) and object ("" if the pack is known)."""


class DamageMemory:
    """The noted damages of a process. Safe for threads."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._noted: set[DamageKey] = set()

    def add(self, key: DamageKey) -> bool:
        """Remember a damage. Return whether it is new."""
        with self._guard:
            if key in self._noted:
                return False
            if len(self._noted) >= _NOTED_MAX:
                self._noted.clear()
            self._noted.add(key)
            return True

    def has(self, key: DamageKey) -> bool:
        """Tell whether the damage was noted lately."""
        with self._guard:
            return key in self._noted

    def clear(self) -> None:
        """Forget everything, so that damage that still exists is reported anew."""
        with self._guard:
            self._noted.clear()
