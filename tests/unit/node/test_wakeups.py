"""Background loops learn of what a transaction left them, also when it came before they waited."""

import threading

import pytest

from packhouse.node.wakeups import Wakeups

pytestmark = pytest.mark.quick


def test_a_loop_that_has_seen_the_present_count_waits_for_its_timeout() -> None:
    wakeups = Wakeups()
    assert wakeups.wait(0, 0) == 0
    wakeups.notify()
    assert wakeups.wait(1, 0) == 1


def test_a_notification_before_the_wait_is_not_missed() -> None:
    wakeups = Wakeups()
    wakeups.notify()
    wakeups.notify()
    assert wakeups.wait(0, 60) == 2


def test_every_loop_is_woken() -> None:
    wakeups = Wakeups()
    seen: list[int] = []
    loops = [threading.Thread(target=lambda: seen.append(wakeups.wait(0, 60))) for _ in range(4)]
    for loop in loops:
        loop.start()
    wakeups.notify()
    for loop in loops:
        loop.join(60)
    assert seen == [1, 1, 1, 1]
