"""One use of a folder in which a store shows packs."""

import contextlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

from packhouse.git.objects import ObjectReader
from packhouse.storage.idle_readers import IdleReaders
from packhouse.storage.store import Mended, OpenedPacks


class NoPacks(OpenedPacks):
    """The packs of a repository without stored packs. `object_dir` is an empty folder that all of them share."""

    def __init__(self, object_dir: Path) -> None:
        self.object_dir = object_dir
        self.mended = Mended([], [])
        self.descriptors = ()

    @contextlib.contextmanager
    def reader(self) -> Iterator[ObjectReader]:
        """See OpenedPacks."""
        yield ObjectReader(self.object_dir)

    def close(self) -> None:
        """See OpenedPacks. There is nothing to give back."""


class OpenedFolder(OpenedPacks):
    """A use of a folder. `give_back` is called once, when it ends."""

    def __init__(
        self,
        object_dir: Path,
        readers: IdleReaders,
        mended: Mended,
        *,
        descriptors: tuple[int, ...] = (),
        give_back: Callable[[], None],
    ) -> None:
        self.object_dir = object_dir
        self.mended = mended
        self.descriptors = descriptors
        self._readers = readers
        self._give_back: Callable[[], None] | None = give_back

    def reader(self) -> AbstractContextManager[ObjectReader]:
        """See OpenedPacks."""
        assert self._give_back is not None, "it is open"
        return self._readers.use(self.object_dir)

    def close(self) -> None:
        """See OpenedPacks."""
        give_back, self._give_back = self._give_back, None
        if give_back is not None:
            give_back()
