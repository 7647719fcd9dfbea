"""A pack that this process writes itself, in a folder where only the sweeper of a later process looks.

Commits over HTTP write one pack each: a quarantine of its own for every one would cost more file operations
than the pack. So all drafts of a process share its scratch folder.
"""

import os
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from packhouse.git.pack_writer import PackInfo, PackWriter, write_idx


class PackDraft:
    """Collects objects through `writer`; leaving the `with` block removes what was not published."""

    def __init__(self, scratch: Path) -> None:
        self._path = scratch / f"draft-{os.urandom(8).hex()}.pack"
        self._file: BinaryIO = self._path.open("x+b")
        self.writer = PackWriter(self._file)

    def __enter__(self) -> "PackDraft":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.discard()

    def finish(self) -> tuple[PackInfo, Path, Path]:
        """Complete pack and idx, force both to the disk and return where they are."""
        info = self.writer.finish()
        os.fchmod(self._file.fileno(), 0o444)
        os.fsync(self._file.fileno())
        idx = self._path.with_suffix(".idx")
        idx.unlink(missing_ok=True)
        write_idx(idx, info)
        return info, self._path, idx

    def read_from_start(self) -> BinaryIO:
        """Return the file of the finished pack, at its first byte; it stays the draft's to close."""
        self._file.seek(0)
        return self._file

    def discard(self) -> None:
        """Remove both files unless they were published. Harmless when done before."""
        self._file.close()
        self._path.unlink(missing_ok=True)
        self._path.with_suffix(".idx").unlink(missing_ok=True)
