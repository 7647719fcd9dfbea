"""Data of repositories that a node keeps in memory, each kind in a cache of its own.

The repository is part of every key, so one repository's data never answers for another. All keys except those of
`ReachableCache` contain ids of immutable objects, so entries never become stale.
"""

from dataclasses import dataclass
from typing import Final

from packhouse.bounded_cache import BoundedCache
from packhouse.db import PackList
from packhouse.git import Oid
from packhouse.git.objects import TreeTable
from packhouse.git.packs import MemoryPack
from packhouse.ids import RepoKey
from packhouse.limits import KIB, Limits

STRETCH_COMMITS: Final = 500
"""The number of ids that one walk over history lists."""

REACHABLE_COMMITS_MAX: Final = 500_000
"""The most commits in the set of one repository. For larger repositories git is asked each time."""

_OBJECT_MAX_BYTES: Final = 256 * KIB

# What an entry of a cache takes beside its value, in the unit of the cache. Measured with tracemalloc. With many small
# repositories it is most of the memory.
_OBJECT_OVERHEAD_BYTES: Final = 360
_TABLE_OVERHEAD_ENTRIES: Final = 4
_REACHABLE_OVERHEAD_COMMITS: Final = 6
_PACK_LIST_OVERHEAD_PACKS: Final = 2

_TABLE_SHARE_MAX: Final = 4  # a table that takes more than this part of the memory is not kept

Stretch = tuple[Oid, ...]
"""Ids in the order of `git log`. A stretch at the end of history has fewer than STRETCH_COMMITS."""


@dataclass(frozen=True, slots=True)
class Reachable:
    """The commits that the refs of both namespaces reach at one version and state. `commits` is None if too many."""

    refs_version: int
    refs_state: int
    tips: frozenset[Oid]
    tags: frozenset[Oid]
    commits: frozenset[Oid] | None


ObjectCache = BoundedCache[tuple[str, Oid], bytes]
"""Contents of commits and small trees, by public repository id and oid. Put in only what is stored durably."""

StretchCache = BoundedCache[tuple[RepoKey, Oid, int], Stretch]
"""Stretches of history, by repository, tip, and the number of stretches between the tip and this one."""

PackListCache = BoundedCache[int, PackList]
"""The newest list of live packs that was read of each repository. Readers must compare its version and state."""

JournalPackCache = BoundedCache[str, MemoryPack]
"""Packs of the journal by name. Forks have rows of the same name: these are the same pack."""

ReachableCache = BoundedCache[int, Reachable]
"""The latest known set of each repository, of any version."""

TreeTableCache = BoundedCache[tuple[RepoKey, Oid], TreeTable]
"""Trees as tables, by repository and oid. Do not change a table from this cache."""


def make_object_cache(limits: Limits) -> ObjectCache:
    """Return a cache in which a chain of writes finds its own trees. It is bounded in bytes."""
    return ObjectCache(
        weight_max=limits.object_cache_max_bytes,
        entry_weight_max=_OBJECT_MAX_BYTES + _OBJECT_OVERHEAD_BYTES,
        weigh=len,
        overhead=_OBJECT_OVERHEAD_BYTES,
    )


def make_stretch_cache(limits: Limits) -> StretchCache:
    """Return a cache that saves the next page of a history the walk from the tip."""
    return StretchCache(count_max=limits.history_stretches_max)


def make_reachable_cache(limits: Limits) -> ReachableCache:
    """Return a cache that is bounded in commits of all repositories together."""
    return ReachableCache(
        weight_max=limits.reachable_commits_max, weigh=_count_commits, overhead=_REACHABLE_OVERHEAD_COMMITS
    )


def make_pack_list_cache(limits: Limits) -> PackListCache:
    """Return a cache that is bounded in packs of all repositories together."""
    return PackListCache(
        weight_max=limits.listed_packs_max,
        weigh=lambda listed: len(listed.packs) + len(listed.journal),
        overhead=_PACK_LIST_OVERHEAD_PACKS,
    )


def make_journal_pack_cache(limits: Limits) -> JournalPackCache:
    """Return a cache that is bounded in bytes of memory."""
    return JournalPackCache(
        weight_max=limits.journal_cache_max_bytes, weigh=lambda pack: pack.weight_bytes, overhead=200
    )


def make_tree_table_cache(limits: Limits) -> TreeTableCache:
    """Return a cache that is bounded in entries of all trees together."""
    entries_max = limits.tree_table_entries_max
    return TreeTableCache(
        weight_max=entries_max,
        entry_weight_max=entries_max // _TABLE_SHARE_MAX + _TABLE_OVERHEAD_ENTRIES,
        weigh=len,
        overhead=_TABLE_OVERHEAD_ENTRIES,
    )


def _count_commits(reachable: Reachable) -> int:
    return len(reachable.commits or ())
