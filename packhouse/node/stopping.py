"""How long work is stopped before it is done."""

from collections.abc import Callable

ShouldStop = Callable[[], bool]
"""Called between the steps of long work. Returns true when the process ends or another one has taken over."""


def never() -> bool:
    """Never stop the work."""
    return False
