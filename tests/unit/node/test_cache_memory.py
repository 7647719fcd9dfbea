"""The memory of the caches at their bounds, when they hold many small repositories (docs/operating/memory.md)."""

import tracemalloc
from collections.abc import Callable
from typing import Any, Final

import pytest

from packhouse.bounded_cache import BoundedCache
from packhouse.db.packs import PackList
from packhouse.git.objects.history import CommitSummary
from packhouse.git.oid import Oid, hash_object
from packhouse.git.packs.pack import Pack
from packhouse.ids import RepoKey
from packhouse.limits import DEFAULT_LIMITS, MIB
from packhouse.node.caches import (
    Reachable,
    make_object_cache,
    make_pack_list_cache,
    make_reachable_cache,
    make_tree_table_cache,
)
from packhouse.node.file_map import make_map
from packhouse.node.last_commit_cache import LastCommit, LastCommitCache
from packhouse.node.pack_names import PackNames

pytestmark = pytest.mark.quick

ENTRIES: Final = 1000
LARGE: Final = 1000  # above the integers that Python shares
MESSAGE: Final = "Change one file"

Fill = Callable[[], BoundedCache[Any, Any]]


def oid(number: int, kind: str = "blob") -> Oid:
    return hash_object(kind, b"%d" % number)


def fill_objects() -> BoundedCache[Any, Any]:
    cache = make_object_cache(DEFAULT_LIMITS)
    for number in range(ENTRIES):
        cache.put((f"repo_{number:024}", oid(number)), b"%0250d" % number)
    return cache


def fill_reachable() -> BoundedCache[Any, Any]:
    cache = make_reachable_cache(DEFAULT_LIMITS)
    for number in range(ENTRIES):
        commits = frozenset((oid(number), oid(number, "commit")))
        version = LARGE + number
        cache.put(version, Reachable(version, version, frozenset([oid(number)]), frozenset(), commits))
    return cache


def fill_pack_lists() -> BoundedCache[Any, Any]:
    cache = make_pack_list_cache(DEFAULT_LIMITS)
    for number in range(ENTRIES):
        packs = tuple(Pack(oid(number, kind), LARGE + number, LARGE) for kind in ("blob", "commit"))
        version = LARGE + number
        cache.put(version, PackList(version, 10**15 + number, version, is_adopted=True, packs=packs))
    return cache


def fill_tables() -> BoundedCache[Any, Any]:
    cache = make_tree_table_cache(DEFAULT_LIMITS)
    for number in range(ENTRIES):
        table = {
            b"file%d-%d.txt" % (n, number): (33188, oid(number, kind))
            for n, kind in ((1, "blob"), (2, "tag"))
        }
        cache.put((RepoKey(LARGE + number), oid(number)), table)
    return cache


def fill_last_commits() -> BoundedCache[Any, Any]:
    cache = LastCommitCache(DEFAULT_LIMITS).answers
    for number in range(ENTRIES):
        found = LastCommit(oid(number, "commit"), 1_700_000_000 + number)
        cache.put((RepoKey(LARGE + number), oid(number), b"file%d.txt" % number), found)
    return cache


def fill_summaries() -> BoundedCache[Any, Any]:
    cache = LastCommitCache(DEFAULT_LIMITS).summaries
    for number in range(ENTRIES):
        summary = CommitSummary(f"Ada {number}", 1_700_000_000 + number, f"{MESSAGE} {number}")
        cache.put((RepoKey(LARGE + number), oid(number)), summary)
    return cache


def fill_maps() -> BoundedCache[Any, Any]:
    cache = LastCommitCache(DEFAULT_LIMITS).maps
    for number in range(ENTRIES):
        paths = [b"file%d-%d.txt" % (n, number) for n in range(2)]
        commits = dict.fromkeys(paths, oid(number, "commit"))
        mapped = make_map([(b"100644", b"1536", path) for path in paths], commits)
        cache.put((RepoKey(LARGE + number), oid(number)), mapped)
    return cache


def fill_pack_names() -> BoundedCache[Any, Any]:
    names = PackNames(DEFAULT_LIMITS)
    for number in range(ENTRIES):
        names.note(RepoKey(LARGE + number), oid(number), now=1_700_000_000 + number)
    return names._last


@pytest.mark.parametrize(
    ("fill", "at_most_mib"),
    [
        (fill_objects, 8),
        (fill_pack_names, 2),
        (fill_pack_lists, 12),
        (fill_tables, 24),
        (fill_last_commits, 12),
        (fill_summaries, 9),
        (fill_maps, 96),
        (fill_reachable, 160),
    ],
)
def test_a_cache_of_small_repositories_takes_no_more_than_its_page_says(fill: Fill, at_most_mib: int) -> None:
    fill()  # what is loaded or made once does not count
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        cache = fill()
        taken = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert len(cache) == ENTRIES
    of_its_bound = max(ENTRIES / cache._count_max, cache.weight / cache._weight_max)
    assert taken / of_its_bound < 1.1 * at_most_mib * MIB, f"{taken / of_its_bound / MIB:.0f} MiB"
