"""When long work ends before it is done."""

from collections.abc import Callable

ShouldStop = Callable[[], bool]
"""Asked between the steps of long work; it turns true when the process ends or another one has taken over."""


def never() -> bool:
    """Let the work go on to its end."""
    return False
