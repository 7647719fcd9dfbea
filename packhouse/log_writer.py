"""Writing whole lines to standard error, without waiting for its reader.

If writing waited, a stopped reader of the pipe would stop the event loop at the next line, and so every request.
"""

import collections
import contextlib
import io
import os
import select
import threading
import time
from collections.abc import Iterator
from typing import IO, Final

from packhouse import limits
from packhouse.limits import DEFAULT_LIMITS

_ATOMIC_BYTES: Final = select.PIPE_BUF
"""A write of at most this size to a pipe stays whole, whichever processes share the pipe (pipe(7))."""

_LOST: Final = b'{"level":"error","logger":"packhouse","message":"log lines lost","lines":%d}\n'


class LineWriter:
    """Standard error, shared by all threads of a process. A fork may inherit it.

    A line is written at once if that does not block. Otherwise it waits for a thread that writes the waiting lines
    together. Beyond `waiting_max_bytes` lines are lost, and their number is written instead.
    """

    def __init__(self, *, waiting_max_bytes: int = DEFAULT_LIMITS.log_waiting_max_bytes) -> None:
        self._waiting_max_bytes = waiting_max_bytes
        self._descriptor: int | None = None
        self._stream: IO[str] | None = None
        self._poll = select.poll()
        self._reset()
        os.register_at_fork(after_in_child=self._reset)

    def _reset(self) -> None:
        self._lock = threading.Lock()
        self._waiting: collections.deque[bytes] = collections.deque()
        self._waiting_bytes = 0
        self._lost = 0
        self._is_draining = False
        self._collected: list[bytes] = []
        self._collected_bytes = 0

    def open(self, stream: IO[str]) -> None:
        """Write to the file behind `stream` from now on; to `stream` itself if it has none, as in tests."""
        self._stream = stream
        if self._descriptor is not None:
            self._poll.unregister(self._descriptor)
            self._descriptor = None
        with contextlib.suppress(io.UnsupportedOperation, ValueError, AttributeError):
            self._descriptor = stream.fileno()
            self._poll.register(self._descriptor, select.POLLOUT)

    def write(self, line: bytes) -> None:
        """Write a line, now or soon, after the collected lines. The line includes its line feed."""
        self.collect(line)
        self.write_collected()

    def collect(self, line: bytes) -> bool:
        """Keep a line until `write_collected` is called. Return whether it is the first: then arrange the call.

        Each write gives other threads the interpreter. Getting it back takes longer than making the line.
        """
        with self._lock:
            self._collected.append(line)
            self._collected_bytes += len(line)
            is_first = len(self._collected) == 1
            is_much = self._collected_bytes > limits.log_collected_max_bytes
        if is_much:
            self.write_collected()
        return is_first

    def write_collected(self) -> None:
        """Write the collected lines: now if that does not block, else soon."""
        with self._lock:
            lines, self._collected, self._collected_bytes = self._collected, [], 0
            if self._descriptor is None:
                self._write_to_stream(lines)
                return
            for piece in _join(lines):
                if not self._is_draining and not self._waiting and self._takes(piece):
                    self._put(piece)
                else:
                    self._keep(piece)
            if not self._waiting or self._is_draining:
                return
            self._is_draining = True
        threading.Thread(target=self._drain, name="log-writer", daemon=True).start()

    def _write_to_stream(self, lines: list[bytes]) -> None:
        if self._stream is not None:
            self._stream.write(b"".join(lines).decode("utf-8", "replace"))

    def _takes(self, piece: bytes) -> bool:
        # A place in the pipe is a page. So a pipe that is reported as ready takes a whole piece without waiting.
        return len(piece) <= _ATOMIC_BYTES and bool(self._poll.poll(0))

    def _put(self, line: bytes) -> None:
        rest = memoryview(line)
        try:
            while rest:
                assert self._descriptor is not None
                rest = rest[os.write(self._descriptor, rest) :]
        except BlockingIOError:  # another process that shares the file has made it non-blocking
            time.sleep(0.01)
        except OSError:  # the reader is gone, or the disk is full: there is no place to report it
            return

    def _keep(self, piece: bytes) -> None:
        if self._waiting_bytes + len(piece) > self._waiting_max_bytes:
            self._lost += piece.count(b"\n")
            return
        self._waiting.append(piece)
        self._waiting_bytes += len(piece)

    def _drain(self) -> None:
        while True:
            with self._lock:
                if self._waiting:
                    line = self._waiting.popleft()
                    self._waiting_bytes -= len(line)
                elif self._lost:
                    line = _LOST % self._lost
                    self._lost = 0
                else:
                    self._is_draining = False
                    return
            self._put(line)

    def flush(self) -> None:
        """Wait until everything is written, but only a little while: the process is about to end."""
        self.write_collected()
        deadline = time.monotonic() + limits.log_flush_max_s
        while self._is_draining and time.monotonic() < deadline:
            time.sleep(0.01)


def _join(lines: list[bytes]) -> Iterator[bytes]:
    """Yield the lines in pieces that are written as one; a longer line is a piece of its own."""
    start, size = 0, 0
    for number, line in enumerate(lines):
        if size and size + len(line) > _ATOMIC_BYTES:
            yield b"".join(lines[start:number])
            start, size = number, 0
        size += len(line)
    if size:
        yield b"".join(lines[start:])
