"""Lines to standard error: whole, in order, and without waiting for a reader that stopped."""

import io
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pytest

from packhouse import limits
from packhouse.log_writer import LineWriter

pytestmark = pytest.mark.quick

WAIT_S = 60


@pytest.fixture
def pipe() -> Iterator[tuple[IO[bytes], IO[str]]]:
    reader, writer = os.pipe()
    with open(reader, "rb") as reading, open(writer, "w") as writing:
        yield reading, writing


def write_all(writer: LineWriter, lines: list[bytes]) -> None:
    for line in lines:
        writer.write(line)


def test_lines_are_there_as_soon_as_they_are_written(pipe: tuple[IO[bytes], IO[str]]) -> None:
    reading, writing = pipe
    writer = LineWriter()
    writer.open(writing)
    writer.write(b"one\n")
    writer.write(b"two\n")
    assert os.read(reading.fileno(), 100) == b"one\ntwo\n"


def test_collected_lines_come_together_and_before_the_next_that_is_written(
    pipe: tuple[IO[bytes], IO[str]],
) -> None:
    reading, writing = pipe
    writer = LineWriter()
    writer.open(writing)
    assert [writer.collect(b"%d\n" % number) for number in range(3)] == [True, False, False]
    os.set_blocking(reading.fileno(), False)
    with pytest.raises(BlockingIOError):
        os.read(reading.fileno(), 100)
    writer.write(b"now\n")
    assert os.read(reading.fileno(), 100) == b"0\n1\n2\nnow\n"
    assert writer.collect(b"again\n")
    writer.write_collected()
    assert os.read(reading.fileno(), 100) == b"again\n"
    for _ in range(2 * limits.log_collected_max_bytes // 100):
        writer.collect(b"z" * 99 + b"\n")
    assert (
        len(os.read(reading.fileno(), limits.log_collected_max_bytes)) > limits.log_collected_max_bytes - 200
    )


def test_a_stopped_reader_delays_no_writer_and_gets_every_line_later(
    pipe: tuple[IO[bytes], IO[str]],
) -> None:
    reading, writing = pipe
    writer = LineWriter()
    writer.open(writing)
    lines = [b"%d %s\n" % (number, b"x" * 1000) for number in range(500)]
    done = threading.Thread(target=write_all, args=(writer, lines))
    done.start()
    done.join(WAIT_S)
    assert not done.is_alive()
    assert reading.read(sum(map(len, lines))) == b"".join(lines)
    writer.write(b"after\n")
    assert reading.readline() == b"after\n"


def test_lines_beyond_the_bound_are_counted(pipe: tuple[IO[bytes], IO[str]]) -> None:
    reading, writing = pipe
    writer = LineWriter(waiting_max_bytes=10_000)
    writer.open(writing)
    for _ in range(500):
        writer.write(b"x" * 999 + b"\n")
    kept = 0
    while (line := reading.readline()).startswith(b"x"):
        assert len(line) == 1000
        kept += 1
    assert line == b'{"level":"error","logger":"packhouse","message":"log lines lost","lines":%d}\n' % (
        500 - kept
    )


def test_the_end_of_a_process_waits_for_long_lines(pipe: tuple[IO[bytes], IO[str]]) -> None:
    reading, writing = pipe
    writer = LineWriter()
    writer.open(writing)
    long_line = b"y" * 20_000 + b"\n"
    writer.write(long_line)
    writer.flush()
    assert os.read(reading.fileno(), 30_000) == long_line


def test_writing_after_the_reader_has_gone_does_not_fail(pipe: tuple[IO[bytes], IO[str]]) -> None:
    reading, writing = pipe
    writer = LineWriter()
    writer.open(writing)
    reading.close()
    writer.write(b"to nobody\n")


def test_processes_that_share_a_pipe_write_whole_lines(pipe: tuple[IO[bytes], IO[str]]) -> None:
    reading, writing = pipe
    writer = LineWriter()
    writer.open(writing)
    children = []
    for letter in (b"a", b"b"):
        child = os.fork()
        if not child:
            for _ in range(200):
                writer.write(letter * 2000 + b"\n")
            writer.flush()
            os._exit(0)
        children.append(child)
    lines = {reading.readline() for _ in range(400)}
    for child in children:
        assert os.waitpid(child, 0)[1] == 0
    assert lines == {b"a" * 2000 + b"\n", b"b" * 2000 + b"\n"}


def test_a_stream_without_a_file_is_written_to_itself(tmp_path: Path) -> None:
    writer = LineWriter()
    stream = io.StringIO()
    writer.open(stream)
    writer.write(b"here\n")
    with (tmp_path / "log").open("w") as file:
        writer.open(file)
        writer.write(b"there\n")
    assert stream.getvalue() == "here\n"
    deadline = time.monotonic() + WAIT_S
    while not (tmp_path / "log").read_bytes() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert (tmp_path / "log").read_bytes() == b"there\n"
