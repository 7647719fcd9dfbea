"""Open object readers of the repositories that were read lately, for the next one who reads."""

import fcntl
import os
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from packhouse.git.reader import ObjectReader
from packhouse.storage.reading_lock import hold_again, open_reading_lock

_GENERATIONS_MAX: Final = 10_000


@dataclass(slots=True)
class Pooled:
    """A reader, the lock that is held while it works, and what it was opened for."""

    reader: ObjectReader | None
    lock: int
    midx: tuple[int, int] | None
    generation: int


def _midx_stamp(path: Path) -> tuple[int, int] | None:
    """Identify the multi-pack-index: libgit2 keeps the packs it saw, so a new one asks for a new reader."""
    try:
        status = os.stat(f"{path}/objects/pack/multi-pack-index")
    except FileNotFoundError:
        return None
    return status.st_ino, status.st_mtime_ns


class ReaderPool:
    """Open readers waiting for work, the least recently used closed first."""

    def __init__(self, size_max: int) -> None:
        self._size_max = size_max
        self._guard = threading.Lock()
        self._idle: OrderedDict[Path, list[Pooled]] = OrderedDict()
        self._count = 0
        self._generations: dict[Path, int] = {}

    def take(self, path: Path, before_open: Callable[[], object] | None) -> Pooled:
        """Return a reader of the repository; `before_open` is called when one is opened."""
        with self._guard:
            waiting = self._idle.get(path)
            pooled = waiting.pop() if waiting else None
            if pooled is not None:
                self._count -= 1
        if pooled is not None and not hold_again(path, pooled.lock):
            os.close(pooled.lock)
            pooled = None
        if pooled is None:
            pooled = Pooled(None, open_reading_lock(path), None, 0)
        try:
            self._open(path, pooled, before_open)
        except BaseException:
            os.close(pooled.lock)
            raise
        return pooled

    def _open(self, path: Path, pooled: Pooled, before_open: Callable[[], object] | None) -> None:
        # Under the lock no pack is unlinked, so what the reader opens from here on stays.
        stamp, generation = _midx_stamp(path), self._generations.get(path, 0)
        if pooled.reader is None or (stamp, generation) != (pooled.midx, pooled.generation):
            pooled.reader = None  # first: readers that live at the same time share what they opened
            if before_open is not None:
                before_open()
            pooled.reader, pooled.midx, pooled.generation = ObjectReader(path), stamp, generation

    def give_back(self, path: Path, pooled: Pooled) -> None:
        """Let go of the lock and keep the reader for the next one."""
        fcntl.flock(pooled.lock, fcntl.LOCK_UN)
        with self._guard:
            if pooled.generation != self._generations.get(path, 0):
                pooled.reader = None
            self._idle.setdefault(path, []).append(pooled)
            self._idle.move_to_end(path)
            self._count += 1
            dropped = self._shrink()
        for old in dropped:
            os.close(old.lock)

    def forget(self, path: Path) -> None:
        """Close the idle readers of a repository, and those at work once they are given back."""
        with self._guard:
            if len(self._generations) >= _GENERATIONS_MAX:
                self._generations.clear()
            self._generations[path] = time.monotonic_ns()
            dropped = self._idle.pop(path, [])
            self._count -= len(dropped)
        for old in dropped:
            os.close(old.lock)

    def close(self) -> None:
        """Close every idle reader."""
        for path in list(self._idle):
            self.forget(path)

    def _shrink(self) -> list[Pooled]:
        dropped: list[Pooled] = []
        while self._count > self._size_max:
            path, waiting = next(iter(self._idle.items()))
            if waiting:
                dropped.append(waiting.pop(0))
                self._count -= 1
            if not waiting:
                del self._idle[path]
        return dropped
