"""A pack that this process writes itself, in a folder where only the sweeper of a later process looks.

Commits over HTTP write one pack each: a quarantine of its own for every one would cost more file operations
than the pack. So all new packs of a process share its scratch folder.
"""

import contextlib
import os
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from packhouse.git.packs.writer import FinishedPack, PackWriter, write_idx


class NewPack:
    """Collects objects through `writer`; leaving the `with` block removes what was not published."""

    def __init__(self, scratch: Path) -> None:
        self._path = scratch / f"new-{os.urandom(8).hex()}.pack"
        self._idx = self._path.with_suffix(".idx")
        self._file: BinaryIO = self._path.open("x+b")
        self._here = [self._path]
        self.writer = PackWriter(self._file)

    def __enter__(self) -> "NewPack":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.discard()

    def finish(self) -> tuple[FinishedPack, Path, Path]:
        """Complete pack and idx and return where they are; may be called again. Storing forces them to the disk."""
        info = self.writer.finish()
        os.fchmod(self._file.fileno(), 0o444)
        if self._idx in self._here:
            self._idx.unlink()
        else:
            self._here.append(self._idx)
        write_idx(self._idx, info)
        return info, self._path, self._idx

    def discard(self) -> None:
        """Remove both files unless they were moved away. Harmless when done before."""
        with contextlib.suppress(OSError):  # a full disk: what waited to be written is not wanted any more
            self._file.close()
        while self._here:
            with contextlib.suppress(FileNotFoundError):
                self._here.pop().unlink()
