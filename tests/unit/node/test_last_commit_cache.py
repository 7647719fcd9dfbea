"""Kept answers about the last commits of paths, and who makes them."""

import dataclasses
import threading
import time

import pytest

from packhouse.git.objects.history import CommitSummary
from packhouse.git.oid import Oid, hash_object
from packhouse.ids import RepoKey
from packhouse.limits import DEFAULT_LIMITS, Limits
from packhouse.node.last_commit_cache import HistoryBeingRead, LastCommit, LastCommitCache
from tests.support.waiting import wait_until

pytestmark = pytest.mark.quick

REPO = RepoKey(1)
OTHER = RepoKey(2)
OIDS = [hash_object("blob", b"%d" % number) for number in range(20)]


def with_limits(**changes: int) -> Limits:
    return dataclasses.replace(DEFAULT_LIMITS, **changes)


SUMMARY = CommitSummary("Ada", 5, "m")


def test_answers_and_maps_have_separate_bounds() -> None:
    cache = LastCommitCache(with_limits(last_commits_max=2))
    for number in range(3):
        cache.answers.put((REPO, OIDS[0], b"%d" % number), LastCommit(OIDS[1], 7))
    assert cache.answers.get((REPO, OIDS[0], b"0")) is None
    assert cache.answers.get((REPO, OIDS[0], b"2")) == LastCommit(OIDS[1], 7)


def test_known_summaries_are_returned_and_long_ones_are_not_kept() -> None:
    cache = LastCommitCache(with_limits(commit_summary_max_bytes=10))
    cache.summaries.put((REPO, OIDS[0]), SUMMARY)
    cache.summaries.put((REPO, OIDS[1]), SUMMARY._replace(message="m" * 8))
    cache.summaries.put((OTHER, OIDS[2]), SUMMARY)
    assert cache.get_summaries(REPO, OIDS[:3]) == {OIDS[0]: SUMMARY}


def test_walks_are_counted_by_commit_and_repository() -> None:
    cache = LastCommitCache(DEFAULT_LIMITS)
    counts = [cache.count_walk(repo, oid) for repo, oid in [(REPO, OIDS[0])] * 2 + [(OTHER, OIDS[0])]]
    assert counts == [1, 2, 1]


def test_one_thread_at_a_time_makes_the_map_of_a_commit() -> None:
    cache = LastCommitCache(DEFAULT_LIMITS)
    inside = 0
    most = 0

    def make() -> None:
        nonlocal inside, most
        with cache.making(REPO, OIDS[0]):
            inside += 1
            most = max(most, inside)
            time.sleep(0.001)
            inside -= 1

    threads = [threading.Thread(target=make) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1


def test_a_thread_that_comes_late_waits_for_the_one_that_had_waited() -> None:
    cache = LastCommitCache(DEFAULT_LIMITS)
    waits_max_s = 60
    leave = {name: threading.Event() for name in "abc"}
    entered = {name: threading.Event() for name in "abc"}

    def make(name: str) -> None:
        with cache.making(REPO, OIDS[0]):
            entered[name].set()
            assert leave[name].wait(waits_max_s)

    threads = {name: threading.Thread(target=make, args=(name,)) for name in "abc"}
    threads["a"].start()
    assert entered["a"].wait(waits_max_s)
    threads["b"].start()
    wait_until(lambda: cache._making[REPO, OIDS[0]].threads == 2, "a second thread waits")
    leave["a"].set()
    threads["a"].join()
    assert entered["b"].wait(waits_max_s)
    threads["c"].start()
    wait_until(lambda: cache._making[REPO, OIDS[0]].threads == 2, "a second thread waits")
    assert not entered["c"].is_set()
    leave["b"].set()
    leave["c"].set()
    for name in "bc":
        threads[name].join()
    assert entered["c"].is_set()
    assert not cache._making


def test_a_thread_waits_only_for_the_same_commit_and_not_for_ever() -> None:
    cache = LastCommitCache(with_limits(file_map_wait_max_s=0))
    refused: list[object] = []

    def try_to_make(repo: RepoKey, oid: Oid) -> None:
        try:
            with cache.making(repo, oid):
                pass
        except HistoryBeingRead as busy:
            refused.append(busy.retry_after_s)

    with cache.making(REPO, OIDS[0]):
        for repo, oid in ((REPO, OIDS[0]), (REPO, OIDS[1]), (OTHER, OIDS[0])):
            thread = threading.Thread(target=try_to_make, args=(repo, oid))
            thread.start()
            thread.join()
    assert refused == [5]
    with cache.making(REPO, OIDS[0]):
        pass


def test_a_failure_lets_the_next_thread_try() -> None:
    cache = LastCommitCache(DEFAULT_LIMITS)
    with pytest.raises(ZeroDivisionError), cache.making(REPO, OIDS[0]):
        _ = 1 // 0
    with cache.making(REPO, OIDS[0]):
        pass
