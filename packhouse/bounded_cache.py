"""A map that stays within a bound. The least recently used entry is dropped first. Every cache in memory is one."""

import sys
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class BoundedCache(Generic[K, V]):
    """The most recently used entries, bounded in number, in weight or in both. Safe to share between threads.

    An entry weighs `weigh(value)` (1 without `weigh`), plus `overhead` for its key and its place. The weight of a value
    must not change while it is kept. The newest entry always stays, whatever it weighs. An entry above
    `entry_weight_max` is not kept at all. A value must not be None: None is the answer for an absent key.
    """

    def __init__(
        self,
        *,
        count_max: int | None = None,
        weight_max: int | None = None,
        entry_weight_max: int | None = None,
        weigh: Callable[[V], int] | None = None,
        overhead: int = 0,
    ) -> None:
        assert count_max is not None or weight_max is not None, "a cache has a bound"
        self._count_max = sys.maxsize if count_max is None else count_max
        self._weight_max = sys.maxsize if weight_max is None else weight_max
        self._entry_weight_max = sys.maxsize if entry_weight_max is None else entry_weight_max
        self._weigh = weigh
        self._overhead = overhead
        self._guard = threading.Lock()
        self._entries: OrderedDict[K, V] = OrderedDict()
        self._weight = 0

    def __len__(self) -> int:
        """Return the number of entries."""
        return len(self._entries)

    @property
    def weight(self) -> int:
        """The weight of all entries together."""
        return self._weight

    def get(self, key: K) -> V | None:
        """Return the value, or None. This counts as a use of the entry."""
        with self._guard:
            value = self._entries.get(key)
            if value is not None:
                self._entries.move_to_end(key)
            return value

    def peek(self, key: K) -> V | None:
        """Return the same as `get`, without counting a use and without waiting for other threads."""
        return self._entries.get(key)  # one step of the interpreter

    def put(self, key: K, value: V) -> None:
        """Keep the value, in place of the key's old one. Drop other entries until the bound holds."""
        weigh, entries = self._weigh, self._entries
        weight = self._overhead + (1 if weigh is None else weigh(value))
        with self._guard:
            if key in entries:
                if entries[key] is value:
                    entries.move_to_end(key)
                    return
                self._drop(key)
            if weight > self._entry_weight_max:
                return
            entries[key] = value
            total = self._weight + weight
            while (total > self._weight_max or len(entries) > self._count_max) and len(entries) > 1:
                old = entries.popitem(last=False)[1]
                total -= self._overhead + (1 if weigh is None else weigh(old))
            self._weight = total

    def pop(self, key: K) -> V | None:
        """Forget an entry. Return its value, or None."""
        with self._guard:
            return self._drop(key) if key in self._entries else None

    def forget(self, matches: Callable[[K], bool]) -> None:
        """Forget the entries whose keys match. Checks each key while other threads wait."""
        with self._guard:
            for key in [key for key in self._entries if matches(key)]:
                self._drop(key)

    def clear(self) -> None:
        """Forget every entry."""
        with self._guard:
            self._entries.clear()
            self._weight = 0

    def _drop(self, key: K) -> V:
        value = self._entries.pop(key)
        self._weight -= self._overhead + (1 if self._weigh is None else self._weigh(value))
        return value
