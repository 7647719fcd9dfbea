"""What a node keeps of its repositories stays within bounds, each cache within its own."""

import dataclasses

import pytest

from packhouse import limits
from packhouse.db.packs import PackList
from packhouse.git.oid import hash_object
from packhouse.git.packs.pack import Pack
from packhouse.ids import RepoKey
from packhouse.limits import DEFAULT_LIMITS, Limits
from packhouse.node.caches import (
    Reachable,
    make_object_cache,
    make_pack_list_cache,
    make_reachable_cache,
    make_stretch_cache,
    make_tree_table_cache,
)

pytestmark = pytest.mark.quick

REPO = RepoKey(1)
OIDS = [hash_object("blob", b"%d" % number) for number in range(20)]


def with_limits(**changes: int) -> Limits:
    return dataclasses.replace(DEFAULT_LIMITS, **changes)


def test_objects_are_bounded_in_bytes_including_the_overhead_of_an_entry() -> None:
    cache = make_object_cache(with_limits(object_cache_max_bytes=1400))
    for oid in OIDS[:5]:
        cache.put(("repo_a", oid), b"x" * 100)
    assert len(cache) == 3
    assert cache.get(("repo_a", OIDS[4])) == b"x" * 100
    assert cache.get(("repo_a", OIDS[0])) is None


def test_a_large_object_is_not_kept() -> None:
    cache = make_object_cache(DEFAULT_LIMITS)
    cache.put(("repo_a", OIDS[0]), b"x" * 256 * limits.KIB)
    cache.put(("repo_a", OIDS[1]), b"x" * (256 * limits.KIB + 1))
    assert cache.get(("repo_a", OIDS[0])) is not None
    assert cache.get(("repo_a", OIDS[1])) is None


def test_an_entry_of_one_repository_does_not_answer_for_another() -> None:
    cache = make_object_cache(DEFAULT_LIMITS)
    cache.put(("repo_a", OIDS[0]), b"x")
    assert cache.get(("repo_b", OIDS[0])) is None


def test_tables_are_bounded_in_entries_and_a_very_large_one_is_not_kept() -> None:
    cache = make_tree_table_cache(with_limits(tree_table_entries_max=100))
    table = {b"%d" % number: (0o100644, OIDS[0]) for number in range(26)}
    cache.put((REPO, OIDS[0]), table)
    assert cache.get((REPO, OIDS[0])) is None
    del table[b"25"]
    for oid in OIDS[:5]:
        cache.put((REPO, oid), dict(table))
    assert len(cache) == 3


def test_sets_of_reachable_commits_are_bounded_together() -> None:
    cache = make_reachable_cache(with_limits(reachable_commits_max=54))
    for repo in range(4):
        cache.put(repo, Reachable(1, 1, frozenset(), frozenset(), frozenset(OIDS[:10])))
    assert [repo for repo in range(4) if cache.get(repo)] == [1, 2, 3]
    cache.put(9, Reachable(1, 1, frozenset(), frozenset(), None))
    assert len(cache) == 4


def test_lists_of_packs_are_bounded_in_packs() -> None:
    cache = make_pack_list_cache(with_limits(listed_packs_max=12))
    packs = [Pack(oid, 1, 1) for oid in OIDS[:4]]
    for repo in range(3):
        cache.put(repo, PackList(1, 1, 1, is_adopted=True, packs=tuple(packs)))
    assert len(cache) == 2


def test_stretches_of_history_are_bounded_in_number() -> None:
    cache = make_stretch_cache(with_limits(history_stretches_max=2))
    for number in range(3):
        cache.put((REPO, OIDS[0], number), tuple(OIDS))
    assert [number for number in range(3) if cache.get((REPO, OIDS[0], number))] == [1, 2]
