"""Base classes for use in a `with` block: one for things to close, one for things to discard."""

from abc import ABC, abstractmethod
from types import TracebackType
from typing import Self


class _Ending(ABC):
    __slots__ = ()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    @abstractmethod
    def _end(self) -> None: ...


class Closing(_Ending):
    """Something that holds files or processes open until the end of its `with` block."""

    __slots__ = ()

    def _end(self) -> None:
        self.close()

    @abstractmethod
    def close(self) -> None:
        """Close files and end processes. A second call is harmless."""


class Discarding(_Ending):
    """Something whose work is lost at the end of its `with` block, except for what was kept on purpose."""

    __slots__ = ()

    def _end(self) -> None:
        self.discard()

    @abstractmethod
    def discard(self) -> None:
        """Remove everything that was not kept. A second call is harmless."""
