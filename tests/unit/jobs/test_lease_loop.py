"""The lease loop: when it extends leases, how it behaves in an outage, and how it ends."""

import logging
import os
import secrets
import threading
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from packhouse.db.session import DatabaseAway
from packhouse.jobs.lease_loop import LeaseLoop, Round, end_threads, make_worker_name
from packhouse.node.node import Node
from tests.support.waiting import wait_until
from tests.unit.jobs.conftest import Clocks

pytestmark = pytest.mark.quick


class ScriptedWork:
    """Leased work that notes the calls of its methods. `answers` are the results of its rounds; then it is idle."""

    outage_message = "scripted work waits for the database"

    def __init__(self, *answers: bool | Exception) -> None:
        self.answers = list(answers)
        self.calls: list[str] = []
        self.fails_extending = False
        self.rounds = threading.Semaphore(0)

    def extend_leases(self) -> None:
        self.calls.append("extend")
        if self.fails_extending:
            raise DatabaseAway("of the test")

    def start_due(self) -> bool:
        self.calls.append("start")
        self.rounds.release()
        answer = self.answers.pop(0) if self.answers else False
        if isinstance(answer, Exception):
            raise answer
        return answer

    def close(self) -> None:
        self.calls.append("close")


class EndsAfterWaits(threading.Event):
    """Becomes set at the wait number `count`. Notes how long each wait was to last."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self.waits: list[float | None] = []
        self._count = count

    def wait(self, timeout: float | None = None) -> bool:
        self.waits.append(timeout)
        if len(self.waits) == self._count:
            self.set()
        return self.is_set()


def make_loop(node: Node, work: ScriptedWork, clocks: Clocks) -> LeaseLoop:
    return LeaseLoop(node, work, threading.Event())


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.message for record in caplog.records if record.levelno >= logging.WARNING]


def test_leases_are_extended_three_times_before_they_would_end(node: Node, clocks: Clocks) -> None:
    work = ScriptedWork()
    loop = make_loop(node, work, clocks)
    extended_at = []
    for second in range(31):
        work.calls.clear()
        loop.run_once()
        if "extend" in work.calls:
            extended_at.append(second)
        clocks.advance(1)
    assert extended_at == [0, 10, 20, 30]


def test_leases_are_extended_before_new_work_is_claimed(node: Node, clocks: Clocks) -> None:
    """Otherwise a process that woke up late could claim its own rows as those of a dead process."""
    work = ScriptedWork()
    make_loop(node, work, clocks).run_once()
    assert work.calls == ["extend", "start"]


def test_a_round_tells_whether_there_was_work(node: Node, clocks: Clocks) -> None:
    work = ScriptedWork(True, False, DatabaseAway("of the test"), True)
    loop = make_loop(node, work, clocks)
    outcomes = [loop.run_once() for _ in range(4)]
    assert outcomes == [Round.WORKED, Round.IDLE, Round.AWAY, Round.WORKED]


def test_an_outage_is_logged_once_and_the_next_one_again(
    node: Node, clocks: Clocks, caplog: pytest.LogCaptureFixture
) -> None:
    away = DatabaseAway("of the test")
    work = ScriptedWork(away, away, away, True, away, away)
    loop = make_loop(node, work, clocks)
    for _ in range(3):
        loop.run_once()
    assert warnings(caplog) == [work.outage_message]
    for _ in range(3):
        loop.run_once()
    assert warnings(caplog) == [work.outage_message] * 2


def test_leases_that_could_not_be_extended_are_extended_by_the_next_round(node: Node, clocks: Clocks) -> None:
    """A wait for another third of the lease would use up the rest of it."""
    work = ScriptedWork()
    work.fails_extending = True
    loop = make_loop(node, work, clocks)
    assert loop.run_once() is Round.AWAY
    assert "start" not in work.calls, "without its leases a process must not claim more"
    work.fails_extending = False
    clocks.advance(1)
    assert loop.run_once() is Round.IDLE
    assert work.calls == ["extend", "extend", "start"]


def test_other_failures_end_the_loop_and_close_the_work(node: Node, clocks: Clocks) -> None:
    work = ScriptedWork(True, RuntimeError("of the test"))
    with pytest.raises(RuntimeError, match="of the test"):
        make_loop(node, work, clocks).run()
    assert work.calls == ["extend", "start", "start", "close"]


def test_a_loop_with_work_goes_on_without_a_wait(node: Node, clocks: Clocks) -> None:
    work = ScriptedWork(*[True] * 50)
    stopping = EndsAfterWaits(1)
    LeaseLoop(node, work, stopping).run()
    assert work.calls.count("start") == 51
    assert len(stopping.waits) == 1


def test_a_loop_that_is_told_to_stop_begins_no_other_round(node: Node, clocks: Clocks) -> None:
    work = ScriptedWork()
    stopping = threading.Event()
    stopping.set()
    LeaseLoop(node, work, stopping).run()
    assert work.calls == ["close"]


def test_a_loop_waits_longer_in_an_outage_than_between_rounds(node: Node, clocks: Clocks) -> None:
    """An idle round is followed by a wait for a wake-up, and then by a moment in which more of them gather."""
    work = ScriptedWork(DatabaseAway("of the test"))
    stopping = EndsAfterWaits(2)
    node.wakeups.notify()
    LeaseLoop(node, work, stopping).run()
    in_outage, idle = stopping.waits
    assert in_outage is not None and idle is not None
    assert in_outage > 10 * idle > 0


def test_a_wake_up_begins_the_next_round_of_an_idle_loop(node: Node, clocks: Clocks) -> None:
    work = ScriptedWork()
    stopping = threading.Event()
    loop = LeaseLoop(node, work, stopping)
    thread = threading.Thread(target=loop.run)
    thread.start()
    try:
        for _ in range(5):
            assert work.rounds.acquire(timeout=60)
            node.wakeups.notify()
    finally:
        stopping.set()
        node.wakeups.notify()
        thread.join(60)
    assert not thread.is_alive()
    assert work.calls[-1] == "close"


def test_running_work_gets_a_moment_to_end_and_waiting_work_never_begins() -> None:
    began, may_end, ran = threading.Event(), threading.Event(), []

    def work() -> None:
        began.set()
        may_end.wait(60)
        ran.append("first")

    threads = ThreadPoolExecutor(1)
    under_way: list[Future[None]] = [threads.submit(work)]
    assert began.wait(60)
    under_way.append(threads.submit(ran.append, "second"))
    end_threads(threads, under_way)
    assert ran == [], "the first was not waited for longer than a moment"
    assert under_way[1].cancelled()
    may_end.set()
    wait_until(lambda: ran == ["first"], "the work under way goes on to its end")


def test_work_that_ends_in_time_is_waited_for() -> None:
    threads = ThreadPoolExecutor(1)
    begun = threading.Event()

    def work() -> str:
        begun.set()
        return "ended"

    future = threads.submit(work)
    assert begun.wait(60)
    end_threads(threads, [future])
    assert future.result(timeout=0) == "ended"


def test_each_worker_has_a_name_of_its_own() -> None:
    names = {make_worker_name(secrets.token_bytes) for _ in range(100)}
    assert len(names) == 100
    assert make_worker_name(lambda count: b"\x0a" * count).endswith(f"-{os.getpid()}-0a0a0a0a")
