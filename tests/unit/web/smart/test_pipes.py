"""Pipes of a real child on the event loop: whole data, ends, silence, and cancellation."""

import asyncio
import os
import subprocess
from collections.abc import Iterator
from random import Random
from typing import IO

import pytest

from packhouse import limits
from packhouse.errors import TimedOut
from packhouse.web.smart.pipes import PipeReader, PipeWriter, end_tasks
from tests.support.event_loop import cancelled, in_event_loop, let_pass, settle

pytestmark = pytest.mark.quick

NOISE = Random(5).randbytes(5_000_000)


class Child:
    """A shell command with three pipes."""

    def __init__(self, command: str) -> None:
        self._process = subprocess.Popen(
            ["/bin/sh", "-c", command],
            bufsize=0,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert self._process.stdin and self._process.stdout and self._process.stderr
        self.stdin: IO[bytes] = self._process.stdin
        self.stdout: IO[bytes] = self._process.stdout
        self.stderr: IO[bytes] = self._process.stderr

    def close(self) -> None:
        """End the command."""
        self._process.kill()
        self._process.wait()
        for pipe in (self.stdin, self.stdout, self.stderr):
            pipe.close()


@pytest.fixture
def cat() -> Iterator[Child]:
    """A child that writes its input back."""
    child = Child("exec cat")
    yield child
    child.close()


@pytest.fixture
def silent() -> Iterator[Child]:
    """A child that neither reads nor writes."""
    child = Child("exec sleep 600")
    yield child
    child.close()


async def read_all(reader: PipeReader) -> bytes:
    """Read to the end, piece by piece."""
    pieces = []
    while piece := await reader.read():
        pieces.append(piece)
    return b"".join(pieces)


@in_event_loop
async def test_everything_arrives_in_order_while_both_ends_work(cat: Child) -> None:
    writer = PipeWriter(cat.stdin)
    reading = asyncio.ensure_future(read_all(PipeReader(cat.stdout)))
    for at in range(0, len(NOISE), 700_001):
        await writer.write(NOISE[at : at + 700_001])
    writer.close()
    assert await reading == NOISE


@in_event_loop
async def test_arrived_bytes_are_returned_without_waiting_for_more(cat: Child) -> None:
    writer, reader = PipeWriter(cat.stdin), PipeReader(cat.stdout)
    for text in (b"one", b"two"):
        await writer.write(text)
        assert await reader.read() == text
    writer.close()
    assert await reader.read() == b""
    assert await reader.read() == b""


@in_event_loop
async def test_a_piece_is_bounded(cat: Child) -> None:
    writer, reader = PipeWriter(cat.stdin), PipeReader(cat.stdout)
    feeding = asyncio.ensure_future(writer.write(NOISE))
    sizes: list[int] = []
    while sum(sizes) < len(NOISE):
        sizes.append(len(await reader.read()))
    await feeding
    assert 0 < max(sizes) <= 256 * limits.KIB


@in_event_loop
async def test_a_child_that_writes_nothing_is_given_up_after_the_time_for_it(silent: Child) -> None:
    reading = asyncio.ensure_future(PipeReader(silent.stdout).read(timeout_s=300))
    await settle()
    await let_pass(299)
    assert not reading.done()
    await let_pass(2)
    with pytest.raises(TimedOut):
        await reading


@in_event_loop
async def test_each_piece_begins_the_time_anew(cat: Child) -> None:
    writer, reader = PipeWriter(cat.stdin), PipeReader(cat.stdout)
    for _ in range(5):
        reading = asyncio.ensure_future(reader.read(timeout_s=300))
        await settle()
        await let_pass(200)
        await writer.write(b"alive")
        assert await reading == b"alive"


@in_event_loop
async def test_a_child_that_reads_nothing_is_given_up(silent: Child) -> None:
    writing = asyncio.ensure_future(PipeWriter(silent.stdin).write(NOISE))
    await settle()
    await let_pass(limits.git_stall_max_s - 1)
    assert not writing.done()
    await let_pass(2)
    with pytest.raises(TimedOut):
        await writing


@in_event_loop
async def test_data_for_a_child_that_has_closed_its_end_is_dropped() -> None:
    child = Child("exec <&-; exec sleep 600")
    writer = PipeWriter(child.stdin)
    for _ in range(3):
        await writer.write(NOISE)
    writer.close()
    child.close()


@in_event_loop
async def test_a_child_that_reads_a_part_and_ends_does_not_stop_its_writer() -> None:
    child = Child("head -c 100000")
    reading = asyncio.ensure_future(read_all(PipeReader(child.stdout)))
    writer = PipeWriter(child.stdin)
    await writer.write(NOISE)
    await writer.write(NOISE)
    writer.close()
    assert await reading == NOISE[:100_000]
    child.close()


@pytest.mark.parametrize("keep_max_bytes", [0, 1, 1000, 10_000_000])
@in_event_loop
async def test_read_to_end_keeps_the_beginning_and_reads_on(cat: Child, keep_max_bytes: int) -> None:
    """A child would stop once the pipe is full of unread output."""
    reading = asyncio.ensure_future(PipeReader(cat.stdout).read_to_end(keep_max_bytes=keep_max_bytes))
    writer = PipeWriter(cat.stdin)
    await writer.write(NOISE)
    writer.close()
    assert await reading == NOISE[:keep_max_bytes]


@in_event_loop
async def test_read_to_end_waits_for_a_silent_child_for_any_time(cat: Child) -> None:
    reading = asyncio.ensure_future(PipeReader(cat.stdout).read_to_end(keep_max_bytes=10))
    await settle()
    for _ in range(3):
        await let_pass(24 * 3600)
    writer = PipeWriter(cat.stdin)
    await writer.write(b"late")
    writer.close()
    assert await reading == b"late"


@in_event_loop
async def test_after_a_cancelled_read_the_loop_does_not_watch_the_pipe(silent: Child) -> None:
    reading = asyncio.ensure_future(PipeReader(silent.stdout).read_to_end(keep_max_bytes=10))
    await settle()
    loop = asyncio.get_running_loop()
    assert await cancelled(reading)
    assert not loop.remove_reader(silent.stdout.fileno()), (
        "the descriptor of a stranger would be watched next"
    )


@in_event_loop
async def test_after_a_cancelled_write_the_loop_does_not_watch_the_pipe(silent: Child) -> None:
    writing = asyncio.ensure_future(PipeWriter(silent.stdin).write(NOISE))
    await settle()
    assert await cancelled(writing)
    assert not asyncio.get_running_loop().remove_writer(silent.stdin.fileno())


@in_event_loop
async def test_a_pipe_that_was_closed_is_not_read(silent: Child) -> None:
    reader = PipeReader(silent.stdout)
    silent.stdout.close()
    with pytest.raises(ValueError, match="closed"):
        await reader.read()


@in_event_loop
async def test_tasks_are_ended_in_every_state() -> None:
    async def fail() -> None:
        raise ConnectionError

    async def clean_up_slowly(done: list[bool]) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            for _ in range(10):
                await asyncio.sleep(0)
            done.append(True)

    done: list[bool] = []
    tasks = [asyncio.ensure_future(fail()), asyncio.ensure_future(clean_up_slowly(done))]
    await settle()
    await end_tasks(None, *tasks)
    assert all(task.done() for task in tasks)
    assert done == [True]


def test_pipes_no_longer_block_the_thread_that_uses_them(silent: Child) -> None:
    PipeReader(silent.stdout)
    PipeWriter(silent.stdin)
    assert not os.get_blocking(silent.stdout.fileno())
    assert not os.get_blocking(silent.stdin.fileno())
