"""A pack that this process writes itself, in its scratch folder. Only the sweeper of a later process looks there.

Each commit over HTTP writes one pack. Most stay in memory and never need the file. A separate quarantine for each of
the others would cost more file operations than the pack. So all new packs of a process share its scratch folder.
"""

import contextlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from packhouse.endings import Discarding
from packhouse.git.packs import FinishedPack, PackWriter, write_idx


class NewPack(Discarding):
    """Collects objects through `writer`. The end of the `with` block removes a pack that was not published.

    `find_scratch` returns the folder for the files. It is asked when the pack is first written to a file.
    """

    def __init__(self, find_scratch: Callable[[], Path]) -> None:
        self._find_scratch = find_scratch
        self._file: BinaryIO | None = None
        self._here: list[Path] = []
        self.writer = PackWriter(self._open)

    def _open(self) -> BinaryIO:
        path = self._find_scratch() / f"new-{os.urandom(8).hex()}.pack"
        self._file = path.open("x+b")
        self._here.append(path)
        return self._file

    def finish(self) -> tuple[FinishedPack, Path, Path]:
        """Complete pack and idx and return their paths. May be called again. Storing the pack syncs it."""
        info = self.writer.finish()
        assert self._file is not None, "the writer has written to it"
        os.fchmod(self._file.fileno(), 0o444)
        pack = self._here[0]
        idx = pack.with_suffix(".idx")
        if idx in self._here:
            idx.unlink()
        else:
            self._here.append(idx)
        write_idx(idx, info)
        return info, pack, idx

    def discard(self) -> None:
        """Remove both files unless they were moved away. A second call is harmless."""
        if self._file is not None:
            with contextlib.suppress(OSError):  # on a full disk the unwritten rest is no longer needed
                self._file.close()
        while self._here:
            with contextlib.suppress(FileNotFoundError):
                self._here.pop().unlink()
