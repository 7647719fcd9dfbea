"""Background loops in threads: a failed loop starts again, and no loop keeps alive a process that must end."""

import threading
import time

import pytest

from packhouse.jobs.background import LOOPS, BackgroundThreads, start_background
from packhouse.node.node import Node

pytestmark = pytest.mark.quick


def threads_named(*names: str) -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name in names]


def test_a_failed_loop_is_logged_and_starts_again(node: Node, caplog: pytest.LogCaptureFixture) -> None:
    again = threading.Event()
    begun = 0

    def fails_once(_node: Node, stopping: threading.Event) -> None:
        nonlocal begun
        begun += 1
        if begun == 1:
            raise RuntimeError("of a kind that nobody has thought of")
        again.set()
        stopping.wait()

    background = BackgroundThreads(node, [fails_once])
    assert again.wait(60)
    background.stop(60)
    assert begun == 2
    (record,) = [record for record in caplog.records if record.message == "background loop failed"]
    assert record.exc_info


def test_one_failing_loop_does_not_stop_the_others(node: Node) -> None:
    rounds = threading.Semaphore(0)

    def fails(_node: Node, _stopping: threading.Event) -> None:
        raise RuntimeError("always")

    def works(_node: Node, stopping: threading.Event) -> None:
        while not stopping.is_set():
            rounds.release()
            stopping.wait(0.01)

    background = BackgroundThreads(node, [fails, works])
    for _ in range(20):
        assert rounds.acquire(timeout=60)
    background.stop(60)


def test_all_loops_get_the_node_and_are_told_to_stop_at_once(node: Node) -> None:
    got: list[Node] = []
    ended = threading.Barrier(4)

    def loop(given: Node, stopping: threading.Event) -> None:
        got.append(given)
        stopping.wait()
        ended.wait(60)  # passes only when all have been told

    background = BackgroundThreads(node, [loop, loop, loop])
    stopper = threading.Thread(target=background.stop, args=(60,))
    stopper.start()
    ended.wait(60)
    stopper.join(60)
    assert len(got) == 3
    assert all(given is node for given in got)


def test_a_loop_that_hangs_does_not_keep_the_process(node: Node) -> None:
    may_end = threading.Event()

    def hangs_here(_node: Node, _stopping: threading.Event) -> None:
        may_end.wait(60)

    background = BackgroundThreads(node, [hangs_here])
    started = time.monotonic()
    background.stop(0.1)
    assert time.monotonic() - started < 30
    (thread,) = threads_named("hangs_here")
    assert thread.daemon, "the interpreter would wait for it"
    may_end.set()
    thread.join(60)


def test_a_process_runs_every_loop_until_it_stops_them(node: Node) -> None:
    names = [loop.__name__ for loop in LOOPS]
    stop = start_background(node)
    assert sorted(thread.name for thread in threads_named(*names)) == sorted(names)
    stop()
    for thread in threads_named(*names):
        thread.join(60)
    assert threads_named(*names) == []
