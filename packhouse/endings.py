"""Base classes of things that end with their `with` block: they are closed, or discarded."""

from abc import ABC, abstractmethod
from types import TracebackType
from typing import Self


class Closing(ABC):
    """Something that holds files or processes open until the end of its `with` block."""

    __slots__ = ()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @abstractmethod
    def close(self) -> None:
        """Close the open files or processes. A second call is harmless."""


class Discarding(ABC):
    """Something whose work is lost at the end of its `with` block, unless it was kept on purpose."""

    __slots__ = ()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.discard()

    @abstractmethod
    def discard(self) -> None:
        """Remove work that was not kept. A second call is harmless."""
