"""Writers of one branch wait in order of arrival. Writers of other branches do not wait for them."""

import asyncio
import gc
import weakref

import pytest

from packhouse.operations.refs.branches import BranchBusy
from packhouse.web.admission.branch_queue import BranchQueue
from tests.support.event_loop import cancelled, in_event_loop, settle

pytestmark = pytest.mark.quick

WAIT_S = 60


class Writers:
    """Writers that hold their branch until the test calls `finish`. `begun` has the admitted ones, in order."""

    def __init__(self, queue: BranchQueue) -> None:
        self._queue = queue
        self._ends: dict[str, asyncio.Future[None]] = {}
        self.tasks: dict[str, asyncio.Task[None]] = {}
        self.begun: list[str] = []

    async def arrive(self, name: str, *, key: object = "main", wait_max_s: float = WAIT_S) -> None:
        """Begin to wait for the branch."""
        self._ends[name] = asyncio.get_running_loop().create_future()
        self.tasks[name] = asyncio.ensure_future(self._write(name, key, wait_max_s))
        await settle()

    async def _write(self, name: str, key: object, wait_max_s: float) -> None:
        async with self._queue.wait(key, branch=str(key), wait_max_s=wait_max_s):
            self.begun.append(name)
            await self._ends[name]

    def let_go(self, name: str) -> None:
        """Let a writer end, with the next step of the loop."""
        self._ends[name].set_result(None)

    async def finish(self, name: str) -> None:
        """Let a writer end, and the next begin."""
        self.let_go(name)
        await self.tasks[name]
        await settle()

    async def fail(self, name: str) -> None:
        """Let a writer end with an error."""
        self._ends[name].set_exception(ConnectionError())
        await asyncio.wait({self.tasks[name]})
        assert isinstance(self.tasks[name].exception(), ConnectionError)
        await settle()


@in_event_loop
async def test_writers_of_a_branch_write_one_after_the_other_in_order_of_arrival() -> None:
    writers = Writers(BranchQueue())
    for name in "abcd":
        await writers.arrive(name)
    for count, name in enumerate("abcd", 1):
        assert writers.begun == list("abcd")[:count]
        await writers.finish(name)


@in_event_loop
async def test_writers_of_other_branches_do_not_wait() -> None:
    writers = Writers(BranchQueue())
    await writers.arrive("a", key=(1, "repo", "", b"refs/heads/main"))
    await writers.arrive("b", key=(1, "repo", "ephemeral", b"refs/heads/main"))
    await writers.arrive("c", key=(1, "other", "", b"refs/heads/main"))
    await writers.arrive("d", key=(1, "repo", "", b"refs/heads/main"))
    assert writers.begun == ["a", "b", "c"]
    for name in "abcd":
        await writers.finish(name)


@in_event_loop
async def test_a_writer_that_waits_too_long_is_refused_with_the_name_of_the_branch() -> None:
    queue = BranchQueue()
    writers = Writers(queue)
    await writers.arrive("a")
    with pytest.raises(BranchBusy) as refusal:
        async with queue.wait("main", branch="main", wait_max_s=0):
            raise AssertionError("two write at once")
    assert refusal.value.fields == {"branch": "main"}
    await writers.arrive("b")
    await writers.finish("a")
    assert writers.begun == ["a", "b"], "the one that was refused holds the branch"
    await writers.finish("b")


@in_event_loop
async def test_a_branch_without_writers_is_free_even_to_one_that_cannot_wait() -> None:
    queue = BranchQueue()
    for _ in range(2):
        async with queue.wait("main", branch="main", wait_max_s=0):
            await asyncio.sleep(0)


@in_event_loop
async def test_a_writer_that_stops_waiting_is_passed_over() -> None:
    writers = Writers(BranchQueue())
    for name in "abc":
        await writers.arrive(name)
    assert await cancelled(writers.tasks["b"])
    await writers.finish("a")
    assert writers.begun == ["a", "c"]
    await writers.finish("c")


@in_event_loop
async def test_a_writer_cancelled_while_it_writes_lets_the_next_begin() -> None:
    writers = Writers(BranchQueue())
    await writers.arrive("a")
    await writers.arrive("b")
    assert await cancelled(writers.tasks["a"])
    await settle()
    assert writers.begun == ["a", "b"]
    await writers.finish("b")


@in_event_loop
async def test_a_writer_that_fails_lets_the_next_begin() -> None:
    writers = Writers(BranchQueue())
    await writers.arrive("a")
    await writers.arrive("b")
    await writers.fail("a")
    assert writers.begun == ["a", "b"]
    await writers.finish("b")


@pytest.mark.parametrize("steps", range(8))
@in_event_loop
async def test_a_writer_cancelled_while_it_is_admitted_lets_the_next_begin(steps: int) -> None:
    """Each run cancels one step of the loop later. One of the steps lies between the release and the task."""
    queue = BranchQueue()
    writers = Writers(queue)
    for name in "abc":
        await writers.arrive(name)
    writers.let_go("a")
    for _ in range(steps):
        await asyncio.sleep(0)
    assert await cancelled(writers.tasks["b"])
    await settle()
    assert writers.begun[-1] == "c"
    await writers.finish("c")
    async with queue.wait("main", branch="main", wait_max_s=0):
        pass


class Key:
    """A key that notes when it is forgotten."""


@in_event_loop
async def test_a_branch_without_writers_is_forgotten() -> None:
    queue = BranchQueue()
    writers = Writers(queue)
    key = Key()
    alive = weakref.ref(key)
    for name in "abc":
        await writers.arrive(name, key=key)
    with pytest.raises(BranchBusy):
        async with queue.wait(key, branch="main", wait_max_s=0):
            raise AssertionError
    assert await cancelled(writers.tasks["b"])
    await writers.finish("a")
    await writers.finish("c")
    del key, writers
    gc.collect()
    assert alive() is None
