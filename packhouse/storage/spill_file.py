"""Bytes that do not fit in memory, in a temporary file. The file is open only while it is used."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from packhouse import limits


class SpillFile:
    """A temporary file. `discard` removes it. After a crash, a later process sweeps it."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / f"spill-{os.urandom(8).hex()}"
        self.path.touch(exist_ok=False)

    def append(self, pieces: Iterable[bytes]) -> None:
        """Write at the end."""
        with self.path.open("ab") as file:
            file.writelines(pieces)

    def iter_pieces(self) -> Iterator[bytes]:
        """Yield the content from its start, at most 1 MiB at once."""
        with self.path.open("rb") as file:
            while piece := file.read(limits.MIB):
                yield piece

    def open(self) -> BinaryIO:
        """Open the file for reading and writing."""
        return self.path.open("r+b")

    def discard(self) -> None:
        """Remove the file. A second call is harmless."""
        self.path.unlink(missing_ok=True)
