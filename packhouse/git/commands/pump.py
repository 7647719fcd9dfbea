"""Moving bytes between this thread and the three pipes of a program, at once, so that no side waits for the other.

The caller sets the bounds: its `time_left` is called before every wait, and raises to end the work.
"""

import math
import os
import selectors
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from packhouse.errors import Code, TimedOut
from packhouse.git.commands.process import PIPE_BYTES, ChildProcess


class GitTookTooLong(TimedOut):
    """The time for a call of git is over."""

    code = Code.GIT_TOOK_TOO_LONG


class GitSilent(GitTookTooLong):
    """Git wrote nothing for longer than it may be silent, and worked all the while."""


def pump(
    child: ChildProcess, source: Iterable[bytes], time_left: Callable[[], float]
) -> Generator[tuple[IO[bytes], bytes]]:
    """Yield the program's output as (`child.stdout` or `child.stderr`, up to 1 MiB), until it has closed both pipes.

    Meanwhile the program is fed from `source`. The next piece is taken when the one before is written; a program that
    closes its input early gets no more. `time_left` returns the seconds that the next wait may last, and raises to give
    up. Closing the iterator leaves the program running.
    """
    feed = _Feed(child.stdin, iter(source))
    with selectors.DefaultSelector() as selector:
        selector.register(child.stdout, selectors.EVENT_READ)
        selector.register(child.stderr, selectors.EVENT_READ)
        if feed.has_more():
            os.set_blocking(child.stdin.fileno(), False)
            selector.register(child.stdin, selectors.EVENT_WRITE)
        else:
            child.stdin.close()
        while selector.get_map():
            for key, _ in selector.select(time_left()):
                if key.fileobj is child.stdin:
                    if not feed.write():
                        selector.unregister(child.stdin)
                        child.stdin.close()
                    continue
                piece = os.read(key.fd, PIPE_BYTES)
                if not piece:
                    selector.unregister(key.fileobj)
                elif key.fileobj is child.stdout:
                    yield child.stdout, piece
                else:
                    yield child.stderr, piece


@dataclass(slots=True)
class _Feed:
    """The input that the program has not read yet."""

    pipe: IO[bytes]
    source: Iterator[bytes]
    _rest: memoryview = field(default_factory=lambda: memoryview(b""))

    def has_more(self) -> bool:
        """Take the next piece when the last one is written; tell whether any input is left."""
        while not self._rest:
            piece = next(self.source, None)
            if piece is None:
                return False
            self._rest = memoryview(piece)
        return True

    def write(self) -> bool:
        """Write as much as the pipe takes; tell whether any input is left that the program may read."""
        try:
            self._rest = self._rest[os.write(self.pipe.fileno(), self._rest[:PIPE_BYTES]) :]
        except BrokenPipeError:  # the program ended before it read everything; its exit code tells why
            return False
        return self.has_more()


class Deadline:
    """The end of the time for work, `timeout_s` seconds from now."""

    def __init__(self, timeout_s: float) -> None:
        self._at = time.monotonic() + timeout_s

    def time_left(self) -> float:
        """Return the seconds that are left; raise TimedOut when there are none."""
        left = self._at - time.monotonic()
        if left <= 0:
            raise GitTookTooLong()
        return left


class Silence:
    """How long a program has written nothing. Time without a processor, as on a busy machine, does not count."""

    def __init__(self, child: ChildProcess, max_s: float) -> None:
        self._child = child
        self._max_s = max_s
        self.end()

    def end(self) -> None:
        """Start anew: the program has written something."""
        self._since = time.monotonic()
        self._cpu_since_s = 0.0 if self._max_s == math.inf else _cpu_s(self._child.pid)

    def time_left(self) -> float:
        """Return the seconds until the next check; raise GitSilent when the silence is too long."""
        left = self._max_s - (time.monotonic() - self._since)
        if left > 0:
            return left
        left = self._max_s - (_cpu_s(self._child.pid) - self._cpu_since_s)
        if left > 0:
            return left
        raise GitSilent()


def _cpu_s(pid: int) -> float:
    """Return the processor time that a program and its threads have used (proc(5), /proc/pid/stat)."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    except FileNotFoundError:
        return math.inf
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
