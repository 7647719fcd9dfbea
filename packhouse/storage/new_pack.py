"""A pack that this process writes itself, in its scratch folder. Only the sweeper of a later process looks there.

Each commit over HTTP writes one pack. A separate quarantine for each would cost more file operations than the pack. So
all new packs of a process share its scratch folder.
"""

import contextlib
import os
from pathlib import Path
from typing import BinaryIO

from packhouse.endings import Discarding
from packhouse.git.packs import FinishedPack, PackWriter, write_idx


class NewPack(Discarding):
    """Collects objects through `writer`. The end of the `with` block removes a pack that was not published."""

    def __init__(self, scratch: Path) -> None:
        self._path = scratch / f"new-{os.urandom(8).hex()}.pack"
        self._idx = self._path.with_suffix(".idx")
        self._file: BinaryIO = self._path.open("x+b")
        self._here = [self._path]
        self.writer = PackWriter(self._file)

    def finish(self) -> tuple[FinishedPack, Path, Path]:
        """Complete pack and idx and return their paths. May be called again. Storing the pack syncs it."""
        info = self.writer.finish()
        os.fchmod(self._file.fileno(), 0o444)
        if self._idx in self._here:
            self._idx.unlink()
        else:
            self._here.append(self._idx)
        write_idx(self._idx, info)
        return info, self._path, self._idx

    def discard(self) -> None:
        """Remove both files unless they were moved away. A second call is harmless."""
        with contextlib.suppress(OSError):  # on a full disk the unwritten rest is no longer needed
            self._file.close()
        while self._here:
            with contextlib.suppress(FileNotFoundError):
                self._here.pop().unlink()
