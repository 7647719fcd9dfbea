"""Each repository waits at most once, and the queue has a bound."""

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from packhouse.ids import RepoId
from packhouse.node.maintenance_queue import MaintenanceQueue

pytestmark = pytest.mark.quick


def test_repositories_come_once_in_the_order_of_the_requests() -> None:
    waiting = MaintenanceQueue()
    for name in ("repo_a", "repo_b", "repo_a"):
        waiting.put(RepoId(name))
    assert [waiting.get(timeout_s=0), waiting.get(timeout_s=0)] == ["repo_a", "repo_b"]
    assert waiting.get(timeout_s=0) is None


def test_a_repository_that_was_taken_may_be_requested_again() -> None:
    waiting = MaintenanceQueue()
    for _ in range(2):
        waiting.put(RepoId("repo_a"))
        assert waiting.get(timeout_s=0) == "repo_a"


def test_the_waiting_thread_is_woken() -> None:
    waiting = MaintenanceQueue()
    got: list[str | None] = []
    thread = threading.Thread(target=lambda: got.append(waiting.get(timeout_s=60)))
    thread.start()
    waiting.put(RepoId("repo_a"))
    thread.join(60)
    assert got == ["repo_a"]


def test_the_queue_has_a_bound() -> None:
    waiting = MaintenanceQueue()
    for number in range(10_001):
        waiting.put(RepoId(f"repo_{number}"))
    taken = [waiting.get(timeout_s=0) for _ in range(10_000)]
    assert taken[-1] == "repo_9999"
    assert waiting.get(timeout_s=0) is None


def test_every_eighth_pack_of_a_repository_requests_a_check() -> None:
    waiting = MaintenanceQueue()
    looks = [waiting.note_publication(RepoId("repo_a")) for _ in range(17)]
    assert [number for number, look in enumerate(looks, 1) if look] == [8, 16]
    assert not waiting.note_publication(RepoId("repo_b"))


@given(st.lists(st.integers(0, 2), max_size=40))
def test_in_any_order_of_requests_each_repository_waits_at_most_once(wishes: list[int]) -> None:
    waiting = MaintenanceQueue()
    for wish in wishes:
        waiting.put(RepoId(f"repo_{wish}"))
    expected = list(dict.fromkeys(f"repo_{wish}" for wish in wishes))
    assert [waiting.get(timeout_s=0) for _ in expected] == expected
    assert waiting.get(timeout_s=0) is None
