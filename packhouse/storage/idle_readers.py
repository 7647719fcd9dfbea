"""Open readers of one folder of packs, kept for later reads."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from packhouse.git.objects import ObjectReader

_IDLE_MAX: Final = 16


class IdleReaders:
    """The readers of a folder that are not in use. Safe for threads."""

    def __init__(self) -> None:
        self._idle: list[ObjectReader] = []
        self._epoch = 0

    @contextlib.contextmanager
    def use(self, object_dir: Path) -> Iterator[ObjectReader]:
        """Give one thread a reader. Opens one of `object_dir`, the folder, if none is idle."""
        epoch = self._epoch
        try:
            reader = self._idle.pop()
        except IndexError:
            reader = ObjectReader(object_dir)
        yield reader
        # Do not keep it after any failure: the next read gets a fresh reader.
        if self._epoch == epoch and len(self._idle) < _IDLE_MAX:
            self._idle.append(reader)

    def forget(self) -> None:
        """Let the next reads open the packs anew. Readers in use are not kept."""
        self._epoch += 1
        self._idle.clear()
