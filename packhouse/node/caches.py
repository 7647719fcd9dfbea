"""What a node keeps in memory of its repositories, each kind in a cache of its own.

The repository is part of every key: what one repository holds is never an answer about another. All keys but those
of `ReachableCache` are ids of immutable objects, so that entries never grow stale, only unused.
"""

from dataclasses import dataclass
from typing import Final

from packhouse.bounded_cache import BoundedCache
from packhouse.db.packs import PackList
from packhouse.git.objects.tree_table import TreeTable
from packhouse.git.oid import Oid
from packhouse.ids import RepoKey
from packhouse.limits import KIB, Limits

STRETCH_COMMITS: Final = 500
"""How many ids one walk over history lists."""

REACHABLE_COMMITS_MAX: Final = 500_000
"""Commits in the set of one repository; git is asked each time about more."""

_OBJECT_MAX_BYTES: Final = 256 * KIB
_OBJECT_OVERHEAD_BYTES: Final = 200
_TABLE_OVERHEAD_ENTRIES: Final = 4
_TABLE_SHARE_MAX: Final = 4  # a table that would take more than this part of the memory is not kept

Stretch = tuple[Oid, ...]
"""Ids in the order of `git log`; fewer than STRETCH_COMMITS at the end of history."""


@dataclass(frozen=True, slots=True)
class Reachable:
    """What the refs of both namespaces lead to at one version and state; `commits` is None for too many."""

    refs_version: int
    refs_state: int
    tips: frozenset[Oid]
    tags: frozenset[Oid]
    commits: frozenset[Oid] | None


ObjectCache = BoundedCache[tuple[str, Oid], bytes]
"""Contents of commits and small trees, by public repository id and oid. Only what is stored durably is put in."""

StretchCache = BoundedCache[tuple[RepoKey, Oid, int], Stretch]
"""Pieces of history, by repository, tip, and how many pieces there are between the tip and this one."""

PackListCache = BoundedCache[int, PackList]
"""The newest list of live packs that was read of each repository. Who asks compares its version and state."""

ReachableCache = BoundedCache[int, Reachable]
"""The latest known set of each repository, of whatever version."""

TreeTableCache = BoundedCache[tuple[RepoKey, Oid], TreeTable]
"""Trees as tables, by repository and oid. Nobody changes a table that came from here."""


def make_object_cache(limits: Limits) -> ObjectCache:
    """Return a cache that a chain of writes finds its own trees in; it is bounded in bytes."""
    return ObjectCache(
        weight_max=limits.object_cache_max_bytes,
        entry_weight_max=_OBJECT_MAX_BYTES + _OBJECT_OVERHEAD_BYTES,
        weigh=len,
        overhead=_OBJECT_OVERHEAD_BYTES,
    )


def make_stretch_cache(limits: Limits) -> StretchCache:
    """Return a cache that spares the next page of a history the walk from the tip."""
    return StretchCache(count_max=limits.history_stretches_max)


def make_reachable_cache(limits: Limits) -> ReachableCache:
    """Return a cache bounded in commits of all repositories together."""
    return ReachableCache(weight_max=limits.reachable_commits_max, weigh=_count_commits)


def make_pack_list_cache(limits: Limits) -> PackListCache:
    """Return a cache bounded in packs of all repositories together."""
    return PackListCache(
        weight_max=limits.listed_packs_max, weigh=lambda listed: len(listed.packs), overhead=1
    )


def make_tree_table_cache(limits: Limits) -> TreeTableCache:
    """Return a cache bounded in entries of all trees together."""
    entries_max = limits.tree_table_entries_max
    return TreeTableCache(
        weight_max=entries_max,
        entry_weight_max=entries_max // _TABLE_SHARE_MAX + _TABLE_OVERHEAD_ENTRIES,
        weigh=len,
        overhead=_TABLE_OVERHEAD_ENTRIES,
    )


def _count_commits(reachable: Reachable) -> int:
    return len(reachable.commits or ())
