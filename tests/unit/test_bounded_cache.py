"""The one bounded cache: which entries it keeps, which it drops first, and its use by several threads."""

import random
import threading
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from packhouse.bounded_cache import BoundedCache

pytestmark = pytest.mark.quick

KEYS = st.integers(0, 9)
VALUES = st.binary(max_size=12)


def test_the_least_recently_used_entry_goes_first() -> None:
    cache = BoundedCache[str, str](count_max=2)
    cache.put("a", "1")
    cache.put("b", "2")
    assert cache.get("a") == "1"
    cache.put("c", "3")
    assert [cache.peek(key) for key in "abc"] == ["1", None, "3"]


def test_a_value_put_again_counts_as_used() -> None:
    cache = BoundedCache[str, str](count_max=2)
    for key in "ab":
        cache.put(key, "same")
    cache.put("a", "same")
    cache.put("c", "same")
    assert cache.peek("a") == "same"
    assert cache.peek("b") is None


def test_a_peek_does_not_count_as_a_use() -> None:
    cache = BoundedCache[str, str](count_max=2)
    cache.put("a", "1")
    cache.put("b", "2")
    assert cache.peek("a") == "1"
    cache.put("c", "3")
    assert cache.peek("a") is None


def test_the_weight_of_all_entries_stays_within_the_bound() -> None:
    cache = BoundedCache[int, bytes](weight_max=100, weigh=len, overhead=10)
    for number in range(20):
        cache.put(number, b"x" * 15)
    assert len(cache) == 4
    assert cache.weight == 100
    cache.put(19, b"x" * 80)
    assert len(cache) == 1


def test_the_newest_entry_stays_however_much_it_weighs() -> None:
    cache = BoundedCache[str, bytes](weight_max=10, weigh=len)
    cache.put("small", b"x")
    cache.put("huge", b"x" * 1000)
    assert cache.get("small") is None
    assert cache.get("huge") == b"x" * 1000
    cache.put("small", b"x")
    assert cache.get("huge") is None


def test_an_entry_above_its_own_bound_is_not_kept_and_nothing_goes_for_it() -> None:
    cache = BoundedCache[str, bytes](weight_max=100, entry_weight_max=20, weigh=len)
    cache.put("a", b"x" * 20)
    cache.put("b", b"x" * 21)
    assert (cache.peek("a"), cache.peek("b")) == (b"x" * 20, None)


def test_an_entry_replaced_by_one_above_its_own_bound_is_forgotten() -> None:
    cache = BoundedCache[str, bytes](weight_max=100, entry_weight_max=20, weigh=len)
    cache.put("a", b"old")
    cache.put("a", b"x" * 21)
    assert cache.get("a") is None
    assert cache.weight == 0


def test_a_popped_entry_is_returned_once() -> None:
    cache = BoundedCache[str, bytes](weight_max=100, weigh=len)
    cache.put("a", b"12345")
    assert cache.pop("a") == b"12345"
    assert cache.pop("a") is None
    assert (len(cache), cache.weight) == (0, 0)


def test_entries_are_forgotten_by_what_their_keys_say() -> None:
    cache = BoundedCache[str, bytes](weight_max=100, weigh=len)
    for key in ("x/1", "x/2", "y/1"):
        cache.put(key, b"12345")
    cache.forget(lambda key: key.startswith("x/"))
    assert (len(cache), cache.weight) == (1, 5)
    assert cache.get("y/1") == b"12345"


def test_a_cache_without_any_bound_is_a_mistake() -> None:
    with pytest.raises(AssertionError, match="bound"):
        BoundedCache[str, str]()


class _AgreesWithAList(RuleBasedStateMachine):
    """The model is a list of (key, value). The first entry is the one that was unused for longest."""

    def __init__(self) -> None:
        super().__init__()
        self.cache = BoundedCache[int, bytes](
            count_max=5, weight_max=40, entry_weight_max=14, weigh=len, overhead=3
        )
        self.model: list[tuple[int, bytes]] = []

    def _take(self, matches: Callable[[int], bool]) -> list[tuple[int, bytes]]:
        taken = [entry for entry in self.model if matches(entry[0])]
        self.model = [entry for entry in self.model if not matches(entry[0])]
        return taken

    def _weight(self) -> int:
        return sum(3 + len(value) for _, value in self.model)

    @rule(key=KEYS, value=VALUES)
    def put(self, key: int, value: bytes) -> None:
        self.cache.put(key, value)
        self._take(lambda other: other == key)
        if 3 + len(value) <= 14:
            self.model.append((key, value))
            while len(self.model) > 5 or self._weight() > 40:
                self.model.pop(0)

    @rule(key=KEYS)
    def get(self, key: int) -> None:
        found = self._take(lambda other: other == key)
        self.model += found
        assert self.cache.get(key) == (found[0][1] if found else None)

    @rule(key=KEYS)
    def pop(self, key: int) -> None:
        found = self._take(lambda other: other == key)
        assert self.cache.pop(key) == (found[0][1] if found else None)

    @rule(remainder=st.integers(0, 2))
    def forget(self, remainder: int) -> None:
        self.cache.forget(lambda key: key % 3 == remainder)
        self._take(lambda key: key % 3 == remainder)

    @rule()
    def clear(self) -> None:
        self.cache.clear()
        self.model = []

    @invariant()
    def same(self) -> None:
        assert {key: self.cache.peek(key) for key in range(10)} == dict.fromkeys(range(10)) | dict(self.model)
        assert (len(self.cache), self.cache.weight) == (len(self.model), self._weight())


TestAgreesWithAList = _AgreesWithAList.TestCase
TestAgreesWithAList.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)


@given(st.lists(st.binary(min_size=1, max_size=30), max_size=60))
def test_the_newest_entry_is_there_and_the_others_are_within_the_bound(values: list[bytes]) -> None:
    cache = BoundedCache[int, bytes](weight_max=20, weigh=len)
    for number, value in enumerate(values):
        cache.put(number, value)
        assert cache.peek(number) == value
        assert cache.weight <= max(20, len(value))


def test_threads_see_only_whole_entries_and_the_weight_stays_right() -> None:
    cache = BoundedCache[int, bytes](count_max=20, weight_max=600, weigh=len)
    wrong: list[object] = []

    def work(seed: int) -> None:
        rng = random.Random(seed)
        try:
            for _ in range(5000):
                key = rng.randrange(40)
                action = rng.randrange(10)
                if action < 4:
                    cache.put(key, bytes([key]) * rng.randint(1, 60))
                elif action < 8:
                    found = cache.get(key) if action % 2 else cache.peek(key)
                    if found is not None and set(found) != {key}:
                        wrong.append((key, found))
                elif action == 8:
                    cache.pop(key)
                else:
                    cache.forget(key.__eq__)
        except Exception as error:  # noqa: BLE001  # the test's own thread reports it
            wrong.append(error)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    kept = [value for key in range(40) if (value := cache.peek(key)) is not None]
    assert not wrong
    assert (len(cache), cache.weight) == (len(kept), sum(map(len, kept)))
    assert len(cache) <= 20 and cache.weight <= 600
