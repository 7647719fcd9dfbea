"""Whole lines to standard error, without waiting for who reads it.

A pipe whose reader stopped would otherwise stop the event loop, and with it every request, at the next line.
"""

import collections
import contextlib
import io
import os
import select
import threading
import time
from typing import IO, Final

from packhouse import limits

_ATOMIC_BYTES: Final = select.PIPE_BUF
"""So much is written to a pipe as one piece, whichever processes share it (pipe(7))."""

_LOST: Final = b'{"level":"error","logger":"packhouse","message":"log lines lost","lines":%d}\n'


class LineWriter:
    """Standard error, shared by all threads of a process and safe to inherit through a fork.

    A line is written at once where that does not block. Otherwise it waits for a thread that writes what has come
    together; beyond `limits.log_waiting_max_bytes` lines are lost, and their number is written in their place.
    """

    def __init__(self) -> None:
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

    def open(self, stream: IO[str]) -> None:
        """Write to the file behind `stream` from now on; to `stream` itself where it has none, as in tests."""
        self._stream = stream
        if self._descriptor is not None:
            self._poll.unregister(self._descriptor)
            self._descriptor = None
        with contextlib.suppress(io.UnsupportedOperation, ValueError, AttributeError):
            self._descriptor = stream.fileno()
            self._poll.register(self._descriptor, select.POLLOUT)

    def write(self, line: bytes) -> None:
        """Write a line, which ends with its line feed, now or soon."""
        if self._descriptor is None:
            if self._stream is not None:
                self._stream.write(line.decode("utf-8", "replace"))
            return
        with self._lock:
            if not self._is_draining and len(line) <= _ATOMIC_BYTES and self._poll.poll(0):
                # A place in the pipe is a page, so what is reported as ready takes as much without waiting.
                self._put(line)
                return
            self._keep(line)
            if self._is_draining:
                return
            self._is_draining = True
        threading.Thread(target=self._drain, name="log-writer", daemon=True).start()

    def _put(self, line: bytes) -> None:
        rest = memoryview(line)
        try:
            while rest:
                assert self._descriptor is not None
                rest = rest[os.write(self._descriptor, rest) :]
        except BlockingIOError:  # whoever shares the file has made it so
            time.sleep(0.01)
        except OSError:  # nobody reads any more, or the disk is full: there is no place to tell it
            return

    def _keep(self, line: bytes) -> None:
        if self._waiting_bytes + len(line) > limits.log_waiting_max_bytes:
            self._lost += 1
            return
        self._waiting.append(line)
        self._waiting_bytes += len(line)

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
        """Wait until what waits is written, a little while at most: the process is about to end."""
        deadline = time.monotonic() + limits.log_flush_max_s
        while self._is_draining and time.monotonic() < deadline:
            time.sleep(0.01)
